"""Compact lists of strings: 1.28 million paths need half the memory of a list of `str`."""

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np

SHIFT = 6  # binary logarithm of `EACH`
EACH = 1 << SHIFT  # number of strings in a chunk
# File: its path, size in bytes (-1 if unknown) and modification time in nanoseconds.
File = tuple[str, int, int]


class Texts:
    """List of strings without null characters, such as paths, stored as chunks of bytes.

    Args:
        texts: Initial strings of the list.
    """

    def __init__(self, texts: Iterable[str] = ()):
        self._full: list[bytes] = []
        self._rest: list[str] = []
        self._last: tuple[int, list[str]] = (-1, [])  # the chunk that was read last, decoded
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        self._rest.append(text)
        if len(self._rest) == EACH:
            self._full.append(_packed(self._rest))
            self._rest = []

    @classmethod
    def of_arrays(cls, content: np.ndarray, ends: np.ndarray) -> "Texts":
        """Return a list from the two arrays that the method `arrays` returned for it."""
        chunks = [content[a:b].tobytes() for a, b in pairwise([0, *ends.tolist()])]
        made = cls(os.fsdecode(chunks[-1]).split("\0") if chunks else ())
        made._full = chunks[:-1] + made._full
        return made

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all chunks as one array of uint8, and the end of each chunk in this array."""
        chunks = self.chunks
        return np.frombuffer(b"".join(chunks), "uint8"), np.cumsum(list(map(len, chunks)))

    @property
    def chunks(self) -> list[bytes]:
        """Strings as bytes: `EACH` per chunk (fewer in the last chunk), joined by null bytes."""
        return self._full + ([_packed(self._rest)] if self._rest else [])

    def __len__(self) -> int:
        return len(self._full) * EACH + len(self._rest)

    def __getitem__(self, row: int) -> str:
        if not 0 <= row < len(self):
            raise IndexError(row)
        number = row >> SHIFT
        if number == len(self._full):
            return self._rest[row % EACH]
        held, texts = self._last
        if held != number:
            texts = os.fsdecode(self._full[number]).split("\0")
            self._last = number, texts  # one assignment, because several threads may read
        return texts[row % EACH]

    def __iter__(self) -> Iterator[str]:
        for chunk in self._full:
            yield from os.fsdecode(chunk).split("\0")
        yield from self._rest

    def take(self, rows: np.ndarray) -> "Texts":
        """Return the strings at these indices as a new list."""
        return Texts(map(self.__getitem__, rows.tolist()))


def _packed(texts: Sequence[str]) -> bytes:
    return os.fsencode("\0".join(texts))


class FileTable:
    """Compact list of files with their sizes and modification times.

    Args:
        files: Initial files of the list.

    Attributes:
        paths: Path of each file.
    """

    def __init__(self, files: Iterable[File] = ()):
        self.paths, self._stats = Texts(), array("q")
        self.extend(files)

    def extend(self, files: Iterable[File]) -> None:
        for path, size, time in files:
            self.paths.append(path)
            self._stats.append(size)
            self._stats.append(time)

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[File]:
        return zip(self.paths, self._stats[::2], self._stats[1::2])

    @property
    def stats(self) -> np.ndarray:
        """Size and modification time of each file, (files, 2), int64."""
        return np.asarray(self._stats).reshape(-1, 2)
