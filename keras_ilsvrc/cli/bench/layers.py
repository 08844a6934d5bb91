"""The `bench layers` command, which times layers against those of Keras and TensorFlow."""

import json
from typing import Annotated

import typer
from rich.console import Console

from keras_ilsvrc.cli.options import Json, table_of
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.utils.streams import quiet_tensorflow


def layers(
    rounds: Annotated[int, typer.Option(help="Number of timed rounds.")] = 9,
    as_json: Json = False,
) -> None:
    """Time our grouped convolution and LRN layers against Keras and TensorFlow."""
    if rounds < 1:
        raise InputError(f"--rounds is {rounds}; expected at least 1")
    quiet_tensorflow()
    with Console(stderr=True).status("timing, about half a minute"):
        from keras_ilsvrc.bench.layers import measure

        ratios = measure(rounds)
    if as_json:
        print(json.dumps([row._asdict() for row in ratios], indent=2))
        return
    table = table_of(("ours", "ms", "against", "ms", "ratio", "limit"), ("ours", "against"))
    for row in ratios:
        ours, theirs = f"{row.milliseconds:.1f}", f"{row.peer_milliseconds:.1f}"
        table.add_row(row.ours, ours, row.peer, theirs, f"{row.ratio:.3f}", f"{row.limit:.2f}")
    Console(width=100).print(table)
