"""Lists of image files with classes and splits, and their conversion to a data source."""

import hashlib
import os
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from keras_ilsvrc.data.headers import count_endings
from keras_ilsvrc.data.index import FOREIGN, IMAGE, SEVERAL, TURNED, header_bits
from keras_ilsvrc.data.source import OnFault, Shares, Source
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Files
from keras_ilsvrc.data.texts import File, FileTable
from keras_ilsvrc.utils.errors import InputError

SPLITS = ("train", "validation", "test")
# {accepted name: split}, for split folders and for values in the column `split` of a CSV.
SPLIT_NAMES = {name: name for name in SPLITS} | {"val": "validation", "valid": "validation"}
ALL = "all"  # placeholder split for images that are not yet divided into splits


class Words(NamedTuple):
    """Phrases for the error messages about one kind of source."""

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
    """Image files of a source with their classes and splits, in compact parallel lists.

    Attributes:
        name: Name of the source.
        root: Folder to which names are relative.
        files: The files.
        kinds: For each file, the number that `named` gives to its class and split.
        named: {(class, split): number}; a split is train, validation, test or `ALL`.
        empty: Classes whose folder is empty or cannot be read. They still count as classes.
        hidden: Number of hidden files.
        loose: Number of files outside all class folders.
        notes: Remarks for the user, one line each.
    """

    name: str
    root: str
    files: FileTable = field(default_factory=FileTable)
    kinds: "array[int]" = field(default_factory=lambda: array("i"))
    named: dict[tuple[str, str], int] = field(default_factory=dict)
    empty: set[str] = field(default_factory=set)
    hidden: int = 0
    loose: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, files: Iterable[File], kind: str, split: str) -> None:
        """Append files of one class and split."""
        number = self.named.setdefault((kind, split), len(self.named))
        self.files.extend(files)
        self.kinds.extend([number] * (len(self.files) - len(self.kinds)))

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
        paths, stats = self.files.paths, self.files.stats
        bits = header_bits(self.name, paths, stats, on_fault)
        self._note_headers(bits)
        pairs, kinds = list(self.named), np.asarray(self.kinds)
        trained = {pairs[x] for x in np.unique(kinds[bits != FOREIGN]).tolist()}
        classes = sorted({kind for kind, split in trained if split in ("train", ALL)} | self.empty)
        good = np.flatnonzero(bits & IMAGE)
        if not len(good):
            loose = f", but {self.loose:,} files outside" if self.loose else ""
            raise InputError(f"{self.where}: {self.words.none.format(loose=loose)}")
        if len(good) < len(kinds):
            paths, stats, kinds = paths.take(good), stats[good], kinds[good]
        label = {kind: number for number, kind in enumerate(classes)}
        numbers = np.array([label.get(kind, -1) for kind, _ in pairs], "int32")
        labels = numbers[kinds]
        for row in np.flatnonzero(labels < 0)[:1].tolist():
            kind, split = pairs[kinds[row]]
            raise InputError(
                f"{self.where}: the class {kind!r} is in {split}, but not in train: "
                f"{paths[row]}; add images of it to train, or remove this class"
            )
        whole = Split(labels, None, Files(paths, stats), channels)
        parts = {
            # also for splits whose images are all bad
            name: np.flatnonzero(np.array([split == name for _, split in pairs])[kinds])
            for name in sorted({split for _, split in pairs})
        }
        parts = self._completed(parts, whole, classes, shares)
        splits = {name: whole[parts[name]] for name in SPLITS}
        if parts["test"] is parts["validation"]:
            splits["test"] = splits["validation"]
        self._note_absent(splits, classes)
        return Source(self.name, splits, tuple(classes), tuple(self.notes))

    def _note_headers(self, bits: np.ndarray) -> None:
        """Add notes on ignored files, images with an EXIF rotation and files of several frames."""
        foreign = self.files.paths.take(np.flatnonzero(bits == FOREIGN))
        others = count_endings(foreign)
        others.update({"hidden": self.hidden, "in no class folder": self.loose})
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in others.most_common(6) if count)
        turned, several = (int(np.count_nonzero(bits & one)) for one in (TURNED, SEVERAL))
        counts = {
            f"ignored files that are not images of a class: {kinds}": others.total(),
            f"images turned upright, as their EXIF data asks: {turned:,}": turned,
            f"files of which only the first frame or page is used: {several:,}": several,
        }
        self.notes += [f"{self.name}: {text}" for text, count in counts.items() if count]

    def _completed(
        self,
        parts: dict[str, np.ndarray],
        images: Split,
        classes: Sequence[str],
        shares: Shares,
    ) -> dict[str, np.ndarray]:
        """Create missing splits, and return {split: indices of its images} for all three splits."""
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
        names = " and ".join(f"{share:.0%} {name}" for name, share in new.items() if share)
        text = f"{names} split off from train"
        if whole is not None:
            self._check_sizes(images.labels, classes, new)
            text = f"split by class with seed {shares.seed}: {names}"
        self.notes += [f"{self.name}: {text}"] if names else []
        made: dict[str, list[np.ndarray]] = {name: [train[:0]] for name in ("train", *new)}
        order = train[_shuffled(images[train], self.root, shares.seed)]
        order = order[np.argsort(images.labels[order], kind="stable")]
        ends = np.cumsum(np.bincount(images.labels[order], minlength=len(classes)))
        for rest in np.split(order, ends[:-1]):
            for name, count in _sizes(len(rest), new).items():
                made[name].append(rest[:count])
                rest = rest[count:]
            made["train"].append(rest)
        return {name: np.sort(np.concatenate(found)) for name, found in made.items()} | parts

    def _check_sizes(
        self, labels: np.ndarray, classes: Sequence[str], new: dict[str, float]
    ) -> None:
        """Raise an InputError if a class has too few images to be in all splits."""
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
            self.notes.append(
                f"{self.name}: only one class, {classes[0]!r}; training needs at least two"
            )
        for name, split in splits.items():
            absent = np.setdiff1d(np.arange(len(classes)), split.labels).tolist()
            if absent and len(split):
                some = ", ".join(repr(classes[label]) for label in absent[:5])
                more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
                self.notes.append(f"{self.name}: {name} has no images of class {some}{more}")


def _sizes(count: int, shares: dict[str, float]) -> dict[str, int]:
    """Return the number of images of a class for each split other than train.

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


def _shuffled(split: Split, root: str, seed: int) -> np.ndarray:
    """Return shuffled indices, whose order depends only on the seed and the names of the files."""
    digests = bytearray()
    for index in range(len(split)):
        key = f"{seed}\0{_relative(split.name(index), root)}"
        digests += hashlib.sha256(os.fsencode(key)).digest()
    return np.lexsort(np.frombuffer(digests, ">u8").reshape(-1, 4).T[::-1])


def _relative(path: str, root: str) -> str:
    """Return `os.path.relpath(path, root)`, but faster for ordinary paths inside the root."""
    start = f"{root}{os.sep}"
    parts = path.removeprefix(start).split(os.sep)
    odd = os.curdir in parts or os.pardir in parts or "" in parts
    return os.path.relpath(path, root) if odd or not path.startswith(start) else os.sep.join(parts)
