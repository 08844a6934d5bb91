"""What excites a map while a net learns: Zeiler and Fergus, arXiv:1311.2901, figure 4."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.visualize.top import Top, TopActivations


@dataclass(frozen=True)
class Evolution:
    """The strongest activation of each map over the images, at several times of a training.

    Attributes:
        times: What each time is called.
        found: The top activation of every map at each of them. Where another image becomes the
            strongest, projections jump.
    """

    times: tuple[str, ...]
    found: tuple[TopActivations, ...]


def evolution(
    model: keras.Model,
    weights: Mapping[str, Path],
    images: Any,
    layer: str,
    maps: Sequence[int] | None = None,
    batch_size: int = 32,
    load: Callable[[Path], object] | None = None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Evolution:
    """The same maps' strongest activations with the weights of several times.

    Args:
        model: Functional, of one image; its weights are the same behind it as before.
        weights: Files of its weights in the order of time, by what each time is called.
        images: (images, height, width, channels) as the model takes them, or batches of them that
            can be gone through again and again.
        layer: As for `top_activations`.
        maps: As for `top_activations`.
        batch_size: As for `top_activations`.
        load: Reads a file into the model; by default its `load_weights`.
        progress: Called with the times done and those to do.

    Raises:
        InputError: As by `top_activations`, or if there are no weights, or images can be gone
            through but once. What `load` raises comes through.
    """
    if not weights:
        raise InputError("weights hold no file; give at least one")
    if hasattr(images, "__next__"):
        raise InputError("images is an iterator; give batches that can be gone through again")
    top = Top(model, layer, maps, count=1)
    before = model.get_weights()
    found = []
    try:
        for number, path in enumerate(weights.values(), 1):
            (load or model.load_weights)(path)
            found.append(top(images, batch_size))
            progress(number, len(weights))
    finally:
        model.set_weights(before)
    return Evolution(tuple(weights), tuple(found))
