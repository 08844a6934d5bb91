"""Functions that check, create, list and remove directories, used for run directories."""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from keras_ilsvrc.utils.errors import InputError, file_errors


def resolved(path: Path) -> Path:
    """Return a path without links and `..`, relative to the working directory if it is inside it.

    Raises:
        InputError: If the path is a link to itself, or is too long.
    """
    try:
        found, home = path.resolve(), Path.cwd().resolve()
        found.exists()
    except (OSError, RuntimeError) as error:  # Python 3.11: RuntimeError for a link loop
        reason = getattr(error, "strerror", None) or "a link to itself"
        raise InputError(f"{str(path)[:200]}: {reason}; choose another directory") from error
    return found.relative_to(home) if found.is_relative_to(home) else found


def check(path: Path, mark: str) -> None:
    """Check that a path is neither a file nor inside another run directory.

    Args:
        path: Path, as from `resolved`.
        mark: Name of a file that every run directory contains.

    Raises:
        InputError: If the path is a file, or is inside another run directory.
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: not a directory; choose another --out")
    for parent in path.absolute().parents:
        if (parent / mark).exists():
            raise InputError(f"{path}: inside the run directory {parent}; choose another --out")


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
        path: Path, as from `resolved`.
        numbered: Whether to use the next free name if the directory already exists.

    Returns:
        The path of the directory, and a list of the created directories, innermost first.

    Raises:
        InputError: If the directory cannot be created.
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
    """Check that a directory exists or can be created, and that a file can be written in it.

    Raises:
        InputError: If the directory, or a file in it, cannot be created.
    """
    path, made = make(path, False)
    probe = path / ".probe"
    try:
        with file_errors(path, "written"):
            probe.touch(exist_ok=False)
            probe.unlink()
    finally:
        remove_empty(made)


def exists(path: Path) -> bool:
    """Return whether there is a file, folder or link at a path; True for broken links too."""
    return os.path.lexists(path)


def entries(path: Path) -> list[str]:
    """Return the sorted names of the entries of a directory; [] if it does not exist."""
    with file_errors(path, "read"):
        return sorted(os.listdir(path)) if path.is_dir() else []


def tree(path: Path) -> list[str]:
    """Return the files in a directory and its folders, e.g. `epochs/epoch-0001.weights.h5`."""
    found = []
    for name in entries(path):
        if (path / name).is_dir() and not (path / name).is_symlink():
            found += [f"{name}/{inner}" for inner in entries(path / name)]
        else:
            found.append(name)
    return found


def remove(path: Path, names: Sequence[str]) -> None:
    """Remove files from a directory, and then the folders that are empty."""
    for name in names:
        with suppress(OSError):  # a folder with this name is kept
            (path / name).unlink()
    remove_empty({(path / name).parent for name in names} - {path})


def remove_empty(directories: Iterable[Path]) -> None:
    """Remove the given directories, except those that are not empty."""
    for directory in directories:
        with suppress(OSError):
            directory.rmdir()
