"""Paths of run directories: resolved, created, and removed only where they are empty."""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from keras_ilsvrc.errors import InputError


def resolved(path: Path) -> Path:
    """Return a path without links and `..`, relative to the working directory if it is below it.

    Raises:
        InputError: If it is a link to itself, or too long.
    """
    try:
        found, home = path.resolve(), Path.cwd().resolve()
        found.exists()
    except (OSError, RuntimeError) as error:  # Python 3.11 raises RuntimeError for loops
        reason = getattr(error, "strerror", None) or "a link to itself"
        raise InputError(f"{str(path)[:200]}: {reason}; name another directory") from error
    return found.relative_to(home) if found.is_relative_to(home) else found


def check(path: Path, mark: str) -> None:
    """Refuse a directory that is a file, or is inside of another run.

    Args:
        path: As from `resolved`.
        mark: A file that every run directory contains.

    Raises:
        InputError: With the reason.
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: not a directory; choose another --out")
    for parent in path.absolute().parents:
        if (parent / mark).exists():
            raise InputError(f"{path}: inside of the run {parent}; choose another --out")


def free(base: Path) -> Path:
    """Return `base`, or the first of `base-2`, `base-3`, ... that does not exist."""
    path, number = base, 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path


def make(path: Path, numbered: bool) -> tuple[Path, list[Path]]:
    """Create a directory and its parents.

    Args:
        path: As from `resolved`.
        numbered: Whether to take the next free name where another process has just taken it.

    Returns:
        The directory, and what was created for it, innermost first.

    Raises:
        InputError: If it cannot be created.
    """
    made: list[Path] = []
    base = path
    try:
        for parent in reversed(path.parents):
            if not parent.exists():
                parent.mkdir(exist_ok=True)
                made.insert(0, parent)
        while True:
            try:
                path.mkdir()
                return path, [path, *made]
            except FileExistsError:
                if not numbered:
                    if not path.is_dir():
                        raise
                    return path, made
                path = free(base)
    except OSError as error:
        remove_empty(made)
        raise InputError(f"{path}: cannot be created: {error.strerror}") from error


def check_writable(path: Path) -> None:
    """Refuse a directory that cannot be created, or in which no file can be written.

    Raises:
        InputError: With the reason.
    """
    path, made = make(path, False)
    probe = path / ".probe"
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        remove_empty(made)


def entries(path: Path) -> list[str]:
    """Return the names in a directory, sorted; none if it does not exist."""
    try:
        return sorted(os.listdir(path)) if path.is_dir() else []
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def tree(path: Path) -> list[str]:
    """Return the files in a directory and in its folders, as `epochs/epoch-0001.weights.h5`."""
    found = []
    for name in entries(path):
        if (path / name).is_dir() and not (path / name).is_symlink():
            found += [f"{name}/{inner}" for inner in entries(path / name)]
        else:
            found.append(name)
    return found


def remove(path: Path, names: Sequence[str]) -> None:
    """Remove files of a directory, and the folders that are empty then."""
    for name in names:
        with suppress(OSError):  # a folder of that name stays
            (path / name).unlink()
    remove_empty({(path / name).parent for name in names} - {path})


def remove_empty(directories: Iterable[Path]) -> None:
    """Remove directories as far as they are empty."""
    for directory in directories:
        with suppress(OSError):
            directory.rmdir()
