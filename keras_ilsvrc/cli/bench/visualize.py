"""The `bench visualize` command, which times ZFNet's deconvnet."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from keras_ilsvrc.cli.bench.shared import quartiles_of, timing
from keras_ilsvrc.cli.options import Json
from keras_ilsvrc.nets import info


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
    with timing(name) as progress:
        from keras_ilsvrc.bench.visualize import measure

        cost = measure(name, layer, images, rounds, progress)
    if as_json:
        print(json.dumps(asdict(cost), indent=2))
        return
    for what, seconds in cost.seconds.items():
        print(f"{what:<16}{seconds:9.3f} s")
    spread = quartiles_of(cost)
    print(f"ratio {cost.ratio:.3f}: top activations / (inference + projections); {spread}")
    print(f"{name}, {layer}: {cost.images:,} images, {cost.activations} activations projected")
