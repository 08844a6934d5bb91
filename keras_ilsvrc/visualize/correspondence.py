"""Correspondence of object parts between images (Zeiler and Fergus, arXiv:1311.2901, table 1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import keras
import numpy as np

from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.checks import array_of
from keras_ilsvrc.visualize.occlusion import filling
from keras_ilsvrc.visualize.probe import Probe


@dataclass(frozen=True)
class Correspondence:
    """Comparison of how the features of several images change when the same part is covered.

    Attributes:
        mean: Fraction of features whose changes have different signs in two images, averaged over
            all pairs of images. The paper gives the sum. 0 means equal signs in all images.
        std: Standard deviation of this fraction over the pairs of images.
        pairs: Number of pairs of images.
    """

    mean: float
    std: float
    pairs: int


def correspondence(
    model: keras.Model, images: Any, boxes: Any, layer: str, fill: Any = 0.0
) -> Correspondence:
    """Cover the same object part in several images and compare how the features change.

    If x are the features of an image, and x' its features with the part covered, the change is
    e = x - x' (section 4.3). For each pair of images, the signs of e (1, 0 or -1) are compared
    feature by feature.

    Args:
        model: Functional model with one image as its input.
        images: (images, height, width, channels), at least two, preprocessed for the model.
        boxes: (images, 4): top, left, height and width of the part in pixels.
        layer: Name of the layer with the features, as in `Probe`.
        fill: Values that cover the part: a number, one for each channel, or an image.

    Raises:
        InputError: If there are fewer than two images, or a box is not inside its image.
    """
    probe = Probe(model, layer)
    images = probe.batch(images)
    boxes = array_of("boxes", boxes)
    if len(images) < 2:
        raise InputError(
            "images has one image; pass at least two images that show the same object part"
        )
    if boxes.shape != (len(images), 4) or boxes.dtype.kind not in "ui":
        raise InputError(
            f"boxes have shape {boxes.shape} and dtype {boxes.dtype}; expected whole numbers (top, "
            f"left, height, width) for each of {len(images)} images"
        )
    covered = _covered(images, boxes.tolist(), fill)
    whole, part = (probe.activations(x).numpy().reshape(len(x), -1) for x in (images, covered))
    signs = np.sign(whole - part)
    shares = [float((signs[i] != signs[j]).mean()) for i, j in combinations(range(len(signs)), 2)]
    return Correspondence(float(np.mean(shares)), float(np.std(shares)), len(shares))


def _covered(images: np.ndarray, boxes: Sequence[Sequence[int]], fill: Any) -> np.ndarray:
    """Return copies of the images, each with its own box covered by `fill`."""
    size = images.shape[1:3]
    covered = images.copy()
    filled = filling(fill, images.shape[1:])
    for image, (top, left, height, width) in zip(covered, boxes):
        inside = 0 <= top <= size[0] - height and 0 <= left <= size[1] - width
        if not inside or min(height, width) < 1:
            raise InputError(
                f"a box of {height}x{width} at row {top}, column {left} is not inside an image of "
                f"{size[0]}x{size[1]}; correct this box"
            )
        here = slice(top, top + height), slice(left, left + width)
        image[here] = filled[here]
    return covered


def random_boxes(images: int, size: Sequence[int], shape: Sequence[int], seed: int) -> np.ndarray:
    """Return one randomly placed box per image, as an array (images, 4), for a baseline.

    Args:
        images: Number of images.
        size: Height and width of the boxes.
        shape: Height and width of the images.
        seed: Seed of the positions.

    Raises:
        InputError: If the boxes are larger than the images.
    """
    if size[0] > shape[0] or size[1] > shape[1]:
        raise InputError(
            f"a box of {size[0]}x{size[1]} is larger than an image of {shape[0]}x{shape[1]}; "
            "choose a smaller box"
        )
    random = np.random.default_rng(seed)
    places = [random.integers(0, whole - part + 1, images) for whole, part in zip(shape, size)]
    return np.stack([*places, np.full(images, size[0]), np.full(images, size[1])], 1)
