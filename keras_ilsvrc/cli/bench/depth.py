"""The `bench depth` command, which times the first training step of shallow and deep nets."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from keras_ilsvrc.cli.options import Json, table_of
from keras_ilsvrc.nets import info

NETS = ["resnet110_cifar", "resnet1202_cifar"]


def depth(
    nets: Annotated[
        list[str] | None,
        typer.Argument(help=f"Names of networks (default: {' '.join(NETS)}).", show_default=False),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Number of images per step.")] = 16,
    as_json: Json = False,
) -> None:
    """Time the first training step of shallow and deep networks, each in a new process."""
    names = [info(name).name for name in nets or NETS]
    with Console(stderr=True).status("starting TensorFlow") as status:
        from keras_ilsvrc.bench.depth import measure

        starts = measure(names, batch, lambda what, share: status.update(what))
    first = starts[0]
    ratios = [(x.seconds / first.seconds, x.nodes / first.nodes) for x in starts]
    if as_json:
        fields = ("seconds", "seconds_ratio", "nodes_ratio")
        pairs = zip(starts, ratios, strict=True)
        rows = [asdict(x) | dict(zip(fields, (x.seconds, *found))) for x, found in pairs]
        print(json.dumps(rows, indent=2))
        return
    titles = ("net", "build s", "trace s", "first s", "sum s", "ratio", "nodes", "ratio")
    table = table_of((*titles, "s/step", "MB"), ("net",))
    for x, (time, size) in zip(starts, ratios, strict=True):
        seconds = (x.build_seconds, x.trace_seconds, x.first_seconds, x.seconds)
        cells = (*(f"{each:.1f}" for each in seconds), f"{time:.2f}", f"{x.nodes:,}", f"{size:.2f}")
        table.add_row(x.net, *cells, f"{x.step_seconds:.3f}", f"{x.peak_megabytes:,.0f}")
    Console(width=100).print(table, markup=False, highlight=False)
    print(f"sum: time from build to the end of the first step; batch {batch}; XLA off")
