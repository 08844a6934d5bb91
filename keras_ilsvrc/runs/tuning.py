"""Choice of settings for fine-tuning: layers with new weights, and frozen layers."""

import math
from typing import NamedTuple

import keras

from keras_ilsvrc.nets import info
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.nets.pretrained import Found
from keras_ilsvrc.training.groups import HEAD, named, unit_of
from keras_ilsvrc.weights.sources.source import Source


class Tuning(NamedTuple):
    """Settings for fine-tuning a network with trained weights.

    Attributes:
        source: The published weights.
        skip: Names of the layers that start from random weights.
        freeze: Name of the last frozen unit; None if no unit is frozen.
        first_freeze: Name of the last unit that is frozen in the first stage.
        first_epochs: Number of epochs of the first stage.
    """

    source: Source
    skip: list[str]
    freeze: str | None
    first_freeze: str
    first_epochs: int


def tuning_of(model: keras.Model, weights: Found, frozen: float, epochs: float) -> Tuning:
    """Choose the settings for fine-tuning a network with trained weights.

    Args:
        model: The network.
        weights: Weight file with a known source.
        frozen: Fraction of the units (layers or blocks) that are frozen, from 0 to 1.
        epochs: Epochs of the first stage, rounded up; at least 2 are used.
    """
    source, skip = weights.source, [HEAD]
    assert source
    if weights.classes is None:  # a file without a classifier may also lack fc6 and fc7
        kept = {x.name for x in build(source.net, include_top=False, **source.options).layers}
        skip = [x.name for x in model.layers if x.weights and x.name not in kept]
    new = [layer for name in skip for layer in named(model, name)]
    old = [x.name for x in model.layers if x.weights and x not in new]
    units = list(dict.fromkeys(map(unit_of, old)))
    count = int(frozen * len(units))
    last = units[count - 1] if count else None
    return Tuning(source, skip, last, units[-1], max(2, math.ceil(epochs)))


def size_of(source: Source) -> int:
    """Return the image size in pixels with which the weights of a source were trained."""
    sizes = [row["size"] for row in source.preprocessing if "size" in row]
    return int(sizes[-1] if sizes else (source.input_shape or info(source.net).input_shape)[0])
