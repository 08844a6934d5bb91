"""The `bench` commands, which compare the speed of our code and another library's."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from keras_ilsvrc.bench.peers import check_installed, check_peer
from keras_ilsvrc.bench.timing import ENOUGH
from keras_ilsvrc.cli.options import Json, complete_nets, table_of
from keras_ilsvrc.errors import InputError, counted, printable
from keras_ilsvrc.nets import info
from keras_ilsvrc.nets.pretrained import find
from keras_ilsvrc.terminal.streams import quiet_tensorflow

if TYPE_CHECKING:
    from keras_ilsvrc.bench.nets import Comparison

app = typer.Typer(no_args_is_help=True, help="Compare our speed with another library's.")


@app.command("layers")
def layers(
    rounds: Annotated[int, typer.Option(help="Number of timed rounds.")] = 9,
    as_json: Json = False,
) -> None:
    """Time our grouped convolution and LRN layers against those of Keras and TensorFlow."""
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


@contextmanager
def _timing(name: str) -> Iterator[Callable[[str, float], None]]:
    """Show a progress bar; yield a function that sets its text and completed fraction."""
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
        yield lambda what, share: progress.update(task, description=what, completed=share)


@app.command("net")
def net(
    name: Annotated[str, typer.Argument(help="Name of a network, for example vgg16.")],
    against: Annotated[
        str | None, typer.Option(help="Library whose net is timed too: keras or torchvision.")
    ] = None,
    inference: Annotated[
        bool, typer.Option("--inference", help="Time only the forward pass.")
    ] = False,
    steps: Annotated[int, typer.Option(help="Number of timed steps per net.")] = ENOUGH,
    batch: Annotated[int, typer.Option(help="Number of images per step.")] = 8,
    jit: Annotated[
        bool | None, typer.Option(help="Compile with XLA (default: only on a GPU).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Time training steps of a network, or its forward pass, in float32 on random images."""
    info(name)
    for option, value, minimum in (("--steps", steps, ENOUGH), ("--batch", batch, 1)):
        if value < minimum:
            raise InputError(f"{option} is {value}; expected at least {minimum}")
    if against:
        check_peer(name, against)
    if against == "torchvision":
        _start_torch()
    with _timing(name) as progress:
        from keras_ilsvrc.bench.nets import measure

        result = measure(name, against, inference, steps, batch, jit, progress)
    if as_json:
        print(json.dumps(asdict(result), indent=2))
    else:
        _print_comparison(result)


def _start_torch() -> None:
    """Import torchvision before TensorFlow; the reverse order would crash."""
    print("starting torch", file=sys.stderr)
    importlib.import_module("torchvision")


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


@app.command("training")
def training(
    name: Annotated[str, typer.Argument(help="Name of a network, for example resnet50.")],
    replicas: Annotated[
        int,
        typer.Option(min=1, help="Number of GPUs, or of logical CPU devices if there is no GPU."),
    ] = 1,
    batch: Annotated[
        int, typer.Option(min=1, help="Number of images per step, over all replicas.")
    ] = 32,
    steps: Annotated[int, typer.Option(min=1, help="Number of steps per timed epoch.")] = 10,
    rounds: Annotated[int, typer.Option(min=2, help="Number of timed epochs.")] = 9,
    as_json: Json = False,
) -> None:
    """Time epochs of our trainer and of Keras' fit alternately, and the saving of a checkpoint."""
    info(name)
    if batch % replicas:
        raise InputError(f"--batch is {batch}; expected a multiple of --replicas ({replicas})")
    with _timing(name) as progress:
        from keras_ilsvrc.bench.training import measure

        cost = measure(name, replicas, batch, steps, rounds, progress)
    if as_json:
        print(json.dumps(asdict(cost), indent=2))
        return
    print(f"trainer {cost.seconds:.4f} s per step, fit {cost.fit_seconds:.4f} s per step")
    print(f"ratio {cost.ratio:.3f}: trainer's time divided by fit's time; {_quartiles(cost)}")
    share = f"{100 * cost.checkpoint_share:.4f} % of the time of an ImageNet epoch"
    print(
        f"saving a checkpoint of {cost.checkpoint_megabytes:.0f} MB takes "
        f"{cost.checkpoint_seconds:.2f} s,"
    )
    print(f"which is {share}")
    shown = counted(cost.replicas, "replica")
    print(f"batch {cost.batch} on {shown}, {rounds} epochs of {steps} steps")


def _quartiles(ratio: Any) -> str:
    return f"quartiles {ratio.lower_quartile:.3f} to {ratio.upper_quartile:.3f}"


@app.command("input")
def input_(
    against: Annotated[
        str | None, typer.Option(help="Library whose data loader is timed too: torchvision.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=2, help="Number of timed rounds.")] = ENOUGH,
    as_json: Json = False,
) -> None:
    """Time the decoding and augmentation of JPEGs and prepared images. This takes two minutes."""
    if against not in (None, "torchvision"):
        raise InputError(f"--against is {against!r}; expected torchvision")
    if against:
        check_installed(against)
        _start_torch()
    with _timing("images") as progress:
        from keras_ilsvrc.bench.input import measure

        speed = measure(bool(against), rounds, progress)
    if as_json:
        print(json.dumps(asdict(speed), indent=2))
        return
    for name, rate in speed.images_per_second.items():
        print(f"{name:<30} {rate:7.0f} images/s")
    for ratio in speed.ratios:
        what = f"{ratio.ours} / {ratio.over}"
        print(f"ratio {ratio.median:.3f}: {what}; {_quartiles(ratio)}")
    how = f"{speed.images} JPEGs of {speed.kilobytes:.0f} kB per round, {speed.rounds} rounds"
    print(f"{how}, {speed.threads} threads")


@app.command("visualize")
def visualize(
    name: Annotated[
        str, typer.Argument(help="Name of a network, for example alexnet.")
    ] = "alexnet",
    layer: Annotated[
        str, typer.Option(help="Name of the layer whose strongest activations are searched for.")
    ] = "conv5",
    images: Annotated[int, typer.Option(min=1, help="Number of random images.")] = 1000,
    rounds: Annotated[int, typer.Option(min=2, help="Number of timed rounds.")] = 3,
    as_json: Json = False,
) -> None:
    """Time ZFNet's deconvnet and the search for the strongest activations of a layer."""
    info(name)
    with _timing(name) as progress:
        from keras_ilsvrc.bench.visualize import measure

        cost = measure(name, layer, images, rounds, progress)
    if as_json:
        print(json.dumps(asdict(cost), indent=2))
        return
    for what, seconds in cost.seconds.items():
        print(f"{what:<16}{seconds:9.3f} s")
    spread = _quartiles(cost)
    print(f"ratio {cost.ratio:.3f}: top activations / (inference + projections); {spread}")
    print(f"{name}, {layer}: {cost.images:,} images, {cost.activations} activations projected")


@app.command("weights")
def weights(
    files: Annotated[list[Path], typer.Argument(help="Weight files of the network.")],
    name: Annotated[str, typer.Option("--net", help="Network.", autocompletion=complete_nets)],
    rounds: Annotated[int, typer.Option(min=1, help="Number of rounds.")] = 5,
    as_json: Json = False,
) -> None:
    """Measure time and peak memory of building a network with weights, in new processes."""
    for file in files:
        find(info(name), file)
    with _timing(name) as progress:
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
