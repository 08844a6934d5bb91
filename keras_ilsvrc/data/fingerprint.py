"""Fingerprints of image sets (splits), to compare two sets without decoding the images."""

import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from keras_ilsvrc.data import kept
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Store
from keras_ilsvrc.utils.errors import InputError

TOGETHER = 1024  # number of images that are hashed at a time


class Fingerprint(NamedTuple):
    """Fingerprint of the images of a split.

    Attributes:
        number: Number of images.
        digest: SHA-256 of the name, size in bytes and label of each image, in order.
        stamp: SHA-256 of data that change when the content of an image changes: modification times
            of files, checksums of encoded images in memory, or the pixels themselves.
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

    Image names are relative to their deepest common folder, so that moving a data set does not
    change its fingerprint.

    Raises:
        InputError: If a file cannot be read.
    """
    rows, labels, store = split.rows.tolist(), split.labels.tolist(), split.store
    start = len(common_folder(map(store.name, rows)))
    digest, stamp = hashlib.sha256(), hashlib.sha256()
    for first in range(0, len(rows), TOGETHER):
        some = rows[first : first + TOGETHER]
        versions = [_version(store, row) for row in some]
        lines = (
            f"{store.name(row)[start:]}\0{size}\0{label}\n"
            for row, (size, _), label in zip(some, versions, labels[first : first + TOGETHER])
        )
        digest.update("".join(lines).encode("utf-8", "surrogateescape"))
        stamp.update("".join(f"{version}\n" for _, version in versions).encode())
    if split.pixels is not None:
        stamp.update(np.ascontiguousarray(split.pixels).data)
    return Fingerprint(len(split), digest.hexdigest(), stamp.hexdigest())


def kept_for(split: Split, kind: str, how: Any = None) -> kept.Kept | None:
    """Return the cache file for a result that is measured on the images of a split.

    Args:
        split: Images.
        kind: Kind of the result in one word, such as `statistics`.
        how: Settings of the measurement, in JSON types.

    Returns:
        Cache file; None if the images are stored as pixels, if there are fewer than `kept.LEAST`,
        or if their store cannot detect whether they have changed.
    """
    if split.pixels is not None or len(split) < kept.LEAST:
        return None
    if not any(_version(split.store, int(split.rows[0]))):
        return None
    found = fingerprint(split)
    place = json.dumps([found.digest, split.channels, how], default=dict)
    return kept.Kept(kind, place, found.stamp)


def common_folder(names: Iterator[str]) -> str:
    """Return the path of the deepest folder that contains all named files; "" if there is none."""
    least = most = next(names, "")
    for name in names:
        if name < least:
            least = name
        elif name > most:
            most = name
    differ = (n for n, (one, other) in enumerate(zip(least, most)) if one != other)
    return least[: next(differ, min(len(least), len(most)))].rpartition(os.sep)[0]


def _version(store: Store, row: int) -> tuple[int, int]:
    try:
        return store.version(row)
    except OSError as error:
        raise InputError(f"{store.name(row)}: cannot be read: {error.strerror}") from error
