"""Reader of `.npz` files: NumPy arrays in a zip file. Pickled objects are refused."""

import math
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy

from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.weights.readers.zips import members
from keras_ilsvrc.weights.tensors import Stored

# {version of the .npy format: function that reads the header}
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read(path: Path) -> dict[str, Stored]:
    """Return the arrays, {key: array}. The zip file stays open as long as an array is in use.

    Raises:
        InputError: If an array has values other than numbers.
        ValueError, BadZipFile: If the file is damaged, or a check of `members` fails.
    """
    members(path)  # raises an error for a damaged or hostile zip file
    archive = ZipFile(path)
    return {info.filename.removesuffix(".npy"): _member(archive, info) for info in archive.filelist}


def _member(archive: ZipFile, info: ZipInfo) -> Stored:
    with archive.open(info) as file:
        version = npy.read_magic(file)
        if version not in HEADERS:
            raise ValueError(f"{info.filename} has .npy version {version}, expected 1.0 or 2.0")
        shape, _, dtype = HEADERS[version](file)
        size = file.tell() + math.prod(shape) * dtype.itemsize
    if dtype.kind not in "biuf":
        raise InputError(
            f"{archive.filename}: array {info.filename} has dtype {dtype}, expected numbers; save "
            "the file again without object, string and structured arrays"
        )
    if size != info.file_size:
        raise ValueError(f"{info.filename} has {info.file_size:,} bytes, expected {size:,}")

    def load() -> np.ndarray:
        with archive.open(info) as file:
            return npy.read_array(file, allow_pickle=False)

    return Stored(shape, dtype, load)
