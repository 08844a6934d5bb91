"""Fingerprints of splits: whether two sets of images are the same, without decoding them."""

import hashlib
import os
from typing import NamedTuple

import numpy as np

from keras_ilsvrc.data.split import Split
from keras_ilsvrc.errors import InputError


class Fingerprint(NamedTuple):
    """Identity of the images of a split.

    Attributes:
        number: Number of images.
        digest: SHA-256 of the name, the size in bytes and the label of each, in order.
        stamp: SHA-256 of what changes with the content: times of files, or the bytes or pixels
            that are in memory.
    """

    number: int
    digest: str
    stamp: str


def fingerprint(split: Split) -> Fingerprint:
    """Return what identifies the images of a split.

    Names count from the folder on that all of them share, so that a dataset can be moved.

    Raises:
        InputError: If a file is gone.
    """
    names = [split.name(index) for index in range(len(split))]
    ends = [os.path.dirname(x) for x in (min(names), max(names))] if names else [""]
    start = len(os.path.commonpath(ends))
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
