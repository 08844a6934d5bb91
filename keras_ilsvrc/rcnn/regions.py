"""Regions: boxes of images with their features and their overlaps with objects."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_ilsvrc.data.annotated import Annotated
from keras_ilsvrc.data.decode import read_image
from keras_ilsvrc.evaluation.boxes import overlaps
from keras_ilsvrc.rcnn.cache import GIGABYTE, Cache, default_folder
from keras_ilsvrc.rcnn.features import Arrays, Extractor, features
from keras_ilsvrc.rcnn.proposals import Proposer
from keras_ilsvrc.rcnn.recipe import FeaturesTable
from keras_ilsvrc.utils.bars import bar, in_threads

Check = Callable[[], object]
BOXES = "boxes"
VERSION = 1  # in the keys of caches; to be increased if the code computes other values


@dataclass(frozen=True, eq=False)
class Regions:
    """Boxes of one image with their features; in training, the boxes of the objects come first.

    Attributes:
        image: The image.
        boxes: Boxes, (boxes, 4).
        truths: Number of objects at the start of `boxes`; 0 in testing.
        features: Features of each layer, {layer: (boxes, values)}, float32.
    """

    image: Annotated
    boxes: np.ndarray
    truths: int
    features: Mapping[str, np.ndarray]

    def overlaps(self, classes: int) -> np.ndarray:
        """Return the largest overlap of each box with an object of each class, (boxes, classes)."""
        found = np.zeros((len(self.boxes), classes))
        shared = overlaps(self.boxes, self.image.boxes)
        for column, label in enumerate(self.image.labels):
            found[:, label] = np.maximum(found[:, label], shared[:, column])
        return found


class Places:
    """Folders of the caches of proposals and features.

    Args:
        chosen: Folder that the user chose; None for folders in the package's cache.
        gigabytes: Maximum size in GB of all caches of the same kind together.
    """

    def __init__(self, chosen: Path | None = None, gigabytes: float = 20.0):
        self.chosen, self.limit = chosen, int(gigabytes * GIGABYTE)

    def open(self, kind: str, key: Mapping[str, Any]) -> Cache:
        """Return the cache of a kind, for example "features", for the arrays of a key."""
        folder = self.chosen / kind if self.chosen else default_folder(kind, key)
        return Cache(folder, key, self.limit, alone=self.chosen is not None)


class Finder:
    """Source of the proposals and regions of images, which uses caches.

    Args:
        proposer: Function that returns the proposals of an image.
        extractor: Function that returns the features of crops; None if only proposals are needed.
        table: Table `features` of the recipe.
        places: Folders of the caches.
        check: Function called after each image, which may raise an exception to end early.
    """

    def __init__(
        self,
        proposer: Proposer,
        extractor: Extractor | None,
        table: FeaturesTable,
        places: Places,
        check: Check = lambda: None,
    ):
        self.proposer, self.extractor, self.table, self.check = proposer, extractor, table, check
        source = "selective search"
        if proposer.file is not None:
            source = hashlib.sha256(proposer.file.read_bytes()).hexdigest()
        own = {"version": VERSION}
        key = own | {"proposals": source, "width": proposer.width, "most": proposer.most}
        self.proposed = places.open("proposals", key | {"seed": proposer.seed})
        if extractor is not None:
            crops = {"size": table.size, "context": table.context}
            self.cache = places.open("features", own | extractor.key | crops)

    def proposals(self, images: Sequence[Annotated]) -> list[np.ndarray]:
        """Return the proposals of each image, (proposals, 4)."""
        found = []
        for boxes in in_threads(self._propose, images, "proposals", together=1):
            self.check()
            found.append(boxes)
        return found

    def _propose(self, one: Annotated) -> np.ndarray:
        name = _digest(one.path.read_bytes())
        arrays = self.proposed.get(name)
        if arrays is None:
            pixels = np.asarray(read_image(one.path, 3))
            arrays = {BOXES: self.proposer(pixels, one.path.name)}
            self.proposed.put(name, arrays)
        return arrays[BOXES]

    def regions(
        self, images: Sequence[Annotated], proposals: Sequence[np.ndarray], truths: bool, label: str
    ) -> Iterator[Regions]:
        """Yield the regions of each image, with features.

        Args:
            images: Images.
            proposals: Proposals of each image.
            truths: Whether to put the boxes of the objects before the proposals, as in training.
            label: Label of the progress bar.
        """
        with bar(label) as progress:
            for number, (one, boxes) in enumerate(zip(images, proposals, strict=True)):
                progress(number, len(images))
                every = np.concatenate([one.boxes, boxes]) if truths else boxes
                arrays = self._features(one, every)
                count = len(one.boxes) if truths else 0
                values = {key: x.astype("float32") for key, x in arrays.items()}
                self.check()
                yield Regions(one, every, count, values)

    def _features(self, one: Annotated, boxes: np.ndarray) -> Arrays:
        if not len(boxes):
            return {}
        assert self.extractor is not None
        name = _digest(one.path.read_bytes() + boxes.astype("float64").tobytes())
        arrays = self.cache.get(name)
        if arrays is None:
            table, pixels = self.table, read_image(one.path, 3)
            arrays = features(
                self.extractor, pixels, boxes, table.size, table.context, table.batch_size
            )
            self.cache.put(name, arrays)
        return arrays


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
