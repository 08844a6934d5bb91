"""Data sets of images with boxes around objects, and checks of these images and boxes.

A box is (left, top, right, bottom) in pixels, as in `evaluation.boxes`.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_ilsvrc.data.headers import BadImage, Fault, own_limit, read_header
from keras_ilsvrc.data.listing import ALL
from keras_ilsvrc.data.source import OnFault, Shares, terms
from keras_ilsvrc.utils.bars import in_threads
from keras_ilsvrc.utils.errors import InputError, nearest, printable

# Minimum width and height of a box in pixels. This is our choice: smaller boxes are usually slips
# of the mouse during annotation.
LEAST = 2


class Object(NamedTuple):
    """Object listed in an annotation file.

    Attributes:
        kind: Name of its class.
        box: Its box, (left, top, right, bottom) in pixels.
        ignored: Whether the evaluation ignores it, because VOC marks it as `difficult`, or COCO as
            `iscrowd`.
        crowd: Whether it is a group of objects (COCO's `iscrowd`).
    """

    kind: str
    box: tuple[float, float, float, float]
    ignored: bool = False
    crowd: bool = False


class Listed(NamedTuple):
    """Image listed in an annotation file, with its objects."""

    path: Path
    objects: Sequence[Object]


@dataclass(frozen=True, eq=False)
class Annotated:
    """Image with the boxes of its objects.

    Attributes:
        path: Path of the image file.
        height: Height in pixels, after any EXIF rotation.
        width: Width in pixels, after any EXIF rotation.
        boxes: Boxes, (objects, 4), float64, inside the image.
        labels: Class indices, (objects,).
        ignored: Whether the evaluation ignores each object, (objects,), bool.
        crowds: Whether each object is a group of objects, (objects,), bool.
    """

    path: Path
    height: int
    width: int
    boxes: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray
    crowds: np.ndarray

    @property
    def whole(self) -> np.ndarray:
        """Box (left, top, right, bottom) of the whole image, (4,)."""
        return np.array([0, 0, self.width, self.height], float)


@dataclass(frozen=True)
class BoxSource:
    """Data set of images with boxes, in named splits.

    Attributes:
        name: Name of the data set, such as `voc:VOCdevkit/VOC2007`.
        splits: Images of each split.
        classes: Names of the classes, in the order of the labels.
        notes: Remarks for the user, one line each.
    """

    name: str
    splits: Mapping[str, tuple[Annotated, ...]]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def split(self, expression: str) -> tuple[Annotated, ...]:
        """Return the images named by an expression, such as `train[:50]+validation`.

        Raises:
            InputError: If there is no such split, or if it is empty.
        """
        chosen = terms(self.name, self.splits, expression)
        found = tuple(one for name, part in chosen for one in self.splits[name][part])
        if not found:
            raise InputError(f"{self.name}: the split {expression!r} contains no images")
        return found

    def counts(self, images: Iterable[Annotated]) -> dict[str, int]:
        """Return {class: number of boxes} for the given images."""
        total = np.zeros(len(self.classes), int)
        for one in images:
            total += np.bincount(one.labels, minlength=len(self.classes))
        return dict(zip(self.classes, total.tolist()))


def annotated(
    name: str,
    listed: Mapping[str, Sequence[Listed]],
    classes: Sequence[str] | None,
    on_fault: OnFault,
    shares: Shares,
) -> BoxSource:
    """Check all images and boxes of a data set, and return the data set.

    If `ALL` is the only split, its images are divided into train, validation and test.

    Args:
        name: Name of the data set.
        listed: Images of each split, as listed in the annotation files.
        classes: Names of the classes, in the order of the labels; None for all that occur, sorted.
        on_fault: Function called with a `Fault` for each bad image and each bad box. A box that is
            partly outside the image is cut off at the border; other bad boxes and images are left
            out.
        shares: Shares of the images for validation and test, and the seed of the random choice.

    Raises:
        InputError: If there are no images or no boxes.
    """
    if not any(listed.values()):
        raise InputError(f"{name}: lists no images")
    kinds = {each.kind for images in listed.values() for one in images for each in one.objects}
    known = tuple(classes if classes is not None else sorted(kinds - {""}))
    if not known:
        raise InputError(f"{name}: none of the images has a box with a class")
    # An image may be in several splits, such as train and trainval, and is checked once.
    once = list({one.path: one for images in listed.values() for one in images}.values())
    checked: dict[Path, Annotated] = {}
    with own_limit():
        for image, faults in in_threads(lambda one: _checked(one, known), once, "reading images"):
            for fault in faults:
                on_fault(fault)
            if image is not None:
                checked[image.path] = image
    made = {
        split: tuple(
            checked[path] for path in dict.fromkeys(x.path for x in images) if path in checked
        )
        for split, images in listed.items()
    }
    notes = []
    if set(made) == {ALL}:
        made = _divided(made[ALL], shares)
        notes = [f"{len(one):,} images form the split {key}" for key, one in made.items()]
    return BoxSource(name, made, tuple(map(printable, known)), tuple(notes))


def _checked(listed: Listed, classes: Sequence[str]) -> tuple[Annotated | None, list[Fault]]:
    """Check the header and the boxes of an image; return the image (None if bad) and all faults."""
    path, name = listed.path, str(listed.path)
    try:
        with open(path, "rb") as file:
            header = read_header(file)
    except BadImage as error:
        return None, [Fault(name, path.stat().st_size, str(error))]
    except OSError as error:
        return None, [Fault(name, None, f"cannot be read: {error.strerror}")]
    faults, kept = [], dict[tuple[int, tuple[float, ...]], Object]()
    for number, one in enumerate(listed.objects, 1):
        box = np.array(one.box, float)
        what = _fault(one, box, header.height, header.width, classes)
        low, high = np.zeros(4), np.array([header.width, header.height] * 2, float)
        inside = np.clip(box if np.isfinite(box).all() else low, low, high)
        key = (classes.index(one.kind), tuple(inside)) if one.kind in classes else (-1, ())
        if key in kept:
            what = what or "the same box and class as an earlier object"
        if what:
            kind = f", {one.kind!r}" if one.kind else ""
            faults.append(Fault(name, None, f"object {number}{kind}: {what}"))
        if one.kind in classes and key not in kept and np.all(inside[2:] - inside[:2] >= LEAST):
            kept[key] = one
    chosen = kept.values()
    return Annotated(
        path,
        header.height,
        header.width,
        np.array([box for _, box in kept], float).reshape(-1, 4),
        np.array([label for label, _ in kept], int),
        np.array([one.ignored for one in chosen], bool),
        np.array([one.crowd for one in chosen], bool),
    ), faults


def _fault(
    one: Object, box: np.ndarray, height: int, width: int, classes: Sequence[str]
) -> str | None:
    """Return a description of an object's fault; None if the object has no fault."""
    if not one.kind:
        return "has no class"
    if one.kind not in classes:
        return f"unknown class; {nearest(one.kind, classes)}".rstrip("; ")
    shown = f"box ({', '.join(f'{x:g}' for x in box)})"
    if not np.isfinite(box).all():
        return f"{shown} is not finite"
    if np.any(box[2:] <= box[:2]):
        return f"{shown} is empty"
    if np.any(box[2:] - box[:2] < LEAST):
        return f"{shown} is less than {LEAST} pixels wide or high"
    if np.any(box < 0) or box[2] > width or box[3] > height:
        return f"{shown} extends beyond the image of {width}x{height} pixels"
    return None


def _divided(images: Sequence[Annotated], shares: Shares) -> dict[str, tuple[Annotated, ...]]:
    """Divide images into train, validation and test, depending only on the seed and file names."""

    def digest(one: Annotated) -> bytes:
        return hashlib.sha256(f"{shares.seed} {one.path.name}".encode()).digest()

    order, ranks = sorted(images, key=digest), {one.path: rank for rank, one in enumerate(images)}
    test = round(shares.test * len(order))
    rest = test + round(shares.validation * len(order))
    parts = {"train": order[rest:], "validation": order[test:rest], "test": order[:test]}
    return {
        key: tuple(sorted(part, key=lambda one: ranks[one.path]))
        for key, part in parts.items()
        if part
    }
