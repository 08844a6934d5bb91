"""The data source `imagenet:PATH`: ILSVRC 2012, in folders or in the official tar files."""

import os
from collections.abc import Iterable, Sequence, Set
from itertools import chain
from pathlib import Path

import numpy as np

from keras_ilsvrc.data import kept
from keras_ilsvrc.data.devkit import NAME as DEVKIT
from keras_ilsvrc.data.devkit import Devkit, read_devkit
from keras_ilsvrc.data.folder import check_folder, class_folders, walk
from keras_ilsvrc.data.headers import Fault
from keras_ilsvrc.data.source import OnFault, Source, refuse
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Files, Members, Store
from keras_ilsvrc.data.tars import Member, members
from keras_ilsvrc.data.texts import File, FileTable, Texts
from keras_ilsvrc.utils.bars import in_threads
from keras_ilsvrc.utils.errors import InputError, nearest

TRAIN, VALIDATION = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
SYNSETS = 1000
ORDERS = ("wordnet", "devkit")


def imagenet(place: str, channels: int = 3, on_fault: OnFault = refuse) -> Source:
    """Open ILSVRC 2012 as a data source with the splits `train`, `validation` and `test`.

    The folder contains `train/SYNSET/*.JPEG` or `ILSVRC2012_img_train.tar`, and `val/*.JPEG`,
    `val/SYNSET/*.JPEG` or `ILSVRC2012_img_val.tar`. If the validation images are not in folders
    of synsets, their labels come from `ILSVRC2012_devkit_t12.tar.gz`, packed or unpacked. Tars
    are read without unpacking. `test` is the same split as `validation`, since the papers report
    errors on the validation images.

    By default, a label is the position of the class in the sorted list of WordNet ids, as in all
    published weights. With `PATH?order=devkit`, it is the devkit's ILSVRC2012_ID minus 1.

    Args:
        place: Path of the folder, optionally followed by `?order=devkit`.
        channels: Number of channels to decode to, 1 or 3.
        on_fault: Function called with a `Fault` for every empty folder and every link to a place
            outside the folder. These are left out. No image is opened; `check` opens all of them.

    Raises:
        InputError: If a file is missing, or if the images, labels or synsets do not match.
    """
    root, order = _parsed(place)
    check_folder(root)
    devkit = read_devkit(root)
    if order == "devkit" and devkit is None:
        raise InputError(f"{root}: ?order=devkit needs {DEVKIT}.tar.gz in this folder")
    expected = devkit.synsets if devkit else None
    base, tars = root / "train", None
    if not base.is_dir():
        base = _file(root, TRAIN, "train")
        tars = {Path(tar.name).stem: tar for tar in members(base)}
    synsets = check_synsets(base, class_folders(base) if tars is None else tars, expected)
    classes = expected if expected and order == "devkit" else synsets
    if tars is None:
        train = _listed(base, classes, root, channels, on_fault)
    else:
        train = _from_tars(base, [tars[name] for name in classes], channels)
    validation = _validation(root, classes, devkit, channels, on_fault)
    splits = {"train": train, "validation": validation, "test": validation}
    return Source(f"imagenet:{place}", splits, tuple(classes))


def _parsed(place: str) -> tuple[Path, str]:
    """Split the text `PATH?order=ORDER` into the path and the order of the labels."""
    path, _, query = place.partition("?")
    order = query.removeprefix("order=") if query else "wordnet"
    if order not in ORDERS:
        raise InputError(
            f"imagenet:{place}: unknown order of labels {order!r}; {nearest(order, ORDERS)}"
        )
    return Path(path), order


def check_synsets(path: Path, found: Iterable[str], expected: Sequence[str] | None) -> list[str]:
    """Check that the synsets (WordNet ids of classes) are the expected ones; return them sorted.

    If `expected` is None, only the number of synsets is checked.

    Raises:
        InputError: If synsets are missing or not expected; the message lists them.
    """
    names = set(found)
    if expected is None and len(names) != SYNSETS:
        raise InputError(f"{path}: expected {SYNSETS} synsets, found {len(names)}")
    wanted = names if expected is None else set(expected)
    if names != wanted:
        raise InputError(
            f"{path}: expected {len(wanted)} synsets, found {len(names)}; "
            f"missing: {_few(wanted - names)}; extra: {_few(names - wanted)}"
        )
    return sorted(names)


def _few(names: Set[str]) -> str:
    return ", ".join(sorted(names)[:5]) + (", ..." if len(names) > 5 else "") or "none"


def _listed(
    base: Path, classes: Sequence[str], root: Path, channels: int, on_fault: OnFault
) -> Split:
    """Return the images in class folders as a split, without opening any image."""
    found: dict[str, FileTable] = {}
    for place, files, fault, _ in walk(base, os.path.realpath(root), on_fault):
        name = place.relative_to(base).as_posix()
        if fault or "/" in name:
            on_fault(Fault(str(place), None, fault or "a directory, not an image"))
        else:
            found[name] = FileTable(files)
    each = [found.pop(name, FileTable()) for name in classes]
    labels = np.repeat(np.arange(len(classes), dtype="int32"), list(map(len, each)))
    return Split(labels, None, _files(chain(*each)), channels)


def _files(found: Iterable[File]) -> Files:
    table = FileTable(found)
    return Files(table.paths, table.stats)


def _from_tars(path: Path, tars: Sequence[Member], channels: int) -> Split:
    """Read a split from a tar that contains one inner tar per class, in the order of the labels.

    For large data sets, the positions of the images are cached for later runs.
    """
    found = os.stat(path)
    index = kept.Kept(
        "members", os.path.abspath(path), f"{found.st_size} {found.st_mtime_ns} {tars}"
    )
    held = index.load() or _members_in(path, tars)
    if len(held["places"]) >= kept.LEAST and not index.loaded:
        index.save(**held)
    labels = np.repeat(np.arange(len(tars), dtype="int32"), held["counts"])
    names = Texts.of_arrays(held["names"], held["ends"])
    return Split(labels, None, Members(str(path), names, held["places"]), channels)


def _members_in(path: Path, tars: Sequence[Member]) -> dict[str, np.ndarray]:
    """Return the names and positions of the images in the inner tars, and the number in each."""

    def inside(tar: Member) -> FileTable:
        found = members(path, tar.offset, tar.offset + tar.size)
        return FileTable(sorted((f"{tar.name}!{one.name}", *one[1:]) for one in found))

    each = list(in_threads(inside, tars, f"reading {path.name}", 1))
    whole = FileTable(chain(*each))
    names, ends = whole.paths.arrays()
    counts = np.array(list(map(len, each)))
    return {"names": names, "ends": ends, "places": whole.stats, "counts": counts}


def _validation(
    root: Path, classes: Sequence[str], devkit: Devkit | None, channels: int, on_fault: OnFault
) -> Split:
    base = root / "val"
    if base.is_dir() and class_folders(base):
        check_synsets(base, class_folders(base), classes)
        return _listed(base, classes, root, channels, on_fault)
    if base.is_dir():
        found = walk(base, os.path.realpath(root), on_fault)
        held = _files(file for _, files, *_ in found for file in files)
        store: Store = held
        count = len(held.paths)
    else:
        base = _file(root, VALIDATION, "val")
        table = FileTable(sorted(members(base)))
        store, count = Members(str(base), table.paths, table.stats), len(table)
    if devkit is None:
        raise InputError(f"{root}: no labels for {base.name}; put {DEVKIT}.tar.gz into this folder")
    if len(devkit.truth) != count:
        raise InputError(
            f"{devkit.path}: found {len(devkit.truth)} labels; expected {count}, one for each "
            f"image in {base}"
        )
    label = {name: number for number, name in enumerate(classes)}
    labels = [label[devkit.synsets[number - 1]] for number in devkit.truth]
    return Split(np.array(labels, "int32"), None, store, channels)


def _file(root: Path, name: str, folder: str) -> Path:
    if not (root / name).is_file():
        raise InputError(f"{root}: found neither folder {folder} nor {name}; put one of them there")
    return root / name
