"""`bench`: ours against the named peer."""

import importlib
import json
import sys
from dataclasses import asdict, astuple
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from keras_ilsvrc.bench.peers import check_peer
from keras_ilsvrc.bench.timing import ENOUGH
from keras_ilsvrc.cli.nets import Json
from keras_ilsvrc.cli.quiet import quiet_tensorflow
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.nets import info

app = typer.Typer(no_args_is_help=True, help="Measure ours against the named peer, in one run.")


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


@app.command("net")
def net(
    name: Annotated[str, typer.Argument(help="A net, as vgg16.")],
    against: Annotated[
        str | None, typer.Option(help="keras or torchvision: the same net there.")
    ] = None,
    inference: Annotated[
        bool, typer.Option("--inference", help="The forward pass alone, not training.")
    ] = False,
    steps: Annotated[int, typer.Option(help="How many are counted of each net.")] = ENOUGH,
    batch: Annotated[int, typer.Option(help="Images a step.")] = 8,
    jit: Annotated[
        bool | None, typer.Option(help="Compile by XLA; without it, on a GPU only.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Time training steps of a net, or its forward pass, in float32 on random images."""
    info(name)
    for option, value, minimum in (("--steps", steps, ENOUGH), ("--batch", batch, 1)):
        if value < minimum:
            raise InputError(f"{option} is {value}; expected at least {minimum}")
    if against:
        check_peer(name, against)
    if against == "torchvision":
        print("starting torch", file=sys.stderr)
        importlib.import_module(against)  # behind TensorFlow its import crashes
    print("starting TensorFlow", file=sys.stderr)
    quiet_tensorflow()
    screen = Console(stderr=True)
    with Progress(
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    ) as progress:
        task = progress.add_task(f"building {name}", total=1)

        def tell(what: str, share: float) -> None:
            progress.update(task, description=what, completed=share)

        from keras_ilsvrc.bench.nets import measure

        result = measure(name, against, inference, steps, batch, jit, tell)
    if as_json:
        print(json.dumps(asdict(result), indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("net", "form", "s/step", "images/s", "GFLOP/s"):
        words = heading in ("net", "form")
        table.add_column(heading, justify="left" if words else "right", overflow="fold")
    for speed in filter(None, (result.ours, result.peer)):
        rates = f"{speed.seconds:.3f}", f"{speed.images_per_second:.2f}"
        flops = "" if speed.gflops is None else f"{speed.gflops:.1f}"
        table.add_row(speed.net, speed.form, *rates, flops)
    console = Console(width=100, markup=False, highlight=False)
    console.print(table)
    if result.ratio:
        median, lower, upper, least, most = (f"{value:.3f}" for value in astuple(result.ratio))
        spread = f"quartiles {lower} to {upper}, extremes {least} to {most}"
        console.print(f"ratio {median}: our images/s over theirs; {spread}")
    how = f"{result.work}, batch {result.batch}, {result.steps} steps, {result.dtype}"
    console.print(f"{how}, {result.device}, XLA {'on' if result.jit else 'off'}")
