"""Checks of the arguments of visualizations: images, and indices of feature maps or classes."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from keras_ilsvrc.layers.arguments import is_whole
from keras_ilsvrc.layers.graph import Call
from keras_ilsvrc.utils.errors import InputError


def type_of(image: Any) -> str:
    """Return the dtype for images: that of the input `image` if it is a float, else float32."""
    return image.dtype if "float" in image.dtype else "float32"


def check_batch(root: Call, images: Any) -> np.ndarray:
    """Return images as a batch that fits a model; a single image becomes a batch of one.

    Raises:
        InputError: If there are no images, or if they do not fit the input of the model.
    """
    given = array_of("images", images)
    wanted = root.inputs[0].shape[1:]
    if given.dtype.kind not in "uif":
        raise InputError(f"images have dtype {given.dtype}; expected an array of numbers")
    given = given[None] if given.ndim == len(wanted) else given
    if not len(given):
        raise InputError("images is empty; pass at least one image")
    fits = given.ndim == len(wanted) + 1 and all(
        size in (None, found) for size, found in zip(wanted, given.shape[1:])
    )
    if not fits:
        raise InputError(
            f"images are {'x'.join(map(str, given.shape[1:]))}, but {root.operation.name} takes "
            f"{'x'.join(str(size or '?') for size in wanted)}; resize or crop them"
        )
    return given.astype(type_of(root.inputs[0]), copy=False)


def array_of(name: str, value: Any) -> np.ndarray:
    """Convert a value, for example a list of numbers, to a NumPy array.

    Raises:
        InputError: If its rows have different lengths.
    """
    try:
        return np.asarray(value)
    except ValueError as error:
        raise InputError(
            f"{name} has rows of different lengths; expected an array with rows of equal length"
        ) from error


def numbers_of(name: str, value: Any, count: int) -> np.ndarray:
    """Convert one or several indices to an array, and check that they are from 0 to `count` - 1.

    Raises:
        InputError: If an index is out of range or not a whole number.
    """
    given = np.atleast_1d(array_of(name, value))
    whole = given.ndim == 1 and given.size and given.dtype.kind in "ui"
    if not whole or given.min() < 0 or given.max() >= count:
        raise InputError(f"{name} is {value!r}; expected whole numbers from 0 to {count - 1}")
    return given


def batches_of(images: Any, batch_size: int) -> Iterator[np.ndarray]:
    """Yield batches of images from an array or from an iterable of batches, without their labels.

    Raises:
        InputError: If `images` is neither an array nor iterable.
    """
    check_count("batch_size", batch_size)
    if hasattr(images, "shape"):
        images = np.asarray(images)
        images = images[None] if images.ndim == 3 else images
        for start in range(0, len(images), batch_size):
            yield images[start : start + batch_size]
    elif isinstance(images, Iterable) and not isinstance(images, (str, bytes)):
        for batch in images:
            yield np.asarray(batch[0] if isinstance(batch, (tuple, list)) else batch)
    else:
        raise InputError(
            f"images is a {type(images).__name__}; expected an array (images, height, width, "
            "channels), or an iterable of such batches"
        )


def check_count(name: str, value: Any) -> None:
    """Raise an InputError unless the value is a whole number of at least 1."""
    if not is_whole(value, 1):
        raise InputError(f"{name} is {value!r}; expected a whole number of at least 1")
