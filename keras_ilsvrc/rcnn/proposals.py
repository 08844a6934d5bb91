"""Proposals: boxes that may contain an object, by selective search or from a file."""

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_ilsvrc.data.annotated import Annotated
from keras_ilsvrc.evaluation.boxes import overlaps
from keras_ilsvrc.rcnn import paper
from keras_ilsvrc.utils.errors import InputError, reason

COLUMNS = ("image", "xmin", "ymin", "xmax", "ymax")
INSTALL = "pip install 'keras_ilsvrc[rcnn]'"


def selective_search(
    image: np.ndarray, width: int | None, most: int | None, seed: int
) -> np.ndarray:
    """Return the proposals of selective search in its fast mode, roughly the largest boxes first.

    The original code sorts the boxes by a random number times the number of the merge that made the
    box, counted from the largest region of each grouping. OpenCV does not return the number of the
    merge, so the rank of the area is used instead.

    Args:
        image: RGB image (height, width, 3), uint8.
        width: Width in pixels to which the image is resized for the search; None to keep its size.
        most: Maximum number of proposals; None for all.
        seed: Seed of the random order.

    Returns:
        Boxes (proposals, 4), float64; there may be none in an image of 20 x 20 pixels or less.

    Raises:
        InputError: If OpenCV's module `ximgproc` is not installed.
    """
    search = _searcher()
    scale = image.shape[1] / width if width else 1.0
    if scale != 1:
        size = (int(width or 0), max(1, round(image.shape[0] / scale)))
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    search.setBaseImage(np.ascontiguousarray(image[..., ::-1]))
    search.switchToSelectiveSearchFast()
    found = np.unique(np.asarray(search.process(), float).reshape(-1, 4), axis=0)
    found = found[np.all(found[:, 2:] > paper.MIN_SIDE, axis=1)]
    areas = found[:, 2] * found[:, 3]
    ranks = 1 + np.argsort(np.argsort(-areas, kind="stable"), kind="stable")
    order = np.argsort(ranks * np.random.default_rng(seed).random(len(found)))[:most]
    left, top, wide, high = found[order].T
    return np.stack([left, top, left + wide, top + high], axis=1) * scale


def _searcher() -> Any:
    try:
        import cv2

        return cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    except (ImportError, AttributeError) as error:
        raise InputError(
            "selective search needs OpenCV with its module ximgproc: opencv-contrib-python-headless"
            f" is not installed; install it: {INSTALL}, or read proposals from a file"
        ) from error


def read_proposals(path: Path) -> Mapping[str, np.ndarray]:
    """Read proposals from a file: {stem of the image's name: boxes (proposals, 4)}.

    Args:
        path: Path of a CSV file with columns image, xmin, ymin, xmax, ymax, whose coordinates count
            from 0, and where a line with only an image means that it has no proposals; or of a
            MATLAB file in the authors' format, with `images` and `boxes`, whose
            boxes are (ymin, xmin, ymax, xmax) and count from 1.

    Raises:
        InputError: If the file is missing or damaged, or a box is empty.
    """
    readers: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {".csv": _csv, ".mat": _mat}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: expected proposals in a file that ends in .csv or .mat")
    try:
        found = readers[path.suffix.lower()](path)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error
    except Exception as error:  # scipy raises exceptions of any type for damaged files
        raise InputError(f"{path}: cannot be read as proposals: {reason(error)}") from error
    for name, boxes in found.items():
        if not np.isfinite(boxes).all() or np.any(boxes[:, 2:] <= boxes[:, :2]):
            raise InputError(f"{path}: {name}: a box is empty or not finite; remove it")
    return found


def _csv(path: Path) -> dict[str, np.ndarray]:
    rows: dict[str, list[list[float]]] = {}
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = set(COLUMNS) - set(reader.fieldnames or ())
        if missing:
            raise InputError(f"{path}: no column {sorted(missing)[0]!r} in line 1")
        for row in reader:
            own = rows.setdefault(Path(row["image"]).stem, [])
            texts = [(row[key] or "").strip() for key in COLUMNS[1:]]
            if not any(texts):
                continue
            try:
                own.append([float(text) for text in texts])
            except ValueError as error:
                raise InputError(f"{path}, line {reader.line_num}: {reason(error)}") from error
    return {name: np.array(boxes).reshape(-1, 4) for name, boxes in rows.items()}


def _mat(path: Path) -> dict[str, np.ndarray]:
    from scipy.io import loadmat

    table = loadmat(path)
    names = [str(each.item()) for each in table["images"].ravel()]
    boxes = [np.asarray(each, float).reshape(-1, 4) for each in table["boxes"].ravel()]
    first, last = np.array([1, 1, 0, 0]), [1, 0, 3, 2]
    return {Path(name).stem: own[:, last] - first for name, own in zip(names, boxes, strict=True)}


def check_stems(path: Path, images: Sequence[Annotated]) -> None:
    """Check that a file of proposals, which lists images by stem, can tell the images apart.

    Raises:
        InputError: If two images in different folders, or of different types, have the same stem.
    """
    known: dict[str, Path] = {}
    for one in images:
        first = known.setdefault(one.path.stem, one.path)
        if first != one.path:
            raise InputError(
                f"{path}: lists images by name, without folder and type, but {first} and "
                f"{one.path} have the same name; rename one of them"
            )


class Proposer:
    """Source of an image's proposals, clipped to the image: selective search or a file.

    Args:
        file: Path of a file with proposals, as in `read_proposals`; None for selective search.
        width: Width in pixels to which images are resized for selective search; None to keep their
            size.
        most: Maximum number of proposals of an image; None for all.
        seed: Seed of the random order of proposals in selective search.
    """

    def __init__(self, file: Path | None, width: int | None, most: int | None, seed: int):
        self.file, self.width, self.most, self.seed = file, width, most, seed
        self.read = None if file is None else read_proposals(file)

    def __call__(self, image: np.ndarray, name: str) -> np.ndarray:
        """Return the proposals of an RGB image, (proposals, 4).

        Raises:
            InputError: If the file of proposals does not list the image.
        """
        if self.read is None:
            found = selective_search(image, self.width, self.most, self.seed)
        elif Path(name).stem in self.read:
            found = self.read[Path(name).stem][: self.most]
        else:
            raise InputError(f"{self.file}: contains no proposals for {name}; add them")
        height, width = image.shape[:2]
        found = np.clip(found, 0, [width, height, width, height])
        return found[np.all(found[:, 2:] - found[:, :2] >= 1, axis=1)]


def recall(
    proposals: Sequence[np.ndarray], images: Sequence[Annotated], threshold: float = 0.5
) -> float:
    """Return the share of objects that a proposal overlaps by at least `threshold`.

    The share is NaN if there are no objects.
    """
    hits: list[bool] = []
    for boxes, one in zip(proposals, images, strict=True):
        shared = overlaps(one.boxes[~one.ignored], boxes)
        hits += (shared.max(axis=1, initial=0) >= threshold).tolist()
    return float(np.mean(hits)) if hits else math.nan
