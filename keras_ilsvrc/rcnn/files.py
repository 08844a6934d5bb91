"""Run directories of detectors: names of their files, their schema, and readers and writers."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from keras_ilsvrc.data.annotated import Annotated as Image
from keras_ilsvrc.data.annotated import BoxSource
from keras_ilsvrc.data.fingerprint import common_folder
from keras_ilsvrc.rcnn.detector import Detections, Detector
from keras_ilsvrc.rcnn.recipe import DetectionRecipe, load
from keras_ilsvrc.recipe.ops import Percent
from keras_ilsvrc.runs import directory
from keras_ilsvrc.runs.reading import (
    COPY,
    DETECTIONS,
    DETECTOR,
    HISTORY,
    RECIPE,
    RESULT,
    WEIGHTS,
    DetectorRun,
)
from keras_ilsvrc.runs.schema import Identity, Images, Number, parsed
from keras_ilsvrc.utils.errors import file_errors

COLUMNS = ("image", "class", "score", "xmin", "ymin", "xmax", "ymax")


class Scores(BaseModel):
    """Average precision of detections, mean over the classes, in %.

    Attributes:
        voc07_map: Mean over 11 recalls, as in VOC 2007, at an overlap of 0.5.
        voc_map: Area under the curve, as in VOC since 2010, at an overlap of 0.5.
        coco_ap: COCO's average precision, mean over overlaps from 0.5 to 0.95.
        coco_ap50: COCO's average precision at an overlap of 0.5.
        coco_ap75: COCO's average precision at an overlap of 0.75.
        classes: Average precisions of each class, as {class: {name: value}}. The values are None
            for a class without objects.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    voc07_map: Percent
    voc_map: Percent
    coco_ap: Percent
    coco_ap50: Percent
    coco_ap75: Percent
    classes: dict[str, dict[str, Percent | None]]


class DetectorResult(BaseModel):
    """Content of `result.json` of a detector.

    Attributes:
        scores: Average precision of the finished detector.
        unmoved: Average precision without box regression; None if the detector has no regressors.
        recall: Share of the test objects that a proposal overlaps by 0.5, in %.
        proposals: Mean number of proposals of a test image.
        images: Number of test images.
        objects: Number of test objects of each class, without those marked as difficult.
    """

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    net: str
    scores: Scores
    unmoved: Scores | None = None
    recall: Percent | None
    proposals: float = Field(ge=0)
    images: Number
    objects: dict[str, Number]
    seconds: float = Field(ge=0)
    versions: dict[str, str]
    expected: dict[str, Any] | None = None
    overrides: list[str] = Field(default_factory=list)
    finished: str = ""


class DetectorFiles(DetectorRun):
    """Reader of the files of a detector's run.

    Args:
        path: Path of the run directory.
    """

    schema: ClassVar[type[BaseModel]] = DetectorResult

    def recipe(self) -> DetectionRecipe:  # type: ignore[override]
        """Return the recipe of the run."""
        self._verified(RECIPE, self.identity.recipe)
        return load(self.path / RECIPE)

    def detector(self) -> Detector:
        """Return the SVMs and regressors of the run."""
        content = self._verified(DETECTOR, self.identity.files.get(DETECTOR))
        return parsed(self.path / DETECTOR, COPY, lambda: Detector.of(content))

    def check_data(
        self, source: BoxSource, test: Sequence[Image], others: bool = False
    ) -> list[str]:
        """Check that classes and test images are those of the run, as in `check_images`."""
        now = identity_of(self.recipe(), source, {"test": test}, self.identity.eval_ops)
        return self.check_images(now, ["test"], others)

    def detections(self, images: Sequence[Image]) -> list[Detections]:
        """Return the detections in the test images, in the order of `images`.

        Raises:
            InputError: If the file is damaged, or has detections in other images.
        """
        content = self._verified(DETECTIONS, self.identity.files.get(DETECTIONS))
        names, classes = relative(images), self.identity.classes
        rows: dict[str, list[list[float]]] = {name: [] for name in names}

        def read() -> None:
            for row in csv.DictReader(io.StringIO(content.decode(), newline="")):
                if row["image"] not in rows:
                    raise ValueError(f"no test image is called {row['image']!r}")
                label = classes.index(row["class"])
                rows[row["image"]].append([label, *(float(row[key]) for key in COLUMNS[2:])])

        parsed(self.path / DETECTIONS, COPY, read)
        tables = [np.array(rows[name], float).reshape(-1, 6) for name in names]
        return [Detections(x[:, 0].astype(int), x[:, 1], x[:, 2:]) for x in tables]


class DetectorDirectory(DetectorFiles, directory.RunDirectory):
    """Writable directory of a detector's run; see `RunDirectory` for the arguments."""

    own = re.compile(rf"{re.escape(DETECTOR)}|{re.escape(DETECTIONS)}|{directory.OWN.pattern}")
    results = (HISTORY, WEIGHTS, DETECTOR, DETECTIONS, RESULT)

    def __init__(
        self, path: Path, recipe: DetectionRecipe, resume: bool = False, numbered: bool = False
    ):
        super().__init__(path, recipe, resume, numbered)  # type: ignore[arg-type]

    def recipe(self) -> DetectionRecipe:  # type: ignore[override]
        """Return the recipe that the constructor received."""
        return self._recipe  # type: ignore[return-value]

    def write_detections(
        self, images: Sequence[Image], found: Sequence[Detections], classes: Sequence[str]
    ) -> None:
        """Write `detections.csv`, one row per detection, with coordinates that count from 0."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(COLUMNS)
        for name, one in zip(relative(images), found, strict=True):
            for label, score, box in zip(one.labels, one.scores, one.boxes):
                rows.writerow([name, classes[label], f"{score:.6g}", *(f"{x:.2f}" for x in box)])
        self.write(DETECTIONS, text.getvalue().encode())


def relative(images: Sequence[Image]) -> list[str]:
    """Return the names of images, relative to the deepest folder that contains all of them."""
    paths = [one.path.as_posix() for one in images]
    start = len(common_folder(iter(paths)))
    return [path[start:].lstrip("/") for path in paths]


def identity_of(
    recipe: DetectionRecipe,
    source: BoxSource,
    splits: Mapping[str, Sequence[Image]],
    rows: Sequence[Mapping[str, Any]],
) -> Identity:
    """Return the content of `run.json` for a new run of a detector."""
    return Identity(
        version=version("keras_ilsvrc"),
        recipe=hashlib.sha256(recipe.toml().encode()).hexdigest(),
        seed=recipe.seed,
        classes=list(source.classes),
        eval_ops=[dict(row) for row in rows],
        splits={name: _fingerprint(images) for name, images in splits.items()},
        kind="detector",
    )


def _fingerprint(images: Sequence[Image]) -> Images:
    """Return the fingerprint of images with boxes: names, sizes in bytes, labels and boxes."""
    digest, stamp = hashlib.sha256(), hashlib.sha256()
    for name, one in zip(relative(images), images, strict=True):
        with file_errors(one.path, "read"):
            found = one.path.stat()
        row = [name, found.st_size, one.labels.tolist(), one.boxes.tolist()]
        digest.update(json.dumps(row).encode())
        stamp.update(str(found.st_mtime_ns).encode())
    return Images(number=len(images), digest=digest.hexdigest(), stamp=stamp.hexdigest())
