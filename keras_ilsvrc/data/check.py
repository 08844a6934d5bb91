"""Check of a whole data source: number, sizes and formats of its images, and all bad files."""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from keras_ilsvrc.data.decode import Fault, Header, own_limit
from keras_ilsvrc.data.sources import open_source
from keras_ilsvrc.data.split import Split, examined
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.terminal.bars import in_threads

PIXELS = "pixels"  # format reported for images that are stored as pixels, without encoding
ENDINGS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    ".png": "PNG",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".webp": "WEBP",
}


@dataclass
class Findings:
    """Results of checking a data source.

    Attributes:
        source: Name of the source.
        images: Number of good images, by split.
        classes: Minimum, median and maximum number of good images per class, and the empty
            classes, by split.
        heights: Minimum, median and maximum height in pixels, over all splits.
        widths: Minimum, median and maximum width in pixels, over all splits.
        modes: Number of images by mode: grey, RGB, CMYK, alpha, 16 bit and so on.
        formats: Number of images by actual format: JPEG, PNG and so on; `pixels` if not encoded.
        misnamed: Images whose file name has the extension of another format. The entry
            `PNG: image.jpg` is a PNG, for example.
        rotated: Number of images for which EXIF asks for a rotation, which is not applied.
        duplicates: Names of images with the same content, one list per content.
        two_classes: Number of lists in `duplicates` that contain images of several classes.
        shared: Number of images whose content is in two splits, by the names of both splits:
            `train, validation`.
        bad: Every image, file or folder that cannot be used.
    """

    source: str
    images: dict[str, int] = field(default_factory=dict)
    classes: dict[str, dict[str, Any]] = field(default_factory=dict)
    heights: tuple[int, float, int] | None = None
    widths: tuple[int, float, int] | None = None
    modes: dict[str, int] = field(default_factory=dict)
    formats: dict[str, int] = field(default_factory=dict)
    misnamed: list[str] = field(default_factory=list)
    rotated: int = 0
    duplicates: list[list[str]] = field(default_factory=list)
    two_classes: int = 0
    shared: dict[str, int] = field(default_factory=dict)
    bad: list[Fault] = field(default_factory=list)


def check(name: str, channels: int = 3) -> Findings:
    """Read and decode every image of a source, on all cores, and return the findings.

    If the source cannot be opened even without its bad files, it is the last entry of
    `Findings.bad`.

    Args:
        name: Name of the source, as for `open_source`.
        channels: Number of channels to decode to, 1 or 3.

    Raises:
        InputError: If the source cannot be opened and no bad file was found in it.
    """
    found = Findings(name)
    try:
        source = open_source(name, channels, found.bad.append)
    except InputError as error:
        if not found.bad:
            raise
        found.bad.append(Fault(name, None, str(error)))
        return found
    tally = _Tally(found)
    splits: list[Split] = []
    for title in source.splits:
        try:
            split = source.splits[title]
        except InputError as error:  # a TFDS split is read only now, when it is first used
            found.bad.append(Fault(title, None, str(error)))
            continue
        if split not in splits:  # count a split with two names, `validation` and `test`, once
            splits.append(split)
            tally.add(title, split, source.classes)
    tally.close(splits)
    return found


class _Tally:
    """Accumulator that counts the images of each split and writes the totals to `Findings`."""

    def __init__(self, found: Findings):
        self.found = found
        self.modes: Counter[str] = Counter()
        self.formats: Counter[str] = Counter()
        self.sizes: list[tuple[int, int]] = []
        # Images with the same content, by its digest. An image is given as (split number, index).
        self.places: defaultdict[bytes, list[tuple[int, int]]] = defaultdict(list)
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
                self.places[digest].append((number, index))
                self.sizes.append((header.height, header.width))
                self.modes[header.mode] += 1
                self.formats[header.format] += 1
                self.found.rotated += header.rotated
                name = split.name(index)
                ending = os.path.splitext(name)[1].lower()
                if ENDINGS.get(ending, header.format) != header.format != PIXELS:
                    self.found.misnamed.append(f"{header.format}: {name}")
        self.found.images[title] = int(counts.sum())
        least, median, most = _three(counts)
        empty = [classes[label] for label in np.flatnonzero(counts == 0).tolist()]
        self.found.classes[title] = {"least": least, "median": median, "most": most, "empty": empty}

    def close(self, splits: Sequence[Split]) -> None:
        found = self.found
        found.modes = dict(self.modes.most_common())
        found.formats = dict(self.formats.most_common())
        if self.sizes:
            found.heights, found.widths = map(_three, zip(*self.sizes, strict=True))
        shared: Counter[str] = Counter()
        for places in self.places.values():
            if len(places) == 1:
                continue
            found.duplicates.append([splits[one].name(index) for one, index in places])
            labels = {int(splits[one].labels[index]) for one, index in places}
            found.two_classes += len(labels) > 1
            within = sorted({one for one, _ in places})
            shared.update(f"{self.titles[a]}, {self.titles[b]}" for a, b in combinations(within, 2))
        found.shared = dict(shared)


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
    return hashlib.sha256(pixels).digest(), Header(PIXELS, height, width, mode, False)


def _three(numbers: Sequence[int] | np.ndarray) -> tuple[int, float, int]:
    """Return the minimum, the median and the maximum of some numbers."""
    return int(min(numbers)), float(np.median(numbers)), int(max(numbers))
