"""Recipes of detectors: schema, search by name, and reader. This module does not import Keras."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field, model_validator

from keras_ilsvrc.rcnn import paper
from keras_ilsvrc.recipe import published, set_value
from keras_ilsvrc.recipe.ops import Count, NotNegative, Ops, Percent, Positive, Share, Table
from keras_ilsvrc.recipe.schema import Departure
from keras_ilsvrc.recipe.tables import find_file, read_toml, valid

HOG = "hog"  # value of features.net for histograms of oriented gradients
FOLDER = "detect"  # folder of the detectors' recipes, inside the folder of all recipes
# {average precision in the results: its heading}
SCORES = {
    "voc07_map": "VOC 2007, 11 recalls",
    "voc_map": "VOC, area",
    "coco_ap": "COCO, IoU 0.5 to 0.95",
    "coco_ap50": "COCO, IoU 0.5",
    "coco_ap75": "COCO, IoU 0.75",
}
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Overlap = Annotated[float, Field(gt=0, le=1)]


class SplitTable(Table):
    """Shares of images for validation and test, and the seed of the random division."""

    validation: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    test: Annotated[float, Field(ge=0, le=0.9)]
    seed: Seed

    @model_validator(mode="after")
    def rest(self) -> "SplitTable":
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave no images for training; make them smaller")
        return self


class DataTable(Table):
    """Data set with boxes, and its splits for training and testing.

    `classes` are the names of the classes, or None for all classes of the data set. If `on_bad` is
    "skip", boxes are clipped to the image, and other bad boxes and bad images are left out.
    """

    dataset: str
    train: str
    test: str
    classes: Annotated[list[str], Field(min_length=1)] | None = None
    split: SplitTable | None = None
    on_bad: Literal["error", "skip"] = "error"


class ProposalsTable(Table):
    """Proposals from a file, or from selective search in images resized to a width.

    `most` is the maximum number of proposals of an image; see `rcnn.proposals`.
    """

    file: str | None = None
    width: Count | None = None
    most: Count | None = None

    @model_validator(mode="after")
    def either(self) -> "ProposalsTable":
        if self.file and self.width:
            raise ValueError("width applies only to selective search; leave out width or file")
        return self


class FeaturesTable(Table):
    """Network, its weights and the layer whose activations are the features.

    `net` is the name of a network, or "hog". `weights` is an argument of `build`, or the run
    directory of a network or a detector. `ops` replace the preprocessing that belongs to the
    weights. `size` and `context` are those of the crops, in pixels. `norm` is the mean norm to
    which features are scaled.
    """

    net: str
    weights: str = ""
    layer: str = ""
    size: Count = paper.CROP
    context: Annotated[int, Field(ge=0)] = paper.CONTEXT
    batch_size: Count = 128
    ops: Ops | None = None
    norm: Positive = paper.NORM

    @model_validator(mode="after")
    def complete(self) -> "FeaturesTable":
        given = [bool(self.weights), bool(self.layer)]
        if any(given) if self.net == HOG else not all(given):
            raise ValueError("a network needs weights and layer, and hog needs neither")
        if 2 * self.context >= self.size:
            raise ValueError("size must be more than twice the context; make it larger")
        return self


class SVMTable(Table):
    """Linear SVM of each class, trained with hard negatives; see `rcnn.svm.train_svms`."""

    c: Positive = paper.C
    bias: Positive = paper.BIAS
    positive_weight: Positive = paper.POSITIVE_WEIGHT
    negative_overlap: Overlap = paper.NEGATIVE_OVERLAP
    hard: float = paper.HARD
    easy: float = paper.EASY
    retrain: Count = paper.RETRAIN


class RegressionTable(Table):
    """Box regression from the features of a layer, by default that of the SVMs."""

    layer: str | None = None
    overlap: Overlap = paper.REGRESSION_OVERLAP
    ridge: Positive = paper.RIDGE
    whitening: Positive = paper.WHITENING


class FineTuningTable(Table):
    """Fine-tuning of the network to classify warped windows; see `rcnn.fine_tuning`."""

    steps: Count = paper.STEPS
    rate: Positive = paper.RATE
    rate_factor: Positive = paper.RATE_FACTOR
    rate_steps: Count = paper.RATE_STEPS
    head_rate: Positive = paper.HEAD_RATE
    bias_rate: Positive = paper.BIAS_RATE
    positives: Count = paper.POSITIVES
    background: Count = paper.BACKGROUND
    positive_overlap: Overlap = paper.POSITIVE_OVERLAP
    momentum: Share = paper.MOMENTUM
    l2: NotNegative = paper.L2


class DetectionTable(Table):
    """Suppression of overlapping boxes, and the maximum numbers of boxes per image before it."""

    suppression: Share = paper.SUPPRESSION
    most: Count = paper.DETECTIONS
    mean: Count = paper.DETECTIONS_PER_IMAGE


class ExpectTable(Table):
    """Expected mean average precision in %. `measured` names the source of our own measurements."""

    voc07_map: Percent | None = None
    voc_map: Percent | None = None
    coco_ap: Percent | None = None
    measured: str | None = None


class DetectionRecipe(Table):
    """Complete settings of a detector. Values that are left out are those of the paper."""

    seed: Seed
    data: DataTable
    proposals: ProposalsTable = Field(default_factory=ProposalsTable)
    features: FeaturesTable
    fine_tuning: FineTuningTable | None = None
    svm: SVMTable = SVMTable()
    regression: RegressionTable | None = None
    detection: DetectionTable = DetectionTable()
    expect: ExpectTable | None = None
    departs: Annotated[list[Departure], Field(default_factory=list)]

    @model_validator(mode="after")
    def tunable(self) -> "DetectionRecipe":
        if self.features.net == HOG and (self.fine_tuning or self.regression_layer):
            key = "fine_tuning" if self.fine_tuning else "regression.layer"
            raise ValueError(f"{key} applies only to networks; leave it out, since net is hog")
        return self

    @property
    def regression_layer(self) -> str | None:
        """Layer of box regression, if the recipe names one."""
        return self.regression.layer if self.regression else None

    @property
    def layers(self) -> list[str]:
        """Names of the layers whose activations are needed, without duplicates."""
        own = self.features.layer or HOG
        return list(dict.fromkeys([own, self.regression_layer or own]))

    def table(self) -> dict[str, Any]:
        """Return the recipe as a dict, with the paper's values for keys that were left out."""
        return self.model_dump(exclude_none=True)

    def toml(self) -> str:
        """Return the recipe as TOML text."""
        return tomli_w.dumps(self.table())


def recipes() -> dict[str, Path]:
    """Return the paths of this package's recipes of detectors, by name."""
    return published(FOLDER)


def find(name: str) -> Path:
    """Return the path of a recipe: a file, or the name of a detector's recipe in this package.

    Raises:
        InputError: If there is no such recipe; the message suggests similar names.
    """
    return find_file(name, recipes(), "recipe of a detector")


def load(path: Path, overrides: Sequence[str] = ()) -> DetectionRecipe:
    """Read the recipe of a detector.

    Args:
        path: Path of the TOML file.
        overrides: Changes of the form `"svm.c=0.01"`: a dotted key, and a TOML value or a word.

    Raises:
        InputError: If the file is not TOML, or keys are unknown, missing, of the wrong type or out
            of range. The message has one line for each of them.
    """
    table = read_toml(path)
    for override in overrides:
        set_value(table, override)
    return valid(DetectionRecipe, table, path)
