"""The `bench profile` command."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

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
    """Show the share of a step's time by kind of operation, from TensorFlow's profiler."""
    info(name)
    with timing(name) as progress:
        from keras_ilsvrc.bench.profile import measure

        found = measure(name, dtype, inference, batch, progress)
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return
    table = table_of(("kind", "ms", "share", "operations", "ms by type"), ("kind", "ms by type"))
    for row in found.shares:
        types = ", ".join(f"{kind} {ms:.1f}" for kind, ms in row.types.items())
        share = f"{100 * row.share:.1f} %"
        table.add_row(row.kind, f"{row.milliseconds:.1f}", share, f"{row.operations:.0f}", types)
    Console(width=140, markup=False, highlight=False).print(table)
    print(f"{found.work} of {name}, batch {batch}, {found.dtype}: {found.step_milliseconds:.1f} ms")
    print(f"per step, of which operations took {found.operations_milliseconds:.1f} ms together")
