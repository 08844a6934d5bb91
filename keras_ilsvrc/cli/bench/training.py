"""The `bench training` command, which compares our trainer with Keras' `fit`."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from keras_ilsvrc.cli.bench.shared import quartiles_of, timing
from keras_ilsvrc.cli.options import Json
from keras_ilsvrc.nets import info
from keras_ilsvrc.utils.errors import InputError, counted


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
    """Time epochs of our trainer and of Keras' fit, and the saving of a checkpoint."""
    info(name)
    if batch % replicas:
        raise InputError(f"--batch is {batch}; expected a multiple of --replicas ({replicas})")
    with timing(name) as progress:
        from keras_ilsvrc.bench.training import measure

        cost = measure(name, replicas, batch, steps, rounds, progress)
    if as_json:
        print(json.dumps(asdict(cost), indent=2))
        return
    print(f"trainer {cost.seconds:.4f} s per step, fit {cost.fit_seconds:.4f} s per step")
    print(f"ratio {cost.ratio:.3f}: trainer's time divided by fit's time; {quartiles_of(cost)}")
    share = f"{100 * cost.checkpoint_share:.4f} % of the time of an ImageNet epoch"
    print(
        f"saving a checkpoint of {cost.checkpoint_megabytes:.0f} MB takes "
        f"{cost.checkpoint_seconds:.2f} s,"
    )
    print(f"which is {share}")
    shown = counted(cost.replicas, "replica")
    print(f"batch {cost.batch} on {shown}, {rounds} epochs of {steps} steps")
