"""Where the encoded bytes of images lie, and how one image is read by its row."""

import os
import weakref
import zlib
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
import tensorflow as tf


def tensor(values) -> tf.Tensor:
    """A tensor in the machine's memory that graphs capture and do not hold themselves."""
    with tf.init_scope(), tf.device("CPU:0"):
        return tf.constant(values)


class Store(Protocol):
    """Encoded images, read by row; several threads may read at once."""

    def name(self, row: int) -> str:
        """What messages call an image."""

    def read(self, row: int) -> bytes:
        """The encoded bytes of an image."""

    def encoded(self, row: tf.Tensor) -> tf.Tensor:
        """The same as a scalar string tensor, also within a graph."""

    def version(self, row: int) -> tuple[int, int]:
        """Return the size of an image in bytes, and a number that changes with its content."""


class _ReadByPython:
    def encoded(self, row):
        content = tf.numpy_function(lambda one: self.read(int(one)), [row], tf.string)
        content.set_shape(())
        return content


class Files:
    """Images in files of their own.

    Args:
        paths: (images,), of str.
    """

    def __init__(self, paths: np.ndarray):
        self.paths = paths

    @cached_property
    def _paths(self):
        return tensor(np.array(list(map(os.fsencode, self.paths)), object))

    def name(self, row: int) -> str:
        return str(self.paths[row])

    def read(self, row: int) -> bytes:
        with open(self.paths[row], "rb") as file:
            return file.read()

    def encoded(self, row):
        return tf.io.read_file(tf.gather(self._paths, row))

    def version(self, row: int) -> tuple[int, int]:
        found = os.stat(self.paths[row])
        return found.st_size, found.st_mtime_ns


class Numbered(_ReadByPython):
    """Images without files, which have a number; these are pixels, not encoded.

    Args:
        title: What they are, as `mnist train`.
    """

    def __init__(self, title: str):
        self.title = title

    def name(self, row: int) -> str:
        return f"{self.title} #{row}"

    def read(self, row: int) -> bytes:
        raise TypeError(f"{self.name(row)} has pixels and no encoded bytes")

    def version(self, row: int) -> tuple[int, int]:
        return 0, 0


class Held(Numbered):
    """Images whose encoded bytes are in memory.

    Args:
        title: What they are, as `cifar10 train`.
        contents: The bytes of each.
    """

    def __init__(self, title: str, contents: Sequence[bytes]):
        super().__init__(title)
        self.contents = tensor(np.array(contents, dtype=object))

    def read(self, row: int) -> bytes:
        return self.contents[row].numpy()

    def encoded(self, row):
        return tf.gather(self.contents, row)

    def version(self, row: int) -> tuple[int, int]:
        content = self.read(row)
        return len(content), zlib.crc32(content)


class Records(Numbered):
    """Images in a Python sequence with random access, as a data source of TFDS.

    Args:
        title: What they are, as `imagenet2012 train`.
        records: Mappings that hold the bytes.
        key: Under which they hold them.
    """

    def __init__(self, title: str, records: Sequence, key: str):
        super().__init__(title)
        self.records, self.key = records, key

    def read(self, row: int) -> bytes:
        return self.records[row][self.key]


class Members(_ReadByPython):
    """Images that lie whole and uncompressed in one file, as members of a tar do.

    Args:
        path: The file.
        names: (images,), of the members.
        places: (images, 2), int64: offset and length of each, in bytes.
    """

    def __init__(self, path: str, names: np.ndarray, places: np.ndarray):
        self.path, self.names, self.places = path, names, places
        self.descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.descriptor)

    def name(self, row: int) -> str:
        return f"{self.path}!{self.names[row]}"

    def read(self, row: int) -> bytes:
        offset, length = map(int, self.places[row])
        return os.pread(self.descriptor, length, offset)

    def version(self, row: int) -> tuple[int, int]:
        return int(self.places[row, 1]), os.fstat(self.descriptor).st_mtime_ns


class Joined:
    """Several stores behind each other.

    Args:
        stores: The stores.
        sizes: How many rows each has.
    """

    def __init__(self, stores: Sequence[Store], sizes: Sequence[int]):
        self.stores = stores
        self.starts = np.cumsum([0, *sizes[:-1]])

    def _place(self, row):
        which = int(np.searchsorted(self.starts, row, "right")) - 1
        return self.stores[which], row - int(self.starts[which])

    def name(self, row: int) -> str:
        store, own = self._place(row)
        return store.name(own)

    def read(self, row: int) -> bytes:
        store, own = self._place(row)
        return store.read(own)

    def version(self, row: int) -> tuple[int, int]:
        store, own = self._place(row)
        return store.version(own)

    def encoded(self, row):
        row = tf.cast(row, tf.int64)
        which = tf.reduce_sum(tf.cast(row >= self.starts, tf.int32)) - 1
        pairs = zip(self.stores, self.starts, strict=True)
        return tf.switch_case(
            which,
            [lambda one=store, start=start: one.encoded(row - start) for store, start in pairs],
        )
