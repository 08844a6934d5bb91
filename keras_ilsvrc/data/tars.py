"""Positions of the files in a tar archive, so that they can be read without unpacking it."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from keras_ilsvrc.errors import InputError

BLOCK = 512


class Member(NamedTuple):
    """File in a tar. `offset` is the position of its first byte in the outermost archive."""

    name: str
    offset: int
    size: int


def members(path: Path, start: int = 0, end: int | None = None) -> Iterator[Member]:
    """Yield the names and positions of the files in an uncompressed tar, in archive order.

    Args:
        path: Path of the file.
        start: Byte at which the tar begins; not 0 if this tar is a member of another tar.
        end: Byte at which the tar ends; None for the end of the file.

    Raises:
        InputError: If the tar is damaged or ends too early.
    """
    with open(path, "rb", buffering=0) as file:
        end = os.fstat(file.fileno()).st_size if end is None else end
        while True:
            header = os.pread(file.fileno(), max(0, min(BLOCK, end - start)), start)
            if len(header) == BLOCK and not any(header):
                return  # a block of zeros marks the end of an archive
            try:
                found = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
                if found.size < 0:  # a negative size would make the loop go back, without end
                    raise tarfile.HeaderError("negative size")
            except tarfile.HeaderError as error:
                raise InputError(
                    f"{path}: no tar header at byte {start:,} ({error}); download it again"
                ) from error
            start += BLOCK
            if start + found.size > end:
                raise InputError(
                    f"{path}: ends inside member {found.name}; found {end:,} bytes, expected "
                    f"at least {start + found.size:,}; download it again"
                )
            if found.isreg():
                yield Member(found.name, start, found.size)
            start += -(-found.size // BLOCK) * BLOCK
