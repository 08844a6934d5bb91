"""Positions of the files in a tar archive, so that they can be read without unpacking it."""

import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from keras_ilsvrc.utils.errors import InputError

BLOCK = 512  # bytes
# Fields of an ordinary header, from byte 100: mode, owner, group, size, time, checksum, type.
FIELDS = re.compile(rb"(?:[0-7]{7}[\0 ]){3}([0-7]{11})[\0 ][0-7]{11}[\0 ]([0-7]{6})\0 0")
# Bytes 329 to 344 (device numbers) of a file that is not a device. An empty name prefix follows.
NO_DEVICE = (bytes(16), b"0000000\0" * 2)


class Member(NamedTuple):
    """File in a tar. `offset` is the position of its first byte in the outermost archive."""

    name: str
    offset: int
    size: int


def members(path: Path, start: int = 0, end: int | None = None) -> Iterator[Member]:
    """Yield the names and positions of the files in an uncompressed tar, in archive order.

    Args:
        path: Path of the outermost tar.
        start: Byte at which the tar begins; not 0 if this tar is a member of another tar.
        end: Byte at which the tar ends; None for the end of the file.

    Raises:
        InputError: If the tar is damaged or ends too early.
    """
    with open(path, "rb", buffering=0) as file:
        end = os.fstat(file.fileno()).st_size if end is None else end
        while True:
            header = os.pread(file.fileno(), max(0, min(BLOCK, end - start)), start)
            plain = _ordinary(header)
            if plain and start + BLOCK + plain[1] <= end:
                yield Member(plain[0], start + BLOCK, plain[1])
                start += BLOCK - (-plain[1] // BLOCK) * BLOCK
                continue
            if len(header) == BLOCK and not any(header):
                return  # a block of zeros marks the end of an archive
            try:
                found = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
                if found.size < 0:  # with a negative size, the loop would never end
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


def _ordinary(header: bytes) -> tuple[str, int] | None:
    """Parse the header of an ordinary file into name and size, several times as fast as tarfile.

    Returns:
        Name and size in bytes; None if anything is unusual. Then tarfile must read the header.
    """
    fields = FIELDS.match(header, 100)
    if not fields or len(header) < BLOCK or not header.isascii():
        return None
    # The checksum counts its own eight bytes as spaces. The sum of ASCII bytes is below 65521,
    # so Adler-32, which sums modulo 65521, gives it exactly.
    total = zlib.adler32(header, 0) - zlib.adler32(header[148:156], 0) & 0xFFFF
    devices = header[329:345] in NO_DEVICE and header[345] == 0
    name, end, _ = header[:100].partition(b"\0")
    if total + 8 * 32 != int(fields[2], 8) or not (devices and name and end):
        return None
    return name.decode(), int(fields[1], 8)
