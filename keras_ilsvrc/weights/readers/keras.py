"""Reader of the weights in `.keras` files. The description of the model is not read."""

import zlib
from pathlib import Path

from keras_ilsvrc.weights.readers import hdf5
from keras_ilsvrc.weights.readers.values import Run
from keras_ilsvrc.weights.readers.zips import members
from keras_ilsvrc.weights.tensors import Stored

WEIGHTS, BLOCK = "model.weights.h5", 2**20


def read(path: Path) -> dict[str, Stored]:
    """Return the datasets of the member `model.weights.h5`, {path: array}; see `hdf5.read`.

    Raises:
        ValueError, KeyError, BadZipFile: If the file is damaged, or a check of `members` fails.
        Exception: If a check of `hdf5.read` fails.
    """
    (start, stop), expected, plain = members(path)[WEIGHTS]
    if not plain:
        raise ValueError(
            f"{WEIGHTS} is compressed; unpack the file, and pass the path of the unpacked {WEIGHTS}"
        )
    checksum = 0
    with open(path, "rb") as file:
        file.seek(start)
        for at in range(start, stop, BLOCK):
            checksum = zlib.crc32(file.read(min(BLOCK, stop - at)), checksum)
    if checksum != expected:
        raise ValueError(f"{WEIGHTS} is damaged: its checksum is wrong")
    return hdf5.tensors(path, Run(start, stop))
