"""The `bench scale` command, which measures work that grows with the size of the data set."""

import json
from typing import Annotated

import typer
from rich.console import Console

from keras_ilsvrc.cli.options import Json, table_of
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.utils.streams import quiet_tensorflow

IMAGENET = 1_280_000
CLASSES = 1000  # each has at least one image


def scale(
    files: Annotated[
        int, typer.Option(help="Number of training images, all of them links to 300 JPEGs.")
    ] = IMAGENET,
    as_json: Json = False,
) -> None:
    """Measure the start of a run, statistics, checkpoints and evaluation at ImageNet's size."""
    if files < CLASSES:
        raise InputError(f"--files is {files}; expected at least {CLASSES}")
    quiet_tensorflow()
    with Console(stderr=True).status("starting TensorFlow") as status:
        from keras_ilsvrc.bench.scale import measure

        costs = measure(files, lambda what, share: status.update(what))
    if as_json:
        print(json.dumps([cost._asdict() for cost in costs], indent=2))
        return
    table = table_of(("work", "s", "MB", "of", "ratio"), ("work",))
    for cost in costs:
        base = cost.base_megabytes
        compared = ("", "") if base is None else (f"{base:,.0f}", f"{cost.megabytes / base:.2f}")
        table.add_row(cost.what, f"{cost.seconds:.1f}", f"{cost.megabytes:,.0f}", *compared)
    Console(width=100).print(table)
    print(f"{files:,} training images; s: without imports; MB: peak minus memory after imports;")
    print("of: size of the file or the predictions in MB; ratio: MB / of")
