"""Whether a net knows a part again: Zeiler and Fergus, arXiv:1311.2901, section 4.3, table 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import keras
import numpy as np

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.visualize.checks import array_of
from keras_ilsvrc.visualize.occlusion import filling
from keras_ilsvrc.visualize.probe import Probe


@dataclass(frozen=True)
class Correspondence:
    """How differently covering a part changes the features of several images.

    Attributes:
        mean: Over the pairs of images, the share of features whose change has another sign: 0
            where a part always means the same.
        std: Its standard deviation over the pairs.
        pairs: How many there are.
    """

    mean: float
    std: float
    pairs: int


def correspondence(
    model: keras.Model, images: Any, boxes: Any, layer: str, fill: Any = 0.0
) -> Correspondence:
    """Covers the same part of several images and compares what that changes.

    With x the features of an image and x' those of the image with the part covered, e = x - x';
    of two images the signs of e are compared, feature by feature. The sign of no change is 0.

    Args:
        model: Functional, of one image.
        images: (images, height, width, channels), at least two, as the model takes them.
        boxes: (images, 4): top, left, height and width of the part in pixels.
        layer: Whose features, as for `Probe`.
        fill: What covers it: a number, one for each channel, or an image.

    Raises:
        InputError: If there are fewer than two images, or a box is not inside its image.
    """
    probe = Probe(model, layer)
    images = probe.batch(images)
    boxes = array_of("boxes", boxes)
    if len(images) < 2:
        raise InputError("images is one image; give at least two that show the same part")
    if boxes.shape != (len(images), 4) or boxes.dtype.kind not in "ui":
        raise InputError(
            f"boxes are of {boxes.shape}; expected whole numbers, a top, left, height and width "
            f"for each of {len(images)} images"
        )
    size = images.shape[1:3]
    covered = images.copy()
    filled = filling(fill, images.shape[1:])
    for image, (top, left, height, width) in zip(covered, boxes.tolist()):
        inside = 0 <= top <= size[0] - height and 0 <= left <= size[1] - width
        if not inside or min(height, width) < 1:
            raise InputError(
                f"a box of {height}x{width} at {top}, {left} is not inside an image of "
                f"{size[0]}x{size[1]}; mend boxes"
            )
        here = slice(top, top + height), slice(left, left + width)
        image[here] = filled[here]
    whole, part = (probe.activations(x).numpy().reshape(len(x), -1) for x in (images, covered))
    signs = np.sign(whole - part)
    shares = [float((signs[i] != signs[j]).mean()) for i, j in combinations(range(len(signs)), 2)]
    return Correspondence(float(np.mean(shares)), float(np.std(shares)), len(shares))


def random_boxes(images: int, size: Sequence[int], shape: Sequence[int], seed: int) -> np.ndarray:
    """(images, 4): a box anywhere in each image, for comparison.

    Args:
        images: How many.
        size: Height and width of the boxes.
        shape: Height and width of the images.
        seed: Of the places.

    Raises:
        InputError: If the boxes are larger than the images.
    """
    if size[0] > shape[0] or size[1] > shape[1]:
        raise InputError(
            f"a box of {size[0]}x{size[1]} is not inside an image of {shape[0]}x{shape[1]}; "
            "mend boxes"
        )
    random = np.random.default_rng(seed)
    places = [random.integers(0, whole - part + 1, images) for whole, part in zip(shape, size)]
    return np.stack([*places, np.full(images, size[0]), np.full(images, size[1])], 1)
