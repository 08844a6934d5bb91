"""Reader of `.keras` files: the weights only. The description of the model is not read."""

import io
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

from keras_ilsvrc.weights.readers import hdf5
from keras_ilsvrc.weights.readers.values import Run
from keras_ilsvrc.weights.readers.zips import members
from keras_ilsvrc.weights.tensors import Stored

WEIGHTS = "model.weights.h5"


class _Part(io.FileIO):
    """A range of bytes of a file as a file of its own."""

    def __init__(self, path: Path, run: Run):
        super().__init__(path)
        self.run = run
        self.seek(0)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        bases = (self.run.start, super().tell(), self.run.stop)
        return super().seek(bases[whence] + offset) - self.run.start

    def tell(self) -> int:
        return super().tell() - self.run.start

    def readinto(self, buffer: Any, /) -> int:
        left = max(self.run.stop - super().tell(), 0)
        return super().readinto(memoryview(buffer)[:left]) or 0

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(self.run.stop - super().tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left)) or b""


def read(path: Path) -> dict[str, Stored]:
    """Return the datasets of the member `model.weights.h5`, {path: array}; see `hdf5.read`.

    Raises:
        ValueError, KeyError, BadZipFile: If the file is damaged.
        Exception: As in `hdf5.read`.
    """
    member = members(path)[WEIGHTS]
    if not member.plain:
        raise ValueError(f"{WEIGHTS} is compressed; unpack the file, and name {WEIGHTS} in it")
    part, checksum = _Part(path, member.run), 0
    while block := part.read(2**20):
        checksum = zlib.crc32(block, checksum)
    if checksum != member.checksum:
        raise ValueError(f"{WEIGHTS} is damaged: its checksum is wrong")
    return hdf5.tensors(cast(BinaryIO, part))
