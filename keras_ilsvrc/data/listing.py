"""Lists of image files with classes and splits, and their conversion to a data source."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import NamedTuple

import numpy as np

from keras_ilsvrc.data.headers import (
    ENDINGS,
    BadImage,
    Fault,
    Header,
    NotAnImage,
    own_limit,
    read_header,
)
from keras_ilsvrc.data.source import OnFault, Shares, Source
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Files
from keras_ilsvrc.errors import InputError, reason
from keras_ilsvrc.terminal.bars import in_threads

SPLITS = ("train", "validation", "test")
# {accepted name: split}, for names of folders and for values of a CSV's column `split`.
SPLIT_NAMES = {name: name for name in SPLITS} | {"val": "validation", "valid": "validation"}
ALL = "all"  # placeholder split for images that are not yet divided into splits


class Words(NamedTuple):
    """Phrases in error messages for one kind of source."""

    none: str  # error text if there are no images
    split: str  # advice on how to define the splits explicitly


WORDS = {
    "folder": Words(
        "no images in class folders{loose}; expected one folder of images per class",
        "make folders train, validation and test",
    ),
    "csv": Words(
        "lists no images; expected a line with file and label for each image",
        "add a column split with train, validation and test",
    ),
}


@dataclass
class Listing:
    """Image files of a source with their classes and splits, in lists of the same order.

    Attributes:
        name: Name of the source.
        root: Folder to which names are relative.
        paths: Path of each file.
        classes: Class of each file.
        splits: Split of each file: train, validation, test or `ALL`.
        empty: Classes whose folder is empty or cannot be read; they are classes nevertheless.
        hidden: Number of hidden files.
        loose: Number of files outside all class folders.
        notes: Remarks for the user, one line each.
    """

    name: str
    root: str
    paths: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    empty: set[str] = field(default_factory=set)
    hidden: int = 0
    loose: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, path: str, kind: str, split: str) -> None:
        self.paths.append(path)
        self.classes.append(kind)
        self.splits.append(split)

    @property
    def words(self) -> Words:
        return WORDS[self.name.partition(":")[0]]

    @property
    def where(self) -> str:
        """Path of the folder or CSV, for messages."""
        return self.name.partition(":")[2]

    def source(self, channels: int, on_fault: OnFault, shares: Shares) -> Source:
        """Read all headers, leave out files that are not images, and return the rest as a source.

        Args:
            channels: Number of channels to decode to, 1 or 3.
            on_fault: Function called with every bad image, which is left out.
            shares: Shares of the images for validation and test, used if the listing lacks these
                splits.

        Raises:
            InputError: If there are no images, if a class has no training images, or if a class
                has too few images to split.
        """
        good, foreign = self._read_headers(on_fault)
        named = sorted({*self.splits})  # including splits whose images are all bad
        kinds = zip(self.classes, self.splits, foreign)
        trained = {kind for kind, split, other in kinds if not other and split in ("train", ALL)}
        classes = sorted(trained | self.empty)
        if not any(good):
            loose = f", but {self.loose:,} files outside" if self.loose else ""
            raise InputError(f"{self.where}: {self.words.none.format(loose=loose)}")
        self._keep(good)
        label = {kind: number for number, kind in enumerate(classes)}
        for path, kind, split in zip(self.paths, self.classes, self.splits):
            if kind not in label:
                raise InputError(
                    f"{self.where}: the class {kind!r} is in {split}, but not in train: {path}; "
                    "add images of it to train, or remove this class"
                )
        labels = np.array([label[kind] for kind in self.classes], "int32")
        whole = Split(labels, None, Files(np.array(self.paths, object)), channels)
        where = np.array(self.splits)
        parts = {name: np.flatnonzero(where == name) for name in named}
        parts = self._completed(parts, labels, classes, shares)
        splits = {name: whole[parts[name]] for name in SPLITS}
        if parts["test"] is parts["validation"]:
            splits["test"] = splits["validation"]
        self._note_absent(splits, classes)
        return Source(self.name, splits, tuple(classes), tuple(self.notes))

    def _keep(self, good: Sequence[bool]) -> None:
        for column in (self.paths, self.classes, self.splits):
            column[:] = compress(column, good)

    def _read_headers(self, on_fault: OnFault) -> tuple[list[bool], list[bool]]:
        """Return two lists of flags: whether each file is used, and whether it is ignored."""
        good, foreign = [], []
        turned = several = 0
        others: Counter[str] = Counter()
        with own_limit():
            found = in_threads(_header, self.paths, "reading headers")
            for path, header in zip(self.paths, found):
                good.append(isinstance(header, Header))
                foreign.append(header is None)
                if header is None:
                    others[os.path.splitext(path)[1].lower() or "without extension"] += 1
                elif isinstance(header, Fault):
                    on_fault(header)
                else:
                    turned += header.turned
                    several += header.several
        others.update({"hidden": self.hidden, "in no class folder": self.loose})
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in others.most_common(6) if count)
        counts = {
            f"ignored files that are not images of a class: {kinds}": others.total(),
            f"images turned upright, as their EXIF data asks: {turned:,}": turned,
            f"files of which only the first frame or page is used: {several:,}": several,
        }
        self.notes += [f"{self.name}: {text}" for text, count in counts.items() if count]
        return good, foreign

    def _completed(
        self,
        parts: dict[str, np.ndarray],
        labels: np.ndarray,
        classes: Sequence[str],
        shares: Shares,
    ) -> dict[str, np.ndarray]:
        """Create the splits that are missing, and return {split: indices} for all three splits."""
        whole = parts.pop(ALL, None)
        train = parts.pop("train", whole)
        if train is None:
            raise InputError(
                f"{self.where}: found {', '.join(parts)}, but no train; add a split train"
            )
        if "validation" in parts and "test" not in parts:
            self.notes.append(f"{self.name}: no split test; tests use the validation images")
            return {"train": train, "test": parts["validation"], **parts}
        new = {name: getattr(shares, name) for name in SPLITS[1:] if name not in parts}
        if not new:
            return {"train": train, **parts}
        if whole is not None:
            self._check_sizes(labels, classes, new)
        else:
            names = " and ".join(f"{share:.0%} {name}" for name, share in new.items() if share)
            self.notes += [f"{self.name}: {names} split off from train"] if names else []
        keys = [f"{shares.seed}\0{os.path.relpath(self.paths[x], self.root)}" for x in train]
        digests = [hashlib.sha256(os.fsencode(key)).digest() for key in keys]
        made: dict[str, list[np.ndarray]] = {name: [train[:0]] for name in ("train", *new)}
        order = np.array(sorted(range(len(train)), key=digests.__getitem__), int)
        for label in range(len(classes)):
            rest = train[order[labels[train[order]] == label]]
            for name, count in _sizes(len(rest), new).items():
                made[name].append(rest[:count])
                rest = rest[count:]
            made["train"].append(rest)
        return {name: np.sort(np.concatenate(found)) for name, found in made.items()} | parts

    def _check_sizes(
        self, labels: np.ndarray, classes: Sequence[str], new: dict[str, float]
    ) -> None:
        """Raise InputError if a class has too few images to be in all splits."""
        needed = 1 + sum(share > 0 for share in new.values())
        counts = np.bincount(labels, minlength=len(classes))
        few = [
            f"{kind!r} has {count}"
            for kind, count in zip(classes, counts.tolist())
            if 0 < count < needed
        ]
        if few:
            more = f" (and {len(few) - 3} more classes)" if len(few) > 3 else ""
            raise InputError(
                f"{self.where}: class {', '.join(few[:3])}{more} of the {needed} images that "
                f"splitting needs per class; add images, or {self.words.split}"
            )

    def _note_absent(self, splits: dict[str, Split], classes: Sequence[str]) -> None:
        """Add notes on classes that have no images in a split."""
        if len(classes) == 1:
            self.notes.append(f"{self.name}: only one class, {classes[0]!r}; training needs two")
        for name, split in splits.items():
            absent = np.setdiff1d(np.arange(len(classes)), split.labels).tolist()
            if absent and len(split):
                some = ", ".join(repr(classes[label]) for label in absent[:5])
                more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
                self.notes.append(f"{self.name}: no image in {name} of class {some}{more}")


def _sizes(count: int, shares: dict[str, float]) -> dict[str, int]:
    """Return how many images of a class to put in each split other than train.

    If possible, train and every split with a share above 0 get at least one image.

    Args:
        count: Number of images of the class.
        shares: Share of the images in each split other than train.
    """
    sizes, rest, parts = {}, count, len(shares)
    for number, (name, share) in enumerate(shares.items(), 1):
        later = sum(other > 0 for other in list(shares.values())[number:parts])
        wanted = max(1, round(count * share)) if share else 0
        sizes[name] = max(0, min(wanted, rest - later - 1))
        rest -= sizes[name]
    return sizes


def _header(path: str) -> Header | Fault | None:
    """Return a file's header or fault; None if neither content nor extension suggest an image."""
    size = None
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            return read_header(file)
    except NotAnImage as error:
        if os.path.splitext(path)[1].lower() not in ENDINGS:
            return None
        return Fault(path, size, str(error))
    except BadImage as error:
        return Fault(path, size, str(error))
    except OSError as error:
        return Fault(path, size, f"cannot be read: {reason(error)}")
