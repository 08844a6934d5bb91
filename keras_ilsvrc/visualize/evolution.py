"""Top activations at checkpoints during training (Zeiler, Fergus, arXiv:1311.2901, figure 4)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.top import Top, TopActivations


@dataclass(frozen=True)
class Evolution:
    """Strongest activation of each feature map over all images, at several checkpoints.

    Attributes:
        times: Names of the checkpoints.
        found: Top activation of every map, for each checkpoint. Projections change abruptly when a
            different image has the strongest activation.
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
    """Find the strongest activation of each feature map at several checkpoints of a training run.

    Args:
        model: Functional model with one image as its input. Its weights are restored afterwards.
        weights: Weight files as {checkpoint name: path}, in the order of training.
        images: Images or batches, as in `top_activations`, that can be iterated several times.
        layer: Name of the layer, as in `top_activations`.
        maps: Indices of the maps, as in `top_activations`.
        batch_size: Batch size, as in `top_activations`.
        load: Function that loads a file into the model; by default `model.load_weights`.
        progress: Function called with the number of checkpoints done and the total.

    Raises:
        InputError: As in `top_activations`, or if `weights` is empty or `images` is an iterator.
    """
    if not weights:
        raise InputError("weights is empty; pass at least one weight file")
    if hasattr(images, "__next__"):
        raise InputError("images is an iterator; pass batches that can be iterated several times")
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
