"""Stores of encoded images, which are read by number. The number of an image is called its row."""

import os
import weakref
import zlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.texts import EACH, Texts


def tensor(values: np.ndarray) -> tf.Tensor:
    """Return values as a tensor in host memory, so that graphs can use it without a copy."""
    with tf.init_scope(), tf.device("CPU:0"):
        return tf.constant(values)


class Store(Protocol):
    """Interface of a store of encoded images. Several threads may read a store at once."""

    def name(self, row: int) -> str:
        """Return the name of an image for use in messages."""

    def read(self, row: int) -> bytes:
        """Return the encoded bytes of an image."""

    def encoded(self, row: tf.Tensor) -> tf.Tensor:
        """Return the encoded bytes of an image as a string tensor, also in a `tf.function`."""

    def version(self, row: int) -> tuple[int, int]:
        """Return the size of an image in bytes, and a number that changes with its content."""


class ReadByPython:
    """Base class of stores whose images are read by Python code."""

    def encoded(self: Store, row: tf.Tensor) -> tf.Tensor:
        content = tf.numpy_function(lambda one: self.read(int(one)), [row], tf.string)
        content.set_shape(())
        return content


class Files:
    """Store of images in files, one image per file.

    Args:
        paths: Paths of the files.
        stats: Size in bytes and modification time in nanoseconds of each file, (images, 2), int64;
            None if they are not known yet.
    """

    def __init__(self, paths: Iterable[str], stats: np.ndarray | None = None):
        self.paths = paths if isinstance(paths, Texts) else Texts(paths)
        self.stats = None if stats is None else stats.data  # a memoryview is faster to index

    @cached_property
    def _tensors(self) -> tuple[tf.Tensor, ...]:
        """Chunks of paths, and the start and length in bytes of each path in its chunk."""
        chunks = self.paths.chunks
        each = (len(path) for chunk in chunks for path in chunk.split(b"\0"))
        lengths = np.fromiter(each, "int32", len(self.paths))
        starts = np.zeros((len(chunks), EACH), "int32")
        rows = np.resize(lengths, starts.shape) + 1
        np.cumsum(rows[:, :-1], 1, out=starts[:, 1:])
        return tensor(np.array(chunks, object)), tensor(starts.reshape(-1)), tensor(lengths)

    def name(self, row: int) -> str:
        return self.paths[row]

    def read(self, row: int) -> bytes:
        with open(self.paths[row], "rb") as file:
            return file.read()

    def encoded(self, row: tf.Tensor) -> tf.Tensor:
        chunks, starts, lengths = self._tensors
        chunk = tf.gather(chunks, row // EACH)
        path = tf.strings.substr(chunk, tf.gather(starts, row), tf.gather(lengths, row))
        return tf.io.read_file(path)

    def version(self, row: int) -> tuple[int, int]:
        if self.stats is not None and self.stats[row, 0] >= 0:
            return self.stats[row, 0], self.stats[row, 1]
        found = os.stat(self.paths[row])
        return found.st_size, found.st_mtime_ns


class Numbered(ReadByPython):
    """Store of names only, e.g. `mnist train #12`, for images whose pixels are in memory.

    Args:
        title: Name of the set of images, such as `mnist train`.
    """

    def __init__(self, title: str):
        self.title = title

    def name(self, row: int) -> str:
        return f"{self.title} #{row}"

    def read(self, row: int) -> bytes:
        raise TypeError(f"{self.name(row)} is stored as pixels, without encoded bytes")

    def version(self, row: int) -> tuple[int, int]:
        return 0, 0


class Held(Numbered):
    """Store of images whose encoded bytes are in memory.

    Args:
        title: Name of the set of images, such as `cifar10 train`.
        contents: Encoded bytes of each image.
    """

    def __init__(self, title: str, contents: Sequence[bytes]):
        super().__init__(title)
        self.contents = tensor(np.array(contents, dtype=object))

    def read(self, row: int) -> bytes:
        return self.contents[row].numpy()

    def encoded(self, row: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.contents, row)

    def version(self, row: int) -> tuple[int, int]:
        content = self.read(row)
        return len(content), zlib.crc32(content)


class Records(Numbered):
    """Store of images in a sequence with random access, such as a TFDS data source.

    Args:
        title: Name of the set of images, such as `imagenet2012 train`.
        records: Mappings that contain the encoded bytes.
        key: Key of the bytes in each mapping.
    """

    def __init__(self, title: str, records: Sequence[Any], key: str):
        super().__init__(title)
        self.records, self.key = records, key

    def read(self, row: int) -> bytes:
        return self.records[row][self.key]


class Members(ReadByPython):
    """Store of images that are contiguous parts of one file, such as the members of a tar.

    Args:
        path: Path of the file.
        names: Names of the members.
        places: Offset and length of each member in bytes, (images, 2), int64.
    """

    def __init__(self, path: str, names: Iterable[str], places: np.ndarray):
        self.path, self.places = path, places
        self.names = names if isinstance(names, Texts) else Texts(names)
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
    """Store that concatenates several stores.

    Args:
        stores: Stores to concatenate.
        sizes: Number of rows of each store.
    """

    def __init__(self, stores: Sequence[Store], sizes: Sequence[int]):
        self.stores = stores
        self.starts = np.cumsum([0, *sizes[:-1]])

    def _place(self, row: int) -> tuple[Store, int]:
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

    def encoded(self, row: tf.Tensor) -> tf.Tensor:
        row = tf.cast(row, tf.int64)
        which = tf.reduce_sum(tf.cast(row >= self.starts, tf.int32)) - 1
        pairs = zip(self.stores, self.starts, strict=True)
        return tf.switch_case(
            which,
            [lambda one=store, start=start: one.encoded(row - start) for store, start in pairs],
        )
