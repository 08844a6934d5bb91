"""Preprocessing of images that a user passes as paths or arrays."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.apply import NO_SEED, apply_ops
from keras_ilsvrc.data.decode import read_image
from keras_ilsvrc.data.headers import own_limit
from keras_ilsvrc.data.types import Rows, Statistics
from keras_ilsvrc.utils.errors import InputError, reason

Shape = Sequence[int | None]  # height, width, channels


def preprocess_images(images: Any, rows: Rows, statistics: Statistics, shape: Shape) -> np.ndarray:
    """Return preprocessed images: (images, height, width, channels), float32.

    Args:
        images: Path of an image, uint8 array (height, width, channels) or (images, height,
            width, channels), or list of paths and arrays, which may differ in size.
        rows: Ops with their arguments, applied in order; none may be random.
        statistics: Statistics of the training images that the ops need.
        shape: Expected height, width and channels; None for a height or width of any size.

    Raises:
        InputError: If an item of `images` is not an image, is rejected by an op, or does not have
            the expected size after preprocessing.
    """
    with own_limit():
        made = [
            preprocess_image(number, one, rows, statistics, shape)
            for number, one in enumerate(listed(images))
        ]
    sizes = {one.shape for one in made}
    if len(sizes) > 1:
        found = " and ".join("x".join(map(str, size[:2])) for size in sorted(sizes)[:2])
        raise InputError(
            f"images have sizes {found} after preprocessing; expected one size: resize them first"
        )
    return np.stack(made) if made else np.zeros((0, *(size or 0 for size in shape)), "float32")


def preprocess_image(
    number: int, image: Path | np.ndarray, rows: Rows, statistics: Statistics, shape: Shape
) -> np.ndarray:
    """Preprocess one image to float32; `number` is its index in the user's list."""
    channels = shape[-1]
    assert channels is not None
    if isinstance(image, Path):
        name, raw = str(image), read_image(image, channels)
    else:
        name = f"images[{number}]"
        raw = _with_channels(name, image, channels)
    try:
        made = apply_ops(raw, rows, NO_SEED, statistics)
    except (InputError, tf.errors.InvalidArgumentError) as error:
        raise InputError(f"{name}: {reason(error)}") from error
    if any(side not in (None, size) for side, size in zip(shape, made.shape, strict=True)):
        found, expected = ("x".join(map(str, x[:2])) for x in (made.shape, shape))
        raise InputError(
            f"{name}: expected {expected} pixels after preprocessing, found {found}; resize it"
        )
    return np.asarray(made, "float32")


def listed(images: Any) -> list[Path | np.ndarray]:
    """Convert the user's images to a list, in which each item is a path or an array of one image.

    Raises:
        InputError: If `images` is neither a path, an array nor a list.
    """
    if isinstance(images, (str, Path)) or (isinstance(images, np.ndarray) and images.ndim < 4):
        images = [images]
    if not isinstance(images, (Sequence, np.ndarray)):
        raise InputError(
            f"images has the type {type(images).__name__}; expected a path, a uint8 array, or a "
            "list of paths and arrays"
        )
    return [Path(one) if isinstance(one, (str, Path)) else np.asarray(one) for one in images]


def _with_channels(name: str, image: np.ndarray, channels: int) -> np.ndarray:
    """Return a raw image with `channels` channels. A grey image is converted to RGB if needed."""
    image = image[..., None] if image.ndim == 2 else image
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] not in (1, channels):
        raise InputError(
            f"{name} has shape {'x'.join(map(str, image.shape))} and dtype {image.dtype}; expected "
            f"a raw image of shape height x width x {channels} and dtype uint8"
        )
    return np.repeat(image, channels, -1) if image.shape[-1] < channels else image
