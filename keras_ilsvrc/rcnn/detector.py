"""Detector of objects: training of its SVMs and box regressors, and detection."""

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from keras_ilsvrc.data.annotated import Annotated
from keras_ilsvrc.evaluation.boxes import overlaps, suppress
from keras_ilsvrc.rcnn import paper
from keras_ilsvrc.rcnn.recipe import DetectionRecipe, DetectionTable, RegressionTable
from keras_ilsvrc.rcnn.regions import Regions
from keras_ilsvrc.rcnn.regression import Regressor, targets, train_regressor
from keras_ilsvrc.rcnn.svm import SVMs, train_svms
from keras_ilsvrc.utils.errors import InputError


class Detections(NamedTuple):
    """Detections in one image, the best score first.

    Attributes:
        labels: Class indices, (detections,).
        scores: Scores of the SVMs, (detections,).
        boxes: Boxes inside the image, (detections, 4).
    """

    labels: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray


class Candidates(NamedTuple):
    """Best boxes of each class in an image, before overlapping boxes are suppressed.

    Attributes:
        image: The image.
        labels: Class indices, (candidates,).
        scores: Scores, (candidates,).
        boxes: Boxes as proposed, (candidates, 4).
        moved: Boxes moved by the regressors, (candidates, 4).
    """

    image: Annotated
    labels: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    moved: np.ndarray

    def finished(self, least: np.ndarray, suppression: float, move: bool) -> Detections:
        """Return the detections that remain after suppression of overlapping boxes.

        As in the authors' rcnn_test_bbox_regressor.m, boxes are moved and clipped to the image
        before suppression.

        Args:
            least: Minimum score of each class, (classes,).
            suppression: Overlap with a box of higher score above which a box is removed.
            move: Whether to use the moved boxes.
        """
        boxes = np.clip(self.moved if move else self.boxes, 0, self.image.whole[[2, 3, 2, 3]])
        usable = np.all(boxes[:, 2:] > boxes[:, :2], axis=1) & (self.scores >= least[self.labels])
        kept: list[np.ndarray] = [np.zeros(0, int)]
        for label in np.unique(self.labels):
            own = np.flatnonzero(usable & (self.labels == label))
            kept.append(own[suppress(boxes[own], self.scores[own], suppression)])
        every = np.concatenate(kept)
        every = every[np.argsort(-self.scores[every], kind="stable")]
        return Detections(self.labels[every], self.scores[every], boxes[every])


@dataclass(frozen=True)
class Detector:
    """Detector of objects, which scores the regions of an image.

    Attributes:
        layers: Name of the layer whose features the SVMs use, and of the regressors' layer.
        scales: Factor by which the features of each layer are multiplied.
        svms: SVMs of all classes.
        regressors: Regressor of each class, or None for a class without examples; empty if boxes
            are not moved.
        net_classes: Number of classes of the network; None if its classifier was left out.
    """

    layers: tuple[str, str]
    scales: Mapping[str, float]
    svms: SVMs
    regressors: tuple[Regressor | None, ...] = ()
    net_classes: int | None = None

    def candidates(self, regions: Regions, most: int) -> "Candidates":
        """Return at most `most` boxes of each class in an image, those with the best scores."""
        count = len(self.svms.biases)
        if not len(regions.boxes):
            none = np.zeros((0, 4))
            return Candidates(regions.image, np.zeros(0, int), np.zeros(0), none, none)
        layer, other = self.layers
        scores = self.svms.scores(regions.features[layer] * self.scales[layer])
        order = np.argsort(-scores, axis=0, kind="stable")[:most]
        labels = np.broadcast_to(np.arange(count), order.shape)
        boxes = regions.boxes[order]
        moved = boxes.copy()
        for label, regressor in enumerate(self.regressors):
            if regressor is not None:
                values = regions.features[other][order[:, label]] * self.scales[other]
                moved[:, label] = regressor(values, boxes[:, label])
        flat = boxes.reshape(-1, 4), moved.reshape(-1, 4)
        return Candidates(
            regions.image, labels.ravel(), np.take_along_axis(scores, order, 0).ravel(), *flat
        )

    def save(self) -> bytes:
        """Return the detector as the content of an .npz file."""
        arrays: dict[str, Any] = {
            "layers": np.array(self.layers),
            "scales": np.array([self.scales[name] for name in self.layers]),
            "weights": self.svms.weights,
            "biases": self.svms.biases,
            "net_classes": np.array(self.net_classes or 0),
        }
        for label, each in enumerate(self.regressors):
            for name, array in each._asdict().items() if each else ():
                arrays[f"{name}_{label}"] = array
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    @classmethod
    def of(cls, content: bytes) -> "Detector":
        """Return the detector from content that `save` returned.

        Raises:
            ValueError: If the content is damaged.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                arrays = dict(archive)
        except (zipfile.BadZipFile, OSError) as error:
            raise ValueError("not an .npz file") from error
        first, second = arrays["layers"].tolist()
        svms = SVMs(arrays["weights"], arrays["biases"])
        regressors = [
            Regressor(*(arrays[f"{name}_{label}"] for name in Regressor._fields))
            if f"mean_{label}" in arrays
            else None
            for label in range(len(svms.biases))
        ]
        scales = dict(zip((first, second), arrays["scales"].tolist()))
        moving = tuple(regressors) if any(regressors) else ()
        return cls((first, second), scales, svms, moving, int(arrays["net_classes"]) or None)


@dataclass
class _Examples:
    """Examples collected in one pass over the training images.

    Attributes:
        norms: Norms of some features of each layer.
        positives: Features of the objects, by class.
        inputs: Features for box regression, by class.
        wanted: Targets of box regression, by class.
    """

    norms: dict[str, list[float]]
    positives: list[list[np.ndarray]]
    inputs: list[list[np.ndarray]]
    wanted: list[list[np.ndarray]]


def check_counts(counts: Mapping[str, int]) -> None:
    """Raise InputError if a class has no object to train on; `counts` are the numbers of objects.

    Call this before features are computed, which takes long.
    """
    for name, count in counts.items():
        if not count:
            raise InputError(
                f"data.train: no object of class {name!r}, so its SVM cannot be trained; add "
                "images, or list the other classes in data.classes"
            )


def train_detector(
    recipe: DetectionRecipe,
    classes: Sequence[str],
    passes: Iterator[Iterable[Regions]],
    net_classes: int | None = None,
) -> Detector:
    """Train the SVMs and box regressors of a detector.

    Args:
        recipe: Recipe of the detector.
        classes: Names of the classes.
        passes: Two passes over the regions of all training images. The regions include the boxes
            of the objects.
        net_classes: Number of classes of the network; None if its classifier was left out.

    Raises:
        InputError: If a class has no object.
    """
    layers = (recipe.layers[0], recipe.layers[-1])
    examples = _collect(recipe, layers, len(classes), next(passes))
    check_counts(dict(zip(classes, map(len, examples.positives))))
    target = recipe.features.norm
    scales = {name: target / max(float(np.mean(x)), 1e-12) for name, x in examples.norms.items()}
    scale = scales[layers[0]]
    positives = [np.stack(own) * scale for own in examples.positives]
    svms = train_svms(positives, next(passes), layers[0], scale, recipe.svm, recipe.seed)
    regressors: list[Regressor | None] = []
    if recipe.regression:
        for inputs, wanted in zip(examples.inputs, examples.wanted):
            one = None
            if inputs:
                values = np.concatenate(inputs).astype("float32") * scales[layers[1]]
                one = train_regressor(values, np.concatenate(wanted), recipe.regression)
            regressors.append(one)
    return Detector(layers, scales, svms, tuple(regressors), net_classes)


def _collect(
    recipe: DetectionRecipe, layers: tuple[str, str], classes: int, images: Iterable[Regions]
) -> _Examples:
    """Collect norms of features, features of objects, and examples of box regression."""
    positives, inputs, wanted = ([list[np.ndarray]() for _ in range(classes)] for _ in range(3))
    found = _Examples({name: [] for name in layers}, positives, inputs, wanted)
    random = np.random.default_rng(recipe.seed)
    for number, regions in enumerate(images):
        if not len(regions.boxes):
            continue
        if number < paper.NORM_IMAGES:  # the images come in random order
            some = random.permutation(len(regions.boxes))[: paper.NORM_BOXES]
            for name in found.norms:
                found.norms[name] += np.linalg.norm(regions.features[name][some], axis=1).tolist()
        for index, label in enumerate(regions.image.labels):
            found.positives[label].append(regions.features[layers[0]][index])
        if recipe.regression and len(regions.image.labels):
            _add_pairs(found, regions, regions.features[layers[1]], recipe.regression)
    return found


def _add_pairs(
    found: _Examples, regions: Regions, features: np.ndarray, table: RegressionTable
) -> None:
    """Add examples for box regression: the boxes that overlap an object by more than a threshold.

    The target of each box is the object that it overlaps most.
    """
    shared = overlaps(regions.boxes, regions.image.boxes)
    nearest, best = shared.argmax(axis=1), shared.max(axis=1)
    for label in np.unique(regions.image.labels):
        own = (best > table.overlap) & (regions.image.labels[nearest] == label)
        if own.any():
            # float16 is exact here, since the features were computed as float16
            found.inputs[label].append(features[own].astype("float16"))
            found.wanted[label].append(
                targets(regions.boxes[own], regions.image.boxes[nearest[own]])
            )


def detect_all(
    detector: Detector, images: Iterable[Regions], table: DetectionTable
) -> dict[bool, list[Detections]]:
    """Return the detections in all images: key False for boxes as proposed, True for moved boxes.

    Each class keeps its best candidates over all images, at most `mean` for each image on average.

    Args:
        detector: The detector.
        images: Regions of the test images.
        table: Settings.
    """
    every = [detector.candidates(regions, table.most) for regions in images]
    least = np.full(len(detector.svms.biases), -np.inf)
    most = table.mean * len(every)
    for label in range(len(least)):
        scores = np.concatenate([one.scores[one.labels == label] for one in every])
        if len(scores) > most:
            least[label] = np.sort(scores)[-most]
    return {
        move: [one.finished(least, table.suppression, move) for one in every]
        for move in ((False, True) if detector.regressors else (False,))
    }
