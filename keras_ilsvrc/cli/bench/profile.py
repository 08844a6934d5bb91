"""The `bench profile` command, which shows the kinds of operations that take time."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from keras_ilsvrc.bench.peers import Case
from keras_ilsvrc.cli.bench.shared import Batch, Dtype, Inference, timing
from keras_ilsvrc.cli.options import Json, table_of
from keras_ilsvrc.nets import info


def profile(
    name: Annotated[str, typer.Argument(help="Name of a network, for example vgg16.")],
    dtype: Dtype = "float32",
    inference: Inference = False,
    batch: Batch = 8,
    as_json: Json = False,
) -> None:
    """Show how much of a step's time each kind of operation takes, with TensorFlow's profiler."""
    info(name)
    case = Case(name, None, inference, batch, dtype)
    with timing(name) as progress:
        from keras_ilsvrc.bench.profile import measure

        found = measure(case, progress)
    if as_json:
        rows = [row._asdict() for row in found.shares]
        print(json.dumps({**asdict(found), "shares": rows}, indent=2))
        return
    table = table_of(("kind", "ms", "share", "operations", "ms by type"), ("kind", "ms by type"))
    for row in found.shares:
        types = ", ".join(f"{kind} {ms:.1f}" for kind, ms in row.types.items())
        share = f"{100 * row.share:.1f} %"
        table.add_row(row.kind, f"{row.milliseconds:.1f}", share, f"{row.operations:.0f}", types)
    Console(width=140, markup=False, highlight=False).print(table)
    step, total = found.step_milliseconds, sum(row.milliseconds for row in found.shares)
    print(f"{case.work} of {name}, batch {batch}, {dtype}: {step:.1f} ms per step;")
    print(f"the operations of a step took {total:.1f} ms together")
