"""Helpers for files: atomic writes, checksums, reads up to a size limit, and locks.

A sealed file or table contains the SHA-256 of its own content.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from keras_ilsvrc.utils.errors import InputError, file_errors

PART = ".part-"  # prefix of the names of incomplete files
SMALL = 1_000_000  # maximum size in bytes of files written by hand, for example recipes
LARGE = 100_000_000  # maximum size in bytes of files with results and statistics
SEAL = 64  # number of hexadecimal digits of the SHA-256 at the start of a sealed file
CACHE = "KERAS_ILSVRC_CACHE"  # environment variable: path of the cache folder


class Damaged(InputError):
    """Error for a damaged sealed file, whose content does not match its SHA-256."""


def cache_folder() -> Path:
    """Return the folder for downloaded files and for cached results about data sets."""
    import pooch

    return Path(os.environ.get(CACHE) or pooch.os_cache("keras_ilsvrc"))


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; at the end of the `with` block, rename it to `path`.

    The block may write a file, or a new folder if `path` does not exist yet. The file or folder is
    flushed to the disk before it is renamed. So if the process is killed or the power fails, `path`
    is either the old file or the complete new one.

    Raises:
        OSError: If the file cannot be written; the partial file is removed.
    """
    part = path.with_name(f"{PART}{path.name}")
    try:
        yield part
        for one in (part, *part.rglob("*")):
            flush(one)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # Windows cannot open a directory to flush it
        flush(path.parent)


def flush(path: Path) -> None:
    """Flush a file or directory to the disk, and wait until it is written."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path, most: int = LARGE) -> bytes:
    """Return the content of a file of at most `most` bytes.

    Raises:
        InputError: If the file is missing, is not a regular file, cannot be read, or has more
            than `most` bytes.
    """
    with file_errors(path, "read"):
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path}: not a regular file; remove it, or name another file")
        if found.st_size > most:
            raise InputError(
                f"{path}: {found.st_size:,} bytes; expected at most {most:,}; name another file"
            )
        return path.read_bytes()


def check_sha256(digits: str) -> str:
    """Return a SHA-256 in lower case. Raise InputError if the text is not a SHA-256."""
    if not isinstance(digits, str) or not re.fullmatch("[0-9a-fA-F]{64}", digits):
        raise InputError(f"sha256 is {digits!r}; expected 64 hexadecimal digits")
    return digits.lower()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits."""
    with file_errors(path, "read"), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sealed(path: Path, write: Callable[[Any], object]) -> None:
    """Write a sealed file: the SHA-256 of its content, a line break, and the content.

    Args:
        path: Path of the file.
        write: Function that writes the content to the file object that is its argument. This
            object does not support `seek`.

    Raises:
        OSError: If the file cannot be written; no partial file is left.
    """
    with whole(path) as part, open(part, "wb") as file:
        file.write(b"0" * SEAL + b"\n")
        hashed = Hashed(file)
        write(hashed)
        file.seek(0)
        file.write(hashed.hash.hexdigest().encode())


@contextlib.contextmanager
def open_sealed(path: Path) -> Iterator[BinaryIO]:
    """Open a file from `write_sealed` for a `with` block, positioned after its SHA-256.

    Raises:
        Damaged: If the content does not match its SHA-256.
    """
    with open(path, "rb") as file:
        seal = file.read(SEAL + 1)
        if seal != f"{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode():
            size = f"{file.seek(0, io.SEEK_END):,}"
            raise Damaged(f"{path}: damaged: its {size} bytes do not match their SHA-256")
        file.seek(SEAL + 1)
        yield file


class Hashed(io.RawIOBase):
    """Write-only file that computes the SHA-256 of its content as it is written."""

    def __init__(self, file: BinaryIO):
        self.file, self.hash = file, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        self.hash.update(data)
        return self.file.write(data)


def sealed(table: Mapping[str, Any], indent: int | None = 2) -> bytes:
    """Return a table as JSON text, with the SHA-256 of its content under the key `sha256`."""
    return (json.dumps({"sha256": _digest(table), **table}, indent=indent) + "\n").encode()


def unsealed(content: bytes) -> dict[str, Any]:
    """Parse JSON text that `sealed` returned, check its SHA-256, and return the table.

    Raises:
        ValueError: If the content does not match its SHA-256.
    """
    table = json.loads(content)
    if not isinstance(table, dict) or table.pop("sha256", None) != _digest(table):
        raise ValueError("its SHA-256 does not match its content")
    return table


def lock(path: Path) -> FileLock:
    """Lock a file for this process and return the lock; its `release()` unlocks the file.

    Raises:
        Timeout: If another process has locked the file.
        OSError: If the file cannot be created.
    """
    taken = FileLock(path, timeout=0)
    taken.acquire()
    return taken


def _digest(table: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


__all__ = ["LARGE", "PART", "SMALL", "Timeout", "flush", "lock", "read", "sha256", "whole"]
