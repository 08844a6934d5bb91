"""Which part of an image a net looks at: Zeiler and Fergus, arXiv:1311.2901, figure 7."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.visualize.checks import check_count, numbers_of
from keras_ilsvrc.visualize.probe import Probe, maps_of


@dataclass(frozen=True)
class Occlusion:
    """What a net says of an image while a square slides over it.

    Attributes:
        label: The class whose probability is recorded.
        map: The map of the layer that is strongest for the whole image, by its total.
        tops: (down,): first row of the square, in pixels.
        lefts: (across,): first column of the square.
        square: Its side, in pixels.
        probability: (down, across): of the class.
        labels: (down, across): the most likely class.
        activation: (down, across): total of the map.
        whole: Probability and total without the square.
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
    """Slides a grey square over an image and records what the net makes of the rest.

    The paper does not give the size of its square; a fifth of the shorter side, moved by a fourth
    of itself, is what is taken here.

    Args:
        model: A classifier, functional, of one image.
        image: (height, width, channels) as the model takes it.
        label: The true class; by default the one most likely for the whole image.
        layer: Of maps; by default the last one whose maps are larger than 1x1.
        square: Its side in pixels.
        stride: By how many pixels it moves.
        fill: What the square holds, on the scale of the image: a number, one for each channel, or
            an image.
        batch_size: How many squares at once.
        progress: Called with the squares done and those to do.

    Raises:
        InputError: If the model is not functional, has no such layer or class, takes other images,
            or the square does not fit into the image.
    """
    return Occluder(model, layer)(image, label, square, stride, fill, batch_size, progress)


class Occluder:
    """Occlusion of many images by one graph; its arguments are those of `occlusion`."""

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
        """As `occlusion`."""
        images = self.probe.batch(image)
        check_count("batch_size", batch_size)
        if len(images) != 1:
            raise InputError(f"image is a batch of {len(images)}; give one image")
        height, width = images.shape[1:3]
        square = min(max(2, min(height, width) // 5), height, width) if square is None else square
        stride = max(1, square // 4) if stride is None else stride
        whole_numbers = isinstance(square, int) and isinstance(stride, int)
        if not whole_numbers or not 0 < square <= min(height, width) or stride < 1:
            raise InputError(
                f"a square of {square} moved by {stride} does not fit an image of {height}x{width}"
            )
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

    def _graph(self, images):
        """Probabilities (images, classes), and totals (images, maps)."""
        values = self.probe.values(images)
        totals = tf.reduce_sum(tf.cast(values[id(self.maps)], "float32"), (1, 2))
        return self.probe.probable(tf.cast(values[id(self.probe.target)], "float32")), totals


def filling(fill: Any, shape: Sequence[int]) -> np.ndarray:
    """What covers an image (height, width, channels): a number, one for each channel, or an image.

    Raises:
        InputError: If it is none of them.
    """
    try:
        return np.broadcast_to(np.asarray(fill, "float32"), shape)
    except ValueError as error:
        raise InputError(
            f"fill is of {np.shape(fill)}; expected a number, {shape[2]} numbers or an image"
        ) from error


def steps(size: int, square: int, stride: int) -> np.ndarray:
    """Where a square begins, from one border to the other; the last step may be shorter."""
    last = size - square
    return np.unique(np.append(np.arange(0, last + 1, stride), last))
