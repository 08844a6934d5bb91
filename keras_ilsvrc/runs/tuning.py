"""Choice of the layers of a trained network that get new weights, and of those that are frozen."""

import math
import re
from typing import NamedTuple

import keras

from keras_ilsvrc.nets import info
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.nets.pretrained import Found
from keras_ilsvrc.training.groups import HEAD, named
from keras_ilsvrc.weights.sources.source import Source

# Unit of a network: a layer, or an inception module, whose layers' names begin with its name.
UNIT = re.compile(r"(?:inception|mixed)_\d[a-z]|.+?(?=_bn$|$)")


class Tuning(NamedTuple):
    """Settings for a network with trained weights.

    Attributes:
        source: The published weights.
        skip: Names of the layers that get new weights.
        freeze: Name of the last frozen unit, or None.
        first_freeze: Name of the last unit that is frozen in the first stage.
        first_epochs: Epochs of the first stage.
    """

    source: Source
    skip: list[str]
    freeze: str | None
    first_freeze: str
    first_epochs: int


def tuning_of(model: keras.Model, weights: Found, frozen: float, epochs: float) -> Tuning:
    """Choose the settings for a network with trained weights.

    Args:
        model: The network.
        weights: File of weights with a known source.
        frozen: Share of the units that are frozen.
        epochs: Epochs of the first stage; at least 2 are used.
    """
    source, skip = weights.source, [HEAD]
    assert source
    if weights.classes is None:  # the file may lack other layers of the classifier too
        kept = {x.name for x in build(source.net, include_top=False, **source.options).layers}
        skip = [x.name for x in model.layers if x.weights and x.name not in kept]
    new = [layer for name in skip for layer in named(model, name)]
    old = [x.name for x in model.layers if x.weights and x not in new]
    units = list(dict.fromkeys(found[0] for name in old if (found := UNIT.match(name))))
    count = int(frozen * len(units))
    last = units[count - 1] if count else None
    return Tuning(source, skip, last, units[-1], max(2, math.ceil(epochs)))


def size_of(source: Source) -> int:
    """Return the image size for which weights were trained."""
    sizes = [row["size"] for row in source.preprocessing if "size" in row]
    return int(sizes[-1] if sizes else (source.input_shape or info(source.net).input_shape)[0])
