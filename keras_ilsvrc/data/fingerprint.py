"""Fingerprints of image sets (splits), to compare two sets without decoding the images."""

import hashlib
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_ilsvrc.data.split import Split
from keras_ilsvrc.errors import InputError


class Fingerprint(NamedTuple):
    """Fingerprint of the images of a split.

    Attributes:
        number: Number of images.
        digest: SHA-256 of the name, size in bytes and label of each image, in order.
        stamp: SHA-256 of data that change with the content: for files, the modification times; for
            encoded images in memory, their checksums; for pixels, the pixels themselves.
    """

    number: int
    digest: str
    stamp: str


def same_content(one: Split, other: Split) -> bool:
    """Return whether two splits with the same digest also have the same image bytes."""
    return _content(one) == _content(other)


def _content(split: Split) -> str:
    found = hashlib.sha256()
    if split.pixels is not None:
        found.update(np.ascontiguousarray(split.pixels).data)
    else:
        for row in split.rows.tolist():
            found.update(split.store.read(row))
    return found.hexdigest()


def fingerprint(split: Split) -> Fingerprint:
    """Return the fingerprint of a split's images.

    Image names are relative to their deepest common folder, so that moving a dataset does not
    change its fingerprint.

    Raises:
        InputError: If a file cannot be read.
    """
    names = [split.name(index) for index in range(len(split))]
    start = len(common_folder(names))
    digest, stamp = hashlib.sha256(), hashlib.sha256()
    for name, row, label in zip(names, split.rows.tolist(), split.labels.tolist()):
        try:
            size, version = split.store.version(row)
        except OSError as error:
            raise InputError(f"{name}: cannot be read: {error.strerror}") from error
        line = f"{name[start:]}\0{size}\0{label}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
        stamp.update(f"{version}\n".encode())
    if split.pixels is not None:
        stamp.update(np.ascontiguousarray(split.pixels).data)
    return Fingerprint(len(split), digest.hexdigest(), stamp.hexdigest())


def common_folder(names: Sequence[str]) -> str:
    """Return the deepest folder that contains all of the named files; "" if there is none."""
    ends = [os.path.dirname(x) for x in (min(names), max(names))] if names else [""]
    return os.path.commonpath(ends)
