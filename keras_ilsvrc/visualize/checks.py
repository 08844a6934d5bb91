"""What is given to look at, as arrays: images, numbers of maps and of classes."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.layers.graph import Call


def type_of(image: Any) -> str:
    """Of what type images are given to the layers: one that a gradient can be of."""
    return image.dtype if "float" in image.dtype else "float32"


def check_batch(root: Call, images: Any) -> np.ndarray:
    """Images for the model; one alone becomes a batch.

    Raises:
        InputError: If they are no images of the model's size, or none at all.
    """
    given = array_of("images", images)
    wanted = root.inputs[0].shape[1:]
    if given.dtype.kind not in "uif":
        raise InputError(
            f"images are of type {given.dtype}; expected numbers, (height, width, channels)"
        )
    given = given[None] if given.ndim == len(wanted) else given
    if not len(given):
        raise InputError("images hold no image; give at least one")
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
    """A value as an array.

    Raises:
        InputError: If its rows are of several lengths.
    """
    try:
        return np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name} cannot be made an array: rows of several lengths") from error


def numbers_of(name: str, value: Any, count: int) -> np.ndarray:
    """Whole numbers from 0 to count - 1 in a row; one alone too.

    Raises:
        InputError: If they are something else.
    """
    given = np.atleast_1d(array_of(name, value))
    whole = given.ndim == 1 and given.size and given.dtype.kind in "ui"
    if not whole or given.min() < 0 or given.max() >= count:
        raise InputError(f"{name} is {value!r}; expected whole numbers from 0 to {count - 1}")
    return given


def batches_of(images: Any, batch_size: int) -> Iterator[np.ndarray]:
    """Batches of images: of an array, or as an iterable gives them, without their labels.

    Raises:
        InputError: If it is neither.
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
            "channels), or batches of it"
        )


def silent(done: int) -> None:
    """Tells nobody."""


def check_count(name: str, value: Any) -> None:
    """Refuses what is no whole number of at least 1."""
    if not isinstance(value, int) or value < 1:
        raise InputError(f"{name} is {value!r}; expected at least 1")
