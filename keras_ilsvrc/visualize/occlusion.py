"""Sensitivity of a net to covered image parts (Zeiler and Fergus, arXiv:1311.2901, figure 7)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.layers.arguments import is_whole
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.checks import check_count, numbers_of
from keras_ilsvrc.visualize.probe import Probe, maps_of


@dataclass(frozen=True)
class Occlusion:
    """Outputs of a net for one image, for each position of a square that covers a part of it.

    Attributes:
        label: Class whose probability is recorded.
        map: Index of the feature map with the largest total activation for the uncovered image.
        tops: (down,): first pixel row of the square, for each vertical position.
        lefts: (across,): first pixel column of the square, for each horizontal position.
        square: Side of the square, in pixels.
        probability: (down, across): probability of the class `label`.
        labels: (down, across): the most likely class.
        activation: (down, across): total activation of the feature map `map`.
        whole: Probability of `label` and total activation of `map` for the uncovered image.
    """

    label: int
    map: int
    tops: np.ndarray
    lefts: np.ndarray
    square: int
    probability: np.ndarray
    labels: np.ndarray
    activation: np.ndarray
    whole: tuple[float, float]


def occlusion(
    model: keras.Model,
    image: Any,
    label: int | None = None,
    layer: str | None = None,
    square: int | None = None,
    stride: int | None = None,
    fill: Any = 0.0,
    batch_size: int = 32,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Occlusion:
    """Slide a grey square over an image and record the outputs of a net for each position.

    The paper gives neither the size of its square nor its grey value. By default, the side of the
    square is a fifth of the image's shorter side, the stride is a quarter of that, and the grey
    value is 0, the mean of centred images. These defaults are our choice.

    Args:
        model: Functional classifier with one image as its input.
        image: (height, width, channels), preprocessed for the model.
        label: The true class; by default the most likely class of the uncovered image.
        layer: Name of a layer that returns feature maps; by default the last one with maps larger
            than 1x1.
        square: Side of the square in pixels.
        stride: Distance between neighbouring positions in pixels.
        fill: Values of the square, on the scale of the image: a number, one for each channel, or
            an image.
        batch_size: Number of positions per batch.
        progress: Function called with the number of positions done and the total.

    Raises:
        InputError: If the model is not functional or has no such layer or class, or if the image
            does not fit the model or the square does not fit into the image.
    """
    return Occluder(model, layer)(image, label, square, stride, fill, batch_size, progress)


class Occluder:
    """Callable form of `occlusion` that traces its graph only once for many images."""

    def __init__(self, model: keras.Model, layer: str | None = None):
        self.probe = Probe(model)
        self.maps = maps_of(self.probe, layer)
        self._look = self.probe.graph(self._graph)

    def __call__(
        self,
        image: Any,
        label: int | None = None,
        square: int | None = None,
        stride: int | None = None,
        fill: Any = 0.0,
        batch_size: int = 32,
        progress: Callable[[int, int], object] = lambda done, total: None,
    ) -> Occlusion:
        """Return the outputs for one image; see `occlusion`."""
        images = self.probe.batch(image)
        check_count("batch_size", batch_size)
        if len(images) != 1:
            raise InputError(f"image is a batch of {len(images)} images; pass a single image")
        height, width = images.shape[1:3]
        square, stride = _sizes(height, width, square, stride)
        filled = filling(fill, images.shape[1:])
        of_classes, totals = (x.numpy()[0] for x in self._look(images))
        wanted = of_classes.argmax() if label is None else label
        label = int(numbers_of("label", wanted, len(of_classes))[0])
        strongest = int(totals.argmax())
        tops, lefts = (steps(size, square, stride) for size in (height, width))
        places = [(top, left) for top in tops for left in lefts]
        found = []
        for start in range(0, len(places), batch_size):
            some = places[start : start + batch_size]
            batch = np.repeat(images, len(some), 0)
            for covered, (top, left) in zip(batch, some):
                here = slice(top, top + square), slice(left, left + square)
                covered[here] = filled[here]
            probabilities, sums = (x.numpy() for x in self._look(batch))
            found.append((probabilities[:, label], probabilities.argmax(1), sums[:, strongest]))
            progress(start + len(some), len(places))
        shape = len(tops), len(lefts)
        probability, labels, sums = (np.concatenate(x).reshape(shape) for x in zip(*found))
        whole = float(of_classes[label]), float(totals[strongest])
        return Occlusion(label, strongest, tops, lefts, square, probability, labels, sums, whole)

    def _graph(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return class probabilities (images, classes) and sums of feature maps (images, maps)."""
        values = self.probe.values(images)
        totals = tf.reduce_sum(tf.cast(values[id(self.maps)], "float32"), (1, 2))
        return self.probe.probable(tf.cast(values[id(self.probe.target)], "float32")), totals


def _sizes(height: int, width: int, square: int | None, stride: int | None) -> tuple[int, int]:
    """Check the side and stride of the square and return them; replace None with the default."""
    shorter = min(height, width)
    square = min(max(2, shorter // 5), shorter) if square is None else square
    stride = max(1, square // 4) if stride is None else stride
    if not is_whole(square, 1) or not is_whole(stride, 1) or square > shorter:
        raise InputError(
            f"square is {square} and stride is {stride}; expected whole numbers of at least 1, and "
            f"at most {shorter} for the square, which must fit into {height}x{width} pixels"
        )
    return square, stride


def filling(fill: Any, shape: Sequence[int]) -> np.ndarray:
    """Convert `fill` (a number, a number per channel, or an image) to an image of shape `shape`.

    Raises:
        InputError: If `fill` cannot be broadcast to `shape`.
    """
    try:
        return np.broadcast_to(np.asarray(fill, "float32"), shape)
    except ValueError as error:
        raise InputError(
            f"fill has shape {np.shape(fill)}; expected a number, one number for each of "
            f"{shape[2]} channels, or an image"
        ) from error


def steps(size: int, square: int, stride: int) -> np.ndarray:
    """Return the positions of the square along one axis. The last step may be shorter."""
    last = size - square
    return np.unique(np.append(np.arange(0, last + 1, stride), last))
