"""The data source `idx:PATH`: images in MNIST's file format (IDX), plain or compressed."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from keras_ilsvrc.data.folder import check_folder
from keras_ilsvrc.data.source import Source
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Numbered
from keras_ilsvrc.utils.errors import InputError

SPLITS = {"train": "train", "test": "t10k"}
# Magic number at the start of each kind of file: a byte for the type of the values (8 for uint8),
# then a byte for the number of dimensions.
MAGIC = {"images-idx3": 0x803, "labels-idx1": 0x801}
MAX_BYTES = 4 << 30  # maximum bytes of values in one file, without the header
DIGITS = tuple("0123456789")
FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def idx(root: Path) -> Source:
    """Read MNIST, or other grey images with ten classes in MNIST's file format, as a data source.

    The files are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
    `t10k-labels-idx1-ubyte`, with or without `.gz` (http://yann.lecun.com/exdb/mnist, "file
    formats"). The splits are train and test. Classes are named 0 to 9, or as in Fashion-MNIST if
    the name of the folder contains `fashion`.

    Args:
        root: Path of the folder that contains the four files.

    Raises:
        InputError: If a file is missing, damaged, or does not match the others.
    """
    check_folder(root)
    splits, size = {}, None
    for name, prefix in SPLITS.items():
        images, labels = (_find(root, f"{prefix}-{kind}-ubyte") for kind in MAGIC)
        pixels, answers = (read_idx(*pair) for pair in zip((images, labels), MAGIC.values()))
        if len(answers) != len(pixels):
            raise InputError(
                f"{labels}: {len(answers)} labels; expected {len(pixels)}, one for each image in "
                f"{images.name}"
            )
        for index in np.flatnonzero(answers > 9)[:1]:
            raise InputError(f"{labels}: label {answers[index]} of image {index}; expected 0 to 9")
        size = size or pixels.shape[1:]
        if pixels.shape[1:] != size:
            raise InputError(
                f"{images}: images have shape {pixels.shape[1:]}; expected {size}, as in train"
            )
        splits[name] = Split(
            answers.astype("int32"), pixels[..., None], Numbered(f"{root.name} {name}"), channels=1
        )
    fashion = "fashion" in root.resolve().name.lower()
    return Source(f"idx:{root}", splits, FASHION if fashion else DIGITS)


def _find(root: Path, name: str) -> Path:
    for path in (root / name, root / f"{name}.gz"):
        if path.is_file():
            return path
    raise InputError(f"{root}: found neither {name} nor {name}.gz; put one of these files there")


def read_idx(path: Path, magic: int) -> np.ndarray:
    """Return the uint8 values of a file in MNIST's format, in the shape given by its header.

    Args:
        path: Path of the file, which is decompressed if its name ends in `.gz`.
        magic: Expected magic number.

    Raises:
        InputError: If the file cannot be read, has another magic number, has more than `MAX_BYTES`
            values, or does not have as many values as its header says.
    """
    dimensions = magic & 0xFF
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            header = file.read(4 * (1 + dimensions))
            found = int.from_bytes(header[:4])
            if found != magic:
                raise InputError(
                    f"{path}: magic number {found}; expected {magic}; download it again"
                )
            shape = struct.unpack(f">{dimensions}I", header[4:])
            size = math.prod(shape)
            if size > MAX_BYTES:
                raise InputError(
                    f"{path}: its header declares {size:,} bytes; expected at most {MAX_BYTES:,}"
                )
            values = file.read(size + 1)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); download it again") from error
    if len(values) != size:
        count = f"{len(values):,} bytes" if len(values) < size else "more"
        raise InputError(
            f"{path}: its header declares {size:,} bytes of values, but it contains {count}; "
            "download it again"
        )
    return np.frombuffer(values, "uint8").reshape(shape)
