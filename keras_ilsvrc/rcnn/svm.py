"""Linear SVMs, trained with hard negatives (arXiv:1311.2524, section 2.3, and rcnn_train.m)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from keras_ilsvrc.rcnn import paper
from keras_ilsvrc.rcnn.recipe import SVMTable
from keras_ilsvrc.rcnn.regions import Regions


@dataclass
class _Class:
    """Examples of one class and its SVM: all objects as positives, and the hard negatives."""

    positives: np.ndarray
    negatives: np.ndarray
    added: int = 0
    weights: np.ndarray | None = None
    bias: float = 0.0


@dataclass
class SVMs:
    """Linear SVMs, one per class. A score above 0 means that the class is present.

    Attributes:
        weights: Weights, (values, classes).
        biases: Biases, (classes,).
        trained: Number of times that the SVM of each class was trained.
    """

    weights: np.ndarray
    biases: np.ndarray
    trained: list[int] = field(default_factory=list)

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return the scores (boxes, classes) of features (boxes, values)."""
        return features @ self.weights + self.biases


def train_svms(
    positives: Sequence[np.ndarray],
    images: Iterable[Regions],
    layer: str,
    scale: float,
    table: SVMTable,
    seed: int,
) -> SVMs:
    """Train an SVM for each class in one pass over the images.

    Boxes that overlap all objects of the class by less than `negative_overlap` are negatives. All
    negatives of the first image are added to the examples, and those of later images if their
    scores are above `hard`. After more than `retrain` added negatives, and at the end, the SVM is
    trained again, and negatives with scores below `easy` are removed.

    Args:
        positives: Scaled features of the objects of each class, (objects, values), at least one.
        images: Regions of the training images, in random order, including the boxes of objects.
        layer: Name of the layer whose features are used.
        scale: Factor by which the features are multiplied.
        table: Settings.
        seed: Seed of the solver.
    """
    classes = [_Class(each, np.zeros((0, each.shape[1]), "float32")) for each in positives]
    counts = [0] * len(classes)
    for regions in images:
        if not len(regions.boxes):
            continue
        features = regions.features[layer] * scale
        free = regions.overlaps(len(classes)) < table.negative_overlap
        for label, one in enumerate(classes):
            chosen = free[:, label]
            if one.weights is not None:
                chosen = chosen & (features @ one.weights + one.bias > table.hard)
            one.negatives = np.concatenate([one.negatives, features[chosen]])
            one.added += int(chosen.sum())
            if len(one.negatives) and (one.weights is None or one.added > table.retrain):
                _fit(one, table, seed)
                counts[label] += 1
    for label, one in enumerate(classes):
        if one.added or one.weights is None:
            _fit(one, table, seed)
            counts[label] += 1
    weights = [one.weights for one in classes if one.weights is not None]
    return SVMs(np.stack(weights, axis=1), np.array([one.bias for one in classes]), counts)


def _fit(one: _Class, table: SVMTable, seed: int) -> None:
    """Train the SVM of a class, and remove the negatives that are easy for it."""
    from sklearn.svm import LinearSVC

    if not len(one.negatives):  # all boxes overlap objects of the class: give all the same score
        one.weights, one.bias = np.zeros(one.positives.shape[1], "float32"), 1.0
        return
    examples = np.concatenate([one.positives, one.negatives])
    labels = np.repeat([1, -1], [len(one.positives), len(one.negatives)])
    solver = LinearSVC(
        loss="hinge",
        C=table.c,
        intercept_scaling=table.bias,
        class_weight={1: table.positive_weight},
        random_state=seed,
        tol=paper.TOLERANCE,
        max_iter=10_000,
    ).fit(examples, labels)
    one.weights, one.bias = solver.coef_[0].astype("float32"), float(solver.intercept_[0])
    one.negatives = one.negatives[one.negatives @ one.weights + one.bias >= table.easy]
    one.added = 0
