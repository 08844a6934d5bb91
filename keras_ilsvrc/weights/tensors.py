"""`Tensors`: the named arrays of a weight file, each read only when it is used."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Stored(NamedTuple):
    """One array in a file: its shape and dtype, and a function that reads its values.

    Attributes:
        shape: Shape of the array.
        dtype: Data type of the array.
        load: Function that reads all values, and verifies the checksum if the format has one.
        rows: Function that reads entries `start` to `stop` of the first axis, without `stop`; None
            if the format does not allow it, for example because the values are compressed.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    load: Callable[[], np.ndarray]
    rows: Callable[[int, int], np.ndarray] | None = None


class Tensors(Mapping[str, np.ndarray]):
    """Named arrays of a weight file.

    Each access `tensors[name]` reads the array from the file. Shapes and dtypes are known without
    reading arrays.

    Attributes:
        path: Path of the file.
        format: Name of the file format, for example "safetensors".
        stored: {name: `Stored`}, in the order of the file.
    """

    def __init__(self, path: Path, format: str, stored: Mapping[str, Stored]):
        self.path, self.format, self.stored = path, format, dict(stored)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.stored[name].load()

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array without reading it."""
        return self.stored[name].shape
