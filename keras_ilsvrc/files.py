"""Helpers for files: atomic writes, reads of limited size, digests, sealed tables and locks."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from keras_ilsvrc.errors import InputError

PART = ".part-"  # prefix of the names of incomplete files
SMALL = 1_000_000  # maximum size in bytes of files written by hand, for example recipes
LARGE = 100_000_000  # maximum size in bytes of files with results and statistics


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; at the end of the `with` block, rename it to `path`.

    The block may write a file, or a new folder if `path` does not exist yet. The file or folder is
    flushed to the disk before it is renamed. So after a kill or a power cut at any moment, `path`
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
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path}: not a regular file; remove it, or name another file")
        if found.st_size > most:
            raise InputError(
                f"{path}: {found.st_size:,} bytes; expected at most {most:,}: name another file"
            )
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def check_sha256(digits: str) -> str:
    """Return a SHA-256 in lower case. Raise an InputError if the text is not a SHA-256."""
    if not isinstance(digits, str) or not re.fullmatch("[0-9a-fA-F]{64}", digits):
        raise InputError(f"sha256 is {digits!r}; expected 64 hexadecimal digits")
    return digits.lower()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def sealed(table: Mapping[str, Any], indent: int | None = 2) -> bytes:
    """Return a table as JSON, with the SHA-256 of its content under the key `sha256`."""
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


__all__ = [
    "LARGE",
    "PART",
    "SMALL",
    "Timeout",
    "flush",
    "lock",
    "read",
    "sealed",
    "sha256",
    "unsealed",
    "whole",
]
