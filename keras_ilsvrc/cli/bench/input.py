"""The `bench input` command, which times the decoding and augmentation of images."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from keras_ilsvrc.bench.peers import check_installed
from keras_ilsvrc.bench.timing import ENOUGH
from keras_ilsvrc.cli.bench.shared import quartiles_of, start_torch, timing
from keras_ilsvrc.cli.options import Json
from keras_ilsvrc.utils.errors import InputError


def input_(
    against: Annotated[
        str | None, typer.Option(help="Also time the data loader of torchvision.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=2, help="Number of timed rounds.")] = ENOUGH,
    as_json: Json = False,
) -> None:
    """Time the decoding and augmentation of JPEGs and prepared images. This takes two minutes."""
    if against not in (None, "torchvision"):
        raise InputError(f"--against is {against!r}; expected torchvision")
    if against:
        check_installed(against)
        start_torch()
    with timing("images") as progress:
        from keras_ilsvrc.bench.input import measure

        speed = measure(bool(against), rounds, progress)
    if as_json:
        print(json.dumps(asdict(speed), indent=2))
        return
    for name, rate in speed.images_per_second.items():
        print(f"{name:<30} {rate:7.0f} images/s")
    for ratio in speed.ratios:
        what = f"{ratio.ours} / {ratio.over}"
        print(f"ratio {ratio.median:.3f}: {what}; {quartiles_of(ratio)}")
    how = f"{speed.images} JPEGs of {speed.kilobytes:.0f} kB per round, {speed.rounds} rounds"
    print(f"{how}, {speed.threads} threads")
