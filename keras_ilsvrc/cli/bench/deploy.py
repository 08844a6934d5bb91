"""The `bench deploy` command, which times inference of deployed networks."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from keras_ilsvrc.bench.peers import Case
from keras_ilsvrc.bench.timing import ENOUGH
from keras_ilsvrc.cli.bench.shared import start_torch
from keras_ilsvrc.cli.options import Json, table_of
from keras_ilsvrc.nets import info
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.utils.streams import quiet_tensorflow
from keras_ilsvrc.weights.export import check_format


def deploy(
    name: Annotated[str, typer.Argument(help="Name of a network, for example resnet50.")],
    against: Annotated[
        str | None, typer.Option(help="Also time onnxruntime or torchvision.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Number of images per batch.")] = 1,
    rounds: Annotated[int, typer.Option(min=ENOUGH, help="Number of timed rounds.")] = ENOUGH,
    as_json: Json = False,
) -> None:
    """Time inference of a network in the form that `deploy` returns, on random images."""
    info(name)
    if against not in (None, "onnxruntime", "torchvision"):
        raise InputError(f"--against is {against!r}; expected onnxruntime or torchvision")
    if against == "onnxruntime":
        check_format("onnx")
    elif against:
        Case(name, against).check()
        start_torch()
    quiet_tensorflow()
    with Console(stderr=True).status(f"building {name}") as status:
        from keras_ilsvrc.bench.deploy import measure

        speeds = measure(name, against, batch, rounds, lambda what, share: status.update(what))
    if as_json:
        print(json.dumps([asdict(speed) for speed in speeds], indent=2))
        return
    table = table_of(("form", "ms", "images/s", "ratio", "quartiles"), ("form",))
    for x in speeds:
        spread = f"{x.lower_quartile:.3f}-{x.upper_quartile:.3f}"
        rate = f"{x.images_per_second:.1f}"
        table.add_row(x.form, f"{1e3 * x.seconds:.1f}", rate, f"{x.ratio:.3f}", spread)
    Console(width=100).print(table, markup=False, highlight=False)
    print("ratio: images/s of the deployed net divided by images/s of the form in this row")
    print(f"{name}, batch {batch}, {rounds} rounds, float32")
