"""Reader of the ILSVRC 2012 development kit: WordNet ids (synsets) and validation labels."""

import gzip
import io
import tarfile
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from keras_ilsvrc.data.source import reading
from keras_ilsvrc.utils.errors import InputError

NAME = "ILSVRC2012_devkit_t12"
META, TRUTH = "data/meta.mat", "data/ILSVRC2012_validation_ground_truth.txt"
MAX_KIT_BYTES = 64 << 20  # maximum bytes of the unpacked kit, and of each file in it


class Devkit(NamedTuple):
    """Contents of the ILSVRC 2012 development kit.

    Attributes:
        synsets: WordNet ids of the classes, in order of their ILSVRC2012_ID, which counts from 1.
        truth: ILSVRC2012_ID of the class of every validation image, in order of the image names.
        path: Path of the archive or the unpacked folder.
    """

    synsets: list[str]
    truth: list[int]
    path: Path


def read_devkit(root: Path) -> Devkit | None:
    """Read the ILSVRC 2012 development kit in a folder, packed or unpacked.

    Returns:
        Contents of the kit; None if the folder contains no kit.

    Raises:
        InputError: If the kit is damaged.
    """
    folder, archive = root / NAME, root / f"{NAME}.tar.gz"
    path = folder if folder.is_dir() else archive
    if not path.exists():
        return None
    from scipy.io import loadmat

    with reading(f"{path}: {META} or {TRUTH}"):
        read = _from_folder if path == folder else _from_archive
        meta, truth = (read(path, name) for name in (META, TRUTH))
        rows = np.atleast_1d(loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"])
        # Leave out synsets with children: they are groups of classes, and never labels of images.
        leaves = sorted(
            (int(x["ILSVRC2012_ID"]), str(x["WNID"])) for x in rows if not x["num_children"]
        )
        numbers = [int(word) for word in truth.split()]
    if [number for number, _ in leaves] != list(range(1, len(leaves) + 1)):
        raise InputError(
            f"{path}: {META} does not number its synsets 1 to {len(leaves)}; download it again"
        )
    for line, number in enumerate(numbers, 1):
        if not 1 <= number <= len(leaves):
            raise InputError(
                f"{path}: {TRUTH} line {line}: class {number}; expected 1 to {len(leaves)}"
            )
    return Devkit([name for _, name in leaves], numbers, path)


def _from_folder(path: Path, name: str) -> bytes:
    with open(path / name, "rb") as file:
        return _limited(file, name)


def _from_archive(path: Path, name: str) -> bytes:
    # Read the whole archive: the checksum that reveals damage is at the end of a gzip file.
    with gzip.open(path) as whole:
        content = io.BytesIO(_limited(whole, path.name))
    with tarfile.open(fileobj=content) as archive:
        file = archive.extractfile(f"{NAME}/{name}")
        if file is None:
            raise ValueError(f"{name} is not a file")
        return _limited(file, name)


def _limited(file: IO[bytes] | gzip.GzipFile, name: str) -> bytes:
    content = file.read(MAX_KIT_BYTES + 1)
    if len(content) > MAX_KIT_BYTES:
        raise ValueError(f"{name} is larger than {MAX_KIT_BYTES:,} bytes")
    return content
