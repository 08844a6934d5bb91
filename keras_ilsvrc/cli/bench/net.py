"""The `bench net` command, which times a network on random images."""

import json
from dataclasses import asdict, astuple
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from keras_ilsvrc.bench.peers import Case
from keras_ilsvrc.bench.timing import ENOUGH
from keras_ilsvrc.cli.bench.shared import Batch, Dtype, Inference, start_torch, timing
from keras_ilsvrc.cli.options import Json, table_of
from keras_ilsvrc.nets import info

if TYPE_CHECKING:
    from keras_ilsvrc.bench.nets import Comparison


def net(
    name: Annotated[str, typer.Argument(help="Name of a network, for example vgg16.")],
    against: Annotated[
        str | None,
        typer.Option(help="Also time the net of keras or torchvision, or our net in float32."),
    ] = None,
    inference: Inference = False,
    dtype: Dtype = "float32",
    steps: Annotated[int, typer.Option(min=2, help="Number of timed steps per net.")] = ENOUGH,
    batch: Batch = 8,
    jit: Annotated[
        bool | None,
        typer.Option(help="Compile TensorFlow's nets with XLA (default: only on a GPU)."),
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option("--compile/--no-compile", help="Also try torch.compile, which takes minutes."),
    ] = True,
    as_json: Json = False,
) -> None:
    """Time training steps of a network, or its forward pass, on random images."""
    info(name)
    case = Case(name, against, inference, batch, dtype, steps, jit, compiled)
    case.check()
    if against == "torchvision":
        start_torch()
    with timing(name) as progress:
        from keras_ilsvrc.bench.nets import measure

        result = measure(case, progress)
    if as_json:
        print(json.dumps(asdict(result), indent=2))
    else:
        _print_comparison(result)


def _print_comparison(result: "Comparison") -> None:
    table = table_of(("net", "form", "s/step", "images/s", "GFLOP/s"), ("net", "form"))
    for speed in filter(None, (result.ours, result.peer)):
        rate = f"{speed.images_per_second:.2f}"
        flops = "" if speed.gflops is None else f"{speed.gflops:.1f}"
        table.add_row(speed.net, speed.form, f"{speed.seconds:.3f}", rate, flops)
    console = Console(width=100, markup=False, highlight=False)
    console.print(table)
    if result.ratio:
        median, lower, upper, least, most = (f"{value:.3f}" for value in astuple(result.ratio))
        spread = f"quartiles {lower} to {upper}, extremes {least} to {most}"
        console.print(f"ratio {median}: our images/s divided by theirs; {spread}")
    how = f"{result.work}, batch {result.batch}, {result.steps} steps, {result.dtype}"
    console.print(f"{how}, {result.device}, XLA {'on' if result.jit else 'off'}")
