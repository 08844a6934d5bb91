"""The `bench weights` command, which times building a network with weights."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from keras_ilsvrc.cli.bench.shared import timing
from keras_ilsvrc.cli.options import Json, complete_nets, table_of
from keras_ilsvrc.nets import info
from keras_ilsvrc.nets.pretrained import find
from keras_ilsvrc.utils.errors import printable


def weights(
    files: Annotated[list[Path], typer.Argument(help="Weight files of the network.")],
    name: Annotated[
        str, typer.Option("--net", help="Name of a network.", autocompletion=complete_nets)
    ],
    rounds: Annotated[int, typer.Option(min=1, help="Number of measured rounds.")] = 5,
    as_json: Json = False,
) -> None:
    """Measure the time and peak memory of building a network with weights, in new processes."""
    for file in files:
        find(info(name), file)
    with timing(name) as progress:
        from keras_ilsvrc.bench.weights import measure

        costs = measure(name, files, rounds, progress)
    if as_json:
        print(json.dumps([asdict(cost) for cost in costs], indent=2))
        return
    left = ("weights",)
    table = table_of(("weights", "read s", "build s", "CPU s", "ratio", "MB", "limit"), left)
    for cost in costs:
        what = printable(Path(cost.file).name) if cost.file else "none"
        seconds = (cost.read_seconds, cost.build_seconds, cost.processor_seconds, cost.ratio)
        sizes = (cost.peak_megabytes, cost.limit_megabytes)
        table.add_row(what, *(f"{x:.2f}" for x in seconds), *(f"{x:,.0f}" for x in sizes))
    Console(width=100).print(table, markup=False, highlight=False)
    print("ratio: build s / (read s + build s without weights)")
    print("MB: peak memory without the imports; limit: size of the model + 1.2 * size of the file")
