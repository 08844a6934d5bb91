"""`folder:PATH`: one folder of images a class."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_ilsvrc.data.decode import BadImage, Fault, own_limit, read_header
from keras_ilsvrc.data.progress import in_threads
from keras_ilsvrc.data.source import Report, Source, refuse, stratified
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Files
from keras_ilsvrc.errors import InputError, nearest

SPLITS = ("train", "validation", "test")
SHARES = {"validation": 0.2, "test": 0.2}  # of a folder without splits, as of the digits


def folder(root: Path, channels: int = 3, report: Report = refuse) -> Source:
    """One folder a class, below `train`, `validation` and `test`, or else split by seed 0.

    The header of every file is read, so that what is no image is known before training is; whether
    all of a file decodes is seen when it is used. Names that begin with a dot are passed over.

    Args:
        root: The folder.
        channels: 1 or 3: as what the files are decoded.
        report: Told of every bad file and empty class folder, which are left out.

    Raises:
        InputError: If a folder is missing; if `report` is not given, also of the first bad file.
    """
    check_folder(root)
    named = [name for name in SPLITS if (root / name).is_dir()]
    if named and "train" not in named:
        raise InputError(f"{root}: there is {', '.join(named)} but no folder train")
    classes = class_folders(root / "train" if named else root)
    if not classes:
        raise InputError(f"{root}: no class folders; expected one folder of images a class")
    splits = {}
    for name in named or ("all",):
        base = root / name if named else root
        extra = sorted(set(class_folders(base)) - set(classes))
        if extra:
            raise InputError(f"{base / extra[0]}: this class is not among those of {root}/train")
        splits[name] = _with_good_headers(listed(base, classes, root, channels, report), report)
    if not named:
        whole = splits["all"]
        sizes = {name: round(share * len(whole)) for name, share in SHARES.items()}
        parts = stratified(whole.labels, sizes, str(root))
        splits = {name: whole[part] for name, part in parts.items()}
    return Source(f"folder:{root}", splits, tuple(classes))


def check_folder(root: Path) -> None:
    """Sees to it that a folder is there.

    Raises:
        InputError: If it is not, with what it may have been meant to be.
    """
    if not root.is_dir():
        found = [x.name for x in root.parent.iterdir()] if root.parent.is_dir() else []
        raise InputError(f"{root}: no such folder; {nearest(root.name, found)}".rstrip("; "))


def class_folders(base: Path) -> list[str]:
    """The names of the folders in a folder, in order, hidden ones left out."""
    return sorted(x.name for x in base.iterdir() if x.is_dir() and not x.name.startswith("."))


def listed(base: Path, classes: Sequence[str], root: Path, channels: int, report: Report) -> Split:
    """The images of class folders, those of a class in order of their names; none is opened.

    Args:
        base: Holds the class folders.
        classes: Their names, in the order of the labels; one may be absent.
        root: No link may lead out of it.
        channels: 1 or 3.
        report: Told of what is left out.
    """
    paths: list[str] = []
    labels: list[int] = []
    home = os.path.realpath(root)
    for label, name in enumerate(classes):
        found = images(base / name, home, report) if (base / name).is_dir() else []
        paths += found
        labels += [label] * len(found)
    return Split(np.array(labels, "int32"), None, Files(np.array(paths, object)), channels)


def images(base: Path, home: str, report: Report) -> list[str]:
    """The files of a folder in order of their names, hidden ones left out.

    Args:
        base: The folder.
        home: No link may lead out of this folder, which is given without links.
        report: Told of an empty folder, and of what is no file within `home`.
    """
    if _outside(base, home):
        report(Fault(str(base), None, f"a link to {os.path.realpath(base)}, out of {home}"))
        return []
    entries = sorted(
        (x for x in os.scandir(base) if not x.name.startswith(".")), key=lambda x: x.name
    )
    if not entries:
        report(Fault(str(base), None, "this class folder is empty; fill it or remove it"))
    paths = []
    for entry in entries:
        if entry.is_symlink() and _outside(entry.path, home):
            reason = f"a link to {os.path.realpath(entry.path)}, out of {home}"
        elif entry.is_dir():
            reason = "a directory, not an image"
        elif not entry.is_file():
            reason = "a broken link, not an image" if entry.is_symlink() else "not a file"
        else:
            paths.append(entry.path)
            continue
        report(Fault(entry.path, None, reason))
    return paths


def _outside(path, home):
    return os.path.commonpath([os.path.realpath(path), home]) != home


def _with_good_headers(split, report):
    kept = []
    with own_limit():
        faults = in_threads(_bad_header, split.store.paths, "reading headers")
        for index, fault in enumerate(faults):
            if fault:
                report(fault)
            else:
                kept.append(index)
    return split[np.array(kept, int)]


def _bad_header(path):
    size = None
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            read_header(file)
    except BadImage as error:
        return Fault(path, size, str(error))
    except OSError as error:
        return Fault(path, size, f"cannot be read: {error.strerror}")
    return None
