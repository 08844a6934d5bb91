"""The data source `folder:PATH`: images in one folder per class."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from keras_ilsvrc.data.headers import Fault
from keras_ilsvrc.data.listing import ALL, SPLIT_NAMES, SPLITS, Listing
from keras_ilsvrc.data.source import OnFault, Shares, Source, refuse
from keras_ilsvrc.data.texts import File, FileTable
from keras_ilsvrc.utils.errors import InputError, nearest, reason

# Folders of thumbnails or metadata that operating systems add; ignored like hidden folders.
FOREIGN_FOLDERS = ("__MACOSX", "@eaDir")
# {file type in a `stat` mode: its name in messages}.
KINDS: dict[int | str, str] = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
EMPTY = "this class folder is empty; add images to it, or remove it"
# {error number of a link that cannot be followed: its description in messages}.
LINKS = {errno.ENOENT: "a broken link", errno.ELOOP: "a loop of links"}


def folder(
    root: Path, channels: int = 3, on_fault: OnFault = refuse, shares: Shares | None = None
) -> Source:
    """Open a folder of images in class folders. Every folder that contains images is a class.

    The class folders may be inside split folders: `train`, with `validation` (also called `valid`
    or `val`), `test` or both; case is ignored. Without split folders, the images of each class are
    divided into splits according to `shares`. If only `test` is missing, the validation images are
    also the test images. Any other missing split is taken from `train`, according to `shares`.

    The header of every file is read, so that files that are not images are found before training.
    Damage after the header is found when an image is decoded. Hidden files are ignored. So are
    files that are not images and do not have the file name extension of an image.

    Args:
        root: Path of the folder.
        channels: Number of channels to decode to, 1 or 3.
        on_fault: Function called with a `Fault` for every bad file and every empty class folder.
            These are left out.
        shares: Shares of the images for validation and test, used if the folder lacks these
            splits; None for the defaults of `Shares`.

    Raises:
        InputError: If a folder is missing, if a class has no training images, if a class has too
            few images to split, or, with the default `on_fault`, if a file is bad.
    """
    check_folder(root)
    found = Listing(f"folder:{root}", str(root))
    bases = _splits(root, found, on_fault)
    for split, base in bases.items():
        _list(base, split, found, os.path.realpath(root), on_fault)
    return found.source(channels, on_fault, shares or Shares())


def _splits(root: Path, found: Listing, on_fault: OnFault) -> dict[str, Path]:
    """Return {split: folder}, or {`ALL`: root} if the root contains no split folders."""
    names = class_folders(root)
    named: dict[str, Path] = {}
    for name in names:
        split = SPLIT_NAMES.get(name.lower())
        if split in named:
            both = f"{named[split].name} and {name}"
            raise InputError(f"{root}: {both} both mean the split {split}; remove one")
        if split:
            named[split] = root / name
    others = [name for name in names if root / name not in named.values()]
    # A class may be called `train`, for photographs of trains.
    if not named or (others and not any(class_folders(base) for base in named.values())):
        return {ALL: root}
    class_folders(root, on_fault)
    if "train" not in named:
        has = ", ".join(path.name for path in named.values())
        raise InputError(f"{root}: found {has}, but no folder train; add this folder")
    if others:
        some = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
        found.notes.append(f"{found.name}: ignored folders that are not splits: {some}")
    return {split: named[split] for split in SPLITS if split in named}


def _list(base: Path, split: str, found: Listing, home: str, on_fault: OnFault) -> None:
    """Add all files in the class folders of a split to a listing. `base` is the split's folder."""
    kinds: dict[str, FileTable] = {}
    for place, files, fault, hidden in walk(base, home, on_fault):
        found.hidden += hidden
        if place == base:
            found.loose += len(files)
            continue
        kind = place.relative_to(base).as_posix()
        if files:
            kinds[kind] = FileTable(files)
        elif fault:
            on_fault(Fault(str(place), None, fault))
            if split in ("train", ALL):
                found.empty.add(kind)
    for kind in sorted(kinds):
        found.add(kinds.pop(kind), kind, split)


def walk(
    base: Path, home: str, on_fault: OnFault, above: tuple[str, ...] = ()
) -> Iterator[tuple[Path, list[File], str, int]]:
    """Yield (folder, files, fault or "", number of hidden entries) for each folder of a tree.

    Args:
        base: Path of the tree. Its folders and files are visited in the order of their names.
        home: Path of the data set, with links resolved. Links to places outside the data set are
            left out.
        on_fault: Function called with everything that is left out.
        above: Paths of the folders above `base` in the tree, with links resolved.

    Raises:
        InputError: If `base` cannot be read.
    """
    real = os.path.realpath(base)
    if real in above:
        on_fault(Fault(str(base), None, "a link to a folder that contains it"))
        return
    if _outside(base, home, on_fault):
        return
    try:
        files, folders, hidden = _contents(base, home, on_fault)
    except OSError as error:
        if not above:
            raise InputError(f"{base}: cannot be read: {reason(error)}") from error
        yield base, [], f"cannot be read: {reason(error)}", 0
        return
    yield base, files, "" if files or folders else EMPTY, hidden
    for name in folders:
        yield from walk(Path(name), home, on_fault, (*above, real))


def check_folder(root: Path) -> None:
    """Check that a folder exists.

    Raises:
        InputError: If there is no such folder; the message suggests similar names.
    """
    try:
        if root.is_dir():
            return
        if root.exists():
            raise InputError(f"{root}: this is a file; expected a folder or a .csv file")
        found = [x.name for x in root.parent.iterdir()] if root.parent.is_dir() else []
    except OSError as error:
        raise InputError(f"{str(root)[:300]}: cannot be read: {reason(error)}") from error
    hint = nearest(root.name, found) if found else ""
    raise InputError(f"{root}: no such folder; {hint}".removesuffix("; "))


def class_folders(base: Path, on_fault: OnFault = lambda fault: None) -> list[str]:
    """Return the sorted names of the folders inside a folder, except hidden folders.

    Args:
        base: Path of the folder.
        on_fault: Function called with every broken link.

    Raises:
        InputError: If the folder cannot be read.
    """
    try:
        entries, _ = _entries(base)
    except OSError as error:
        raise InputError(f"{base}: cannot be read: {reason(error)}") from error
    names = []
    for entry in entries:
        kind = _kind(entry)
        if kind == stat.S_IFDIR:
            names.append(entry.name)
        elif isinstance(kind, str):
            on_fault(Fault(entry.path, None, f"{kind}, not a folder"))
    return names


def _contents(base: Path, home: str, on_fault: OnFault) -> tuple[list[File], list[str], int]:
    """Return a folder's files, the paths of its subfolders and its number of hidden entries."""
    files: list[File] = []
    folders: list[str] = []
    entries, hidden = _entries(base)
    for entry in entries:
        if entry.is_file(follow_symlinks=False):
            files.append(_file(entry))
            continue
        kind = _kind(entry)
        if entry.is_symlink() and _outside(entry.path, home, on_fault):
            continue
        if kind == stat.S_IFREG:
            files.append(_file(entry))
        elif kind == stat.S_IFDIR:
            folders.append(entry.path)
        else:
            on_fault(Fault(entry.path, None, f"{KINDS.get(kind, str(kind))}, not an image"))
    return files, folders, hidden


def _entries(base: Path) -> tuple[list[os.DirEntry[str]], int]:
    """Return the visible entries of a folder, sorted by name, and the number of hidden entries."""
    with os.scandir(base) as found:
        entries = sorted(found, key=lambda x: x.name)
    shown = [x for x in entries if not x.name.startswith(".") and x.name not in FOREIGN_FOLDERS]
    return shown, len(entries) - len(shown)


def _file(entry: os.DirEntry[str]) -> File:
    try:
        found = os.stat(entry.path)
    except OSError:  # the error is reported when the header is read
        return entry.path, -1, 0
    return entry.path, found.st_size, found.st_mtime_ns


def _kind(entry: os.DirEntry[str]) -> int | str:
    """Return the type of a directory entry (of its target, if it is a link), or an error text."""
    if entry.is_file(follow_symlinks=False):  # known from `os.scandir`, without a system call
        return stat.S_IFREG
    try:
        return stat.S_IFMT(os.stat(entry.path).st_mode)
    except OSError as error:
        return LINKS.get(error.errno or 0) or f"cannot be read: {reason(error)}"


def _outside(path: str | Path, home: str, on_fault: OnFault) -> bool:
    """Return whether a path, with links resolved, is outside `home`; if so, call `on_fault`."""
    real = os.path.realpath(path)
    outside = os.path.commonpath([real, home]) != home
    if outside:
        on_fault(Fault(str(path), None, f"a link to {real}, outside {home}"))
    return outside
