"""`bench`: ours against the named peer."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from keras_ilsvrc.cli.nets import Json
from keras_ilsvrc.cli.quiet import quiet_tensorflow
from keras_ilsvrc.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Measure ours against the named peer, in one run.")


@app.callback()
def benches() -> None:
    """Keeps `layers` a sub-command while it is the only one."""


@app.command("layers")
def layers(
    rounds: Annotated[int, typer.Option(help="How often each is timed.")] = 9,
    as_json: Json = False,
) -> None:
    """Time GroupedConv2D and LocalResponseNormalization, forward and backward, on the CPU."""
    if rounds < 1:
        raise InputError(f"--rounds is {rounds}; expected at least 1")
    quiet_tensorflow()
    console = Console(stderr=True)
    with console.status("timing, about half a minute"):
        from keras_ilsvrc.bench.layers import measure

        ratios = measure(rounds)
    if as_json:
        print(json.dumps([row._asdict() for row in ratios], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("ours", "ms", "against", "ms", "ratio", "at most"):
        words = heading in ("ours", "against")
        table.add_column(heading, justify="left" if words else "right", overflow="fold")
    for row in ratios:
        times = f"{row.milliseconds:.1f}", f"{row.peer_milliseconds:.1f}"
        ratio = f"{row.ratio:.3f}", f"{row.limit:.2f}"
        table.add_row(row.ours, times[0], row.peer, times[1], *ratio)
    Console(width=100).print(table)
