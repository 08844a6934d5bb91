"""Check of a whole data source: number, sizes and formats of its images, and all bad files."""

import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from keras_ilsvrc.data.headers import ENDINGS, Fault, Header, own_limit
from keras_ilsvrc.data.sources import open_source, source_name
from keras_ilsvrc.data.split import Split, examined
from keras_ilsvrc.utils.bars import in_threads
from keras_ilsvrc.utils.errors import InputError

PIXELS = "pixels"  # format reported for images that are stored as pixels, without encoding
THUMBNAIL = 96  # height and width of an example image, in pixels
SHOWN_CLASSES, SHOWN_IMAGES = 20, 5  # maximum number of example classes, and of images per class


@dataclass
class Findings:
    """Results of checking a data source.

    Attributes:
        source: Name of the source.
        images: Number of good images, by split.
        classes: For each split, the minimum, median and maximum number of good images per class,
            and the empty classes.
        counts: For each class, a dict {name of a split: number of good images}.
        imbalance: Number of images of the largest class, divided by that of the smallest that is
            not empty; None without images.
        heights: Minimum, median and maximum height in pixels, over all splits.
        widths: Minimum, median and maximum width in pixels, over all splits.
        modes: Number of images by mode: grey, RGB, CMYK, alpha, 16 bit and so on.
        formats: Number of images in each format: JPEG, PNG and so on, detected from the content;
            `pixels` if they are not encoded.
        misnamed: Images whose file name has the extension of another format. The entry
            `PNG: image.jpg` is a PNG, for example.
        turned: Number of images that are turned upright, as EXIF asks.
        several: Number of files with several frames or pages, of which the first is used.
        duplicates: Lists of the names of images that have the same content.
        two_classes: Number of lists in `duplicates` that contain images of several classes.
        shared: For each pair of splits, such as `train, validation`, the number of different images
            that are in both.
        bad: Every image, file or folder that cannot be used.
        notes: Remarks about the source, one line each, for example on ignored files.
        examples: For some classes, a list of small images (96, 96, 3).
    """

    source: str
    images: dict[str, int] = field(default_factory=dict)
    classes: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    imbalance: float | None = None
    heights: tuple[int, float, int] | None = None
    widths: tuple[int, float, int] | None = None
    modes: dict[str, int] = field(default_factory=dict)
    formats: dict[str, int] = field(default_factory=dict)
    misnamed: list[str] = field(default_factory=list)
    turned: int = 0
    several: int = 0
    duplicates: list[list[str]] = field(default_factory=list)
    two_classes: int = 0
    shared: dict[str, int] = field(default_factory=dict)
    bad: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    examples: dict[str, list[np.ndarray]] = field(default_factory=dict)


def check(name: str, channels: int = 3, examples: bool = False) -> Findings:
    """Read and decode every image of a source, on all cores, and return the findings.

    If so many files are bad that the source cannot be opened, the source itself is the last entry
    of `Findings.bad`.

    Args:
        name: Name of the source, as for `open_source`.
        channels: Number of channels to decode to, 1 or 3.
        examples: Whether to keep small images of up to 20 classes, 5 of each.

    Raises:
        InputError: If the source cannot be opened and no bad file was found in it.
    """
    found = Findings(name)
    try:
        source = open_source(name, channels, found.bad.append)
    except InputError as error:
        if not found.bad:
            raise
        path = source_name(name).partition(":")[2]
        found.bad.append(Fault(name, None, str(error).removeprefix(f"{path}: ")))
        return found
    found.source, found.notes = source.name, list(source.notes)
    tally = _Tally(found)
    splits: list[Split] = []
    for title in source.splits:
        try:
            split = source.splits[title]
        except InputError as error:  # TFDS splits are read here, when they are first used
            found.bad.append(Fault(title, None, str(error)))
            continue
        # `validation` and `test` may be the same split; it is counted once.
        if len(split) and split not in splits:
            splits.append(split)
            tally.add(title, split, source.classes)
    tally.close(splits)
    if examples and splits:
        found.examples = _examples(splits[0], source.classes, {fault.name for fault in found.bad})
    return found


class _Tally:
    """Accumulator that counts the images of each split and writes the totals to `Findings`."""

    def __init__(self, found: Findings):
        self.found = found
        self.modes: Counter[str] = Counter()
        self.formats: Counter[str] = Counter()
        # Compact arrays with one item per image, since there may be millions of images.
        self.sizes, self.digests, self.places = array("i"), bytearray(), array("q")
        self.titles: list[str] = []

    def add(self, title: str, split: Split, classes: Sequence[str]) -> None:
        number = len(self.titles)
        self.titles.append(title)
        counts = np.zeros(len(classes), int)
        with own_limit():
            results = in_threads(partial(_look, split), range(len(split)), f"reading {title}")
            for index, result in enumerate(results):
                if isinstance(result, Fault):
                    self.found.bad.append(result)
                    continue
                digest, header = result
                counts[split.labels[index]] += 1
                self.digests += digest
                self.places.extend((number, index))
                self._add_header(header, split.name(index))
        self.found.images[title] = int(counts.sum())
        least, median, most = _three(counts)
        empty = [classes[label] for label in np.flatnonzero(counts == 0).tolist()]
        self.found.classes[title] = {"least": least, "median": median, "most": most, "empty": empty}
        for name, count in zip(classes, counts.tolist()):
            self.found.counts.setdefault(name, {})[title] = count

    def _add_header(self, header: Header, name: str) -> None:
        self.sizes.extend((header.height, header.width))
        self.modes[header.mode] += 1
        self.formats[header.format] += 1
        self.found.turned += header.turned
        self.found.several += header.several
        ending = os.path.splitext(name)[1].lower()
        if ENDINGS.get(ending, header.format) != header.format != PIXELS:
            self.found.misnamed.append(f"{header.format}: {name}")

    def close(self, splits: Sequence[Split]) -> None:
        found = self.found
        found.modes = dict(self.modes.most_common())
        found.formats = dict(self.formats.most_common())
        if self.sizes:
            sizes = np.reshape(self.sizes, (-1, 2))
            found.heights, found.widths = map(_three, sizes.T)
        totals = [total for one in found.counts.values() if (total := sum(one.values()))]
        found.imbalance = max(totals) / min(totals) if totals else None
        places = np.reshape(self.places, (-1, 2))
        shared: Counter[str] = Counter()
        for group in _equal_rows(np.frombuffer(self.digests, "uint8").reshape(-1, 32)):
            images = places[group].tolist()
            found.duplicates.append([splits[one].name(index) for one, index in images])
            labels = {int(splits[one].labels[index]) for one, index in images}
            found.two_classes += len(labels) > 1
            within = sorted({one for one, _ in images})
            shared.update(f"{self.titles[a]}, {self.titles[b]}" for a, b in combinations(within, 2))
        found.shared = dict(shared)


def _equal_rows(rows: np.ndarray) -> list[np.ndarray]:
    """Return, for each row that occurs more than once, the indices of its occurrences."""
    if not len(rows):
        return []
    order = np.lexsort(rows.T)
    starts = np.flatnonzero(np.any(rows[order[1:]] != rows[order[:-1]], 1)) + 1
    groups = [np.sort(group) for group in np.split(order, starts) if len(group) > 1]
    return sorted(groups, key=lambda group: group[0])


def _examples(split: Split, classes: Sequence[str], bad: Set[str]) -> dict[str, list[np.ndarray]]:
    """Return {class: thumbnails}, up to 5 for each of up to 20 classes, spread over a split."""
    found: dict[str, list[np.ndarray]] = {}
    for label in _spread(np.unique(split.labels).tolist(), SHOWN_CLASSES):
        own = np.flatnonzero(split.labels == label).tolist()
        own = [index for index in own if split.name(index) not in bad]
        images = [np.asarray(split.image(index)) for index in _spread(own, SHOWN_IMAGES)]
        if images:
            found[classes[label]] = [_thumbnail(image) for image in images]
    return found


def _spread(items: Sequence[int], most: int) -> list[int]:
    """Return up to `most` of the items, evenly spaced."""
    places = np.linspace(0, len(items) - 1, min(len(items), most))
    return [items[int(place)] for place in places]


def _thumbnail(image: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).convert("RGB")
    return np.asarray(ImageOps.pad(picture, (THUMBNAIL, THUMBNAIL), color="white"))


def _look(split: Split, index: int) -> tuple[bytes, Header] | Fault:
    """Return the SHA-256 of an image and its header, or a `Fault` if it cannot be decoded."""
    if split.pixels is None:
        result = examined(split, index)
        if isinstance(result, Fault):
            return result
        content, header = result
        return hashlib.sha256(content).digest(), header
    pixels = split.pixels[index]
    height, width, channels = pixels.shape
    mode = "grey" if channels == 1 else "RGB"
    return hashlib.sha256(pixels).digest(), Header(PIXELS, height, width, mode)


def _three(numbers: Sequence[int] | np.ndarray) -> tuple[int, float, int]:
    """Return the minimum, median and maximum of the numbers."""
    return int(min(numbers)), float(np.median(numbers)), int(max(numbers))
