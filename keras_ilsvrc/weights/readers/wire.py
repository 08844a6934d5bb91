"""Scanner of protobuf files, which finds the fields without reading their values.

The protobuf package would keep the file and a parsed copy in memory. A scan reads only the few
bytes before each field, which give its number and length. The meaning of the field numbers is
defined in the readers. Each reader scans messages to a fixed depth, so there is no recursion.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from keras_ilsvrc.weights.readers.values import Run

# Wire types. INT: an integer of variable length (varint). BYTES: a text, message or packed values.
# FIXED: {wire type: bytes} of numbers of fixed length, which are skipped.
INT, BYTES, FIXED = 0, 2, {1: 8, 5: 4}
FIELDS = 200_000  # maximum number of fields scanned in a file, which takes about a second
SHORT = 1_000  # maximum bytes of a name or of a list of dimensions
CHUNK = 1_000_000  # bytes of varints that are decoded at a time


class Message:
    """Message in a file: its integers, and the byte ranges of its other fields, by field number.

    Attributes:
        ints: {number of a field: its integers}.
        runs: {number of a field: ranges of its texts, messages or packed values in the file}.
    """

    def __init__(self, file: BinaryIO, run: Run, left: Iterator[int] | None = None):
        """Scan a message.

        Args:
            file: The open file.
            run: Range of the message in the file.
            left: Iterator with one item for each field that may still be scanned in this file; None
                for `FIELDS` items.

        Raises:
            ValueError: If the bytes are not a message, or no more fields may be scanned.
        """
        self.ints: defaultdict[int, list[int]] = defaultdict(list)
        self.runs: defaultdict[int, list[Run]] = defaultdict(list)
        self._file, self._left = file, left or iter(range(FIELDS))
        at = run.start
        while at < run.stop:
            at = self._field(at, run.stop)

    def _field(self, at: int, stop: int) -> int:
        """Scan the field at an offset, and return the offset after it."""
        if next(self._left, None) is None:
            raise ValueError(f"the file has more than {FIELDS:,} fields")
        head = _read(self._file, Run(at, min(at + 20, stop)))
        key, used = _varint(head, 0)
        field, kind = key >> 3, key & 7
        if kind in (INT, BYTES):
            value, used = _varint(head, used)
        elif kind not in FIXED:
            raise ValueError(f"no field starts at byte {at:,}")
        at += used
        end = at + (value if kind == BYTES else FIXED.get(kind, 0))
        if end > stop:
            raise ValueError(
                f"field {field} ends at byte {end:,}, after the end of its message at {stop:,}"
            )
        if kind == INT:
            self.ints[field].append(value)
        elif kind == BYTES:
            self.runs[field].append(Run(at, end))
        return end

    def messages(self, field: int) -> list["Message"]:
        """Return the messages of a field."""
        return [Message(self._file, run, self._left) for run in self.runs[field]]

    def integers(self, field: int) -> list[int]:
        """Return the integers of a field, packed or not."""
        packed = [np.frombuffer(data, "u1") for data in self._short(field)]
        numbers = [varints(data, np.dtype("u8")).tolist() for data in packed]
        return sum(numbers, self.ints[field])

    def text(self, field: int) -> str:
        """Return the text of a field, or an empty text if the field is missing."""
        return b"".join(self._short(field)[-1:]).decode()

    def _short(self, field: int) -> list[bytes]:
        if any(stop - start > SHORT for start, stop in self.runs[field]):
            raise ValueError(f"a name or shape has more than {SHORT:,} bytes")
        return [_read(self._file, run) for run in self.runs[field]]


def whole(path: Path, file: BinaryIO) -> Message:
    """Return the whole file as one message."""
    return Message(file, Run(0, path.stat().st_size))


def varints(data: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Decode integers of variable length, with 7 bits per byte, the lowest bits first.

    Args:
        data: Bytes.
        dtype: Dtype of the result, which keeps only the lowest bits of each integer.

    Raises:
        ValueError: If an integer does not end, or has more than 10 bytes.
    """
    parts, at = [np.empty(0, dtype)], 0
    while at < len(data):
        chunk = data[at : at + CHUNK]
        ends = np.flatnonzero(chunk < 128) + 1
        starts = np.append(0, ends)[:-1]
        lengths = ends - starts
        if not 0 < lengths.max(initial=0) <= 10:
            raise ValueError("a varint is not terminated")
        values = np.zeros(len(ends), "u8")
        for index in range(lengths.max()):
            longer = lengths > index
            values[longer] |= (chunk[starts[longer] + index].astype("u8") & 127) << 7 * index
        parts.append(values.astype(f"u{dtype.itemsize}").view(dtype))
        at += ends[-1]
    return np.concatenate(parts)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the integer of variable length at an offset, and the offset after it."""
    value = 0
    for shift, byte in enumerate(data[at : at + 10]):
        value |= (byte & 127) << 7 * shift
        if byte < 128:
            return value, at + shift + 1
    raise ValueError("a varint is not terminated")


def _read(file: BinaryIO, run: Run) -> bytes:
    file.seek(run.start)
    return file.read(run.stop - run.start)
