"""Arrays whose values are stored in byte ranges of a file, and are read when they are used."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_ilsvrc.weights.tensors import Stored

BFLOAT16 = "bfloat16"  # a type that NumPy lacks; its values are converted to float32 exactly
DIMENSIONS = 32  # maximum number of dimensions of an array


class Run(NamedTuple):
    """Range of bytes in a file."""

    start: int
    stop: int


def width_of(code: str) -> int:
    """Return the number of bytes of a stored value."""
    return 2 if code == BFLOAT16 else np.dtype(code).itemsize


def stored(
    name: str,
    path: Path,
    shape: tuple[int, ...],
    code: str,
    runs: Sequence[Run],
    decode: Callable[[np.ndarray, np.dtype], np.ndarray] | None = None,
) -> Stored:
    """Return an array whose values are stored in byte ranges of a file, one after the other.

    Args:
        name: Name of the array, for error messages.
        path: Path of the file.
        shape: Shape that the file declares for the array.
        code: Type of the stored values: a NumPy dtype, or `BFLOAT16`.
        runs: Byte ranges in the file.
        decode: Function that decodes bytes to values of a dtype; each value takes at least one
            byte. None if the bytes need no decoding.

    Raises:
        ValueError: If the ranges have more or fewer bytes than values of this shape need, or the
            shape has more than 32 dimensions.
    """
    dtype = np.dtype("<u2" if code == BFLOAT16 else code)
    if len(shape) > DIMENSIONS:
        raise ValueError(f"{name} has {len(shape):,} dimensions, expected at most {DIMENSIONS}")
    size, count = sum(stop - start for start, stop in runs), math.prod(shape)
    expected = count if decode else count * dtype.itemsize
    if size < expected or (size > expected and not decode):
        raise ValueError(f"{name} has {size:,} bytes, expected {expected:,} for shape {shape}")

    def load() -> np.ndarray:
        data = _bytes(name, path, runs)
        return widened(decode(data, dtype) if decode else data.view(dtype)).reshape(shape)

    def rows(start: int, stop: int) -> np.ndarray:
        row, first = math.prod(shape[1:]) * dtype.itemsize, runs[0].start
        data = _bytes(name, path, [Run(first + start * row, first + stop * row)])
        return widened(data.view(dtype)).reshape(stop - start, *shape[1:])

    def widened(values: np.ndarray) -> np.ndarray:
        if code == BFLOAT16:  # a bfloat16 is the upper half of a float32
            values = values.astype("<u4")
            values <<= 16
            values = values.view("<f4")
        return values

    final = np.dtype("<f4") if code == BFLOAT16 else dtype
    return Stored(shape, final, load, rows if shape and len(runs) == 1 and not decode else None)


def _bytes(name: str, path: Path, runs: Sequence[Run]) -> np.ndarray:
    """Return the bytes in the ranges of an array."""
    size, at = sum(stop - start for start, stop in runs), 0
    data = np.empty(size, "u1")
    with open(path, "rb") as file:
        for start, stop in runs:
            file.seek(start)
            at += file.readinto(data[at : at + stop - start])  # type: ignore[arg-type]
    if at < size:
        raise ValueError(f"the values of {name} end after {at:,} bytes, expected {size:,}")
    return data
