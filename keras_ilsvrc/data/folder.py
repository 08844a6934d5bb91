"""The data source `folder:PATH`: a folder that contains one folder of images per class."""

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_ilsvrc.data.decode import BadImage, Fault, own_limit, read_header
from keras_ilsvrc.data.source import OnFault, Source, refuse, stratified
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Files
from keras_ilsvrc.errors import InputError, nearest, reason
from keras_ilsvrc.terminal.bars import in_threads

SPLITS = ("train", "validation", "test")
SHARES = {"validation": 0.2, "test": 0.2}  # shares of the images if they are not in split folders
KINDS: dict[int | str, str] = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
LINKS = {errno.ENOENT: "a broken link", errno.ELOOP: "a loop of links"}


def folder(root: Path, channels: int = 3, on_fault: OnFault = refuse) -> Source:
    """Open a folder that contains one folder of images per class, as a data source.

    The class folders are in `train` and, optionally, `validation` and `test`. If there are no such
    folders, the images are split with seed 0: 60 % train, 20 % validation and 20 % test.

    The header of every file is read, so that files that are not images are found before training.
    Damage after the header is found when an image is used. Names that begin with a dot are skipped.

    Args:
        root: Path of the folder.
        channels: Number of channels to decode to, 1 or 3.
        on_fault: Function called with every bad file and empty class folder, which are left out.

    Raises:
        InputError: If a folder is missing, or, with the default `on_fault`, if a file is bad.
    """
    check_folder(root)
    folders = class_folders(root, on_fault)
    named = [name for name in SPLITS if name in folders]
    if named and "train" not in named:
        raise InputError(f"{root}: found {', '.join(named)}, but no folder train; add one")
    found = {name: class_folders(root / name, on_fault) for name in named} or {"all": folders}
    classes = found["train" if named else "all"]
    if not classes:
        raise InputError(f"{root}: no class folders; expected one folder of images per class")
    splits = {}
    for name, own in found.items():
        base = root / name if named else root
        extra = sorted(set(own) - set(classes))
        if extra:
            raise InputError(f"{base / extra[0]}: this class has no folder in {root}/train; add it")
        splits[name] = _with_good_headers(listed(base, classes, root, channels, on_fault), on_fault)
    if not named:
        whole = splits["all"]
        sizes = {name: round(share * len(whole)) for name, share in SHARES.items()}
        parts = stratified(whole.labels, sizes, str(root))
        splits = {name: whole[part] for name, part in parts.items()}
    return Source(f"folder:{root}", splits, tuple(classes))


def check_folder(root: Path) -> None:
    """Check that a folder exists.

    Raises:
        InputError: If there is no such folder; the message suggests similar names.
    """
    try:
        if root.is_dir():
            return
        found = [x.name for x in root.parent.iterdir()] if root.parent.is_dir() else []
    except OSError as error:
        raise InputError(f"{str(root)[:300]}: cannot be read: {reason(error)}") from error
    raise InputError(f"{root}: no such folder; {nearest(root.name, found)}".rstrip("; "))


def class_folders(base: Path, on_fault: OnFault = lambda fault: None) -> list[str]:
    """Return the sorted names of the folders inside a folder, except hidden folders.

    Args:
        base: Path of the folder.
        on_fault: Function called with every broken link.

    Raises:
        InputError: If the folder cannot be read.
    """
    try:
        entries = _entries(base)
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


def listed(
    base: Path, classes: Sequence[str], root: Path, channels: int, on_fault: OnFault
) -> Split:
    """Return the images in class folders as a split, without opening any image.

    The images of each class are sorted by name.

    Args:
        base: Path of the folder that contains the class folders.
        classes: Names of the class folders, in the order of the labels; any may be absent.
        root: Path of the data set; links that lead out of it are left out.
        channels: Number of channels to decode to, 1 or 3.
        on_fault: Function called with everything that is left out.
    """
    paths: list[str] = []
    labels: list[int] = []
    home = os.path.realpath(root)
    for label, name in enumerate(classes):
        found = images(base / name, home, on_fault) if (base / name).is_dir() else []
        paths += found
        labels += [label] * len(found)
    return Split(np.array(labels, "int32"), None, Files(np.array(paths, object)), channels)


def images(base: Path, home: str, on_fault: OnFault) -> list[str]:
    """Return the paths of the files in a folder, sorted by name, except hidden files.

    Args:
        base: Path of the folder.
        home: Path of the data set, with links resolved; links that lead out of it are left out.
        on_fault: Function called with `base` if it is empty, and with everything that is left out.
    """
    if _outside(base, home):
        on_fault(Fault(str(base), None, f"a link to {os.path.realpath(base)}, outside {home}"))
        return []
    try:
        entries = _entries(base)
    except OSError as error:
        on_fault(Fault(str(base), None, f"cannot be read: {reason(error)}"))
        return []
    if not entries:
        on_fault(Fault(str(base), None, "this class folder is empty; fill it or remove it"))
    paths = []
    for entry in entries:
        kind = _kind(entry)
        if entry.is_symlink() and _outside(entry.path, home):
            fault = f"a link to {os.path.realpath(entry.path)}, outside {home}"
        elif kind == stat.S_IFREG:
            paths.append(entry.path)
            continue
        else:
            fault = f"{KINDS.get(kind, str(kind))}, not an image"
        on_fault(Fault(entry.path, None, fault))
    return paths


def _entries(base: Path) -> list[os.DirEntry[str]]:
    with os.scandir(base) as found:
        return sorted((x for x in found if not x.name.startswith(".")), key=lambda x: x.name)


def _kind(entry: os.DirEntry[str]) -> int | str:
    """Return the file type of a directory entry, following links, or the error as a text."""
    if entry.is_file(follow_symlinks=False):  # known from `os.scandir`, without a system call
        return stat.S_IFREG
    try:
        return stat.S_IFMT(os.stat(entry.path).st_mode)
    except OSError as error:
        return LINKS.get(error.errno or 0) or f"cannot be read: {reason(error)}"


def _outside(path: str | Path, home: str) -> bool:
    return os.path.commonpath([os.path.realpath(path), home]) != home


def _with_good_headers(split: Split, on_fault: OnFault) -> Split:
    kept = []
    paths = [split.name(index) for index in range(len(split))]
    with own_limit():
        faults = in_threads(_bad_header, paths, "reading headers")
        for index, fault in enumerate(faults):
            if fault:
                on_fault(fault)
            else:
                kept.append(index)
    return split[np.array(kept, int)]


def _bad_header(path: str) -> Fault | None:
    size = None
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            read_header(file)
    except BadImage as error:
        return Fault(path, size, str(error))
    except OSError as error:
        return Fault(path, size, f"cannot be read: {reason(error)}")
    return None
