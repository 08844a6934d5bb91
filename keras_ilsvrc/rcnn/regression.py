"""Box regression by whitened ridge regression (appendix C of arXiv:1311.2524)."""

from typing import NamedTuple

import numpy as np

from keras_ilsvrc.rcnn.recipe import RegressionTable


class Regressor(NamedTuple):
    """Linear map from features to shifts and scales of a box.

    Attributes:
        weights: Weights for whitened targets, (values + 1, 4); the last row is the bias.
        mean: Mean of the targets, (4,).
        unwhiten: Matrix from whitened targets to targets, (4, 4).
    """

    weights: np.ndarray
    mean: np.ndarray
    unwhiten: np.ndarray

    def __call__(self, features: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Return boxes (boxes, 4), moved and resized according to features (boxes, values)."""
        found = (features @ self.weights[:-1] + self.weights[-1]) @ self.unwhiten + self.mean
        return moved(boxes, found)


def targets(boxes: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Return the shifts and scales that move boxes onto objects: (dx / w, dy / h, log w, log h).

    Args:
        boxes: Boxes, (boxes, 4).
        objects: Box of the object that belongs to each box, (boxes, 4).
    """
    own, its = _centred(boxes), _centred(objects)
    shift = (its[:, :2] - own[:, :2]) / own[:, 2:]
    return np.concatenate([shift, np.log(its[:, 2:] / own[:, 2:])], axis=1)


def moved(boxes: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return boxes moved and resized by shifts and scales, which have the form of `targets`."""
    own = _centred(boxes)
    centre = own[:, :2] + found[:, :2] * own[:, 2:]
    size = np.exp(np.clip(found[:, 2:], -10, 10)) * own[:, 2:]
    return np.concatenate([centre - size / 2, centre + size / 2 + 1], axis=1)


def _centred(boxes: np.ndarray) -> np.ndarray:
    """Return (centre x, centre y, width, height) of boxes in the authors' convention.

    The authors' width and height are differences of inclusive coordinates, so they are one pixel
    less than ours. Here they are at least one pixel.
    """
    size = np.maximum(boxes[:, 2:] - boxes[:, :2] - 1, 1)
    return np.concatenate([boxes[:, :2] + size / 2, size], axis=1)


def train_regressor(features: np.ndarray, wanted: np.ndarray, table: RegressionTable) -> Regressor:
    """Train the regressor of one class.

    Args:
        features: Scaled features of the examples, (boxes, values), at least one.
        wanted: Targets of the examples, as returned by `targets`, (boxes, 4).
        table: Settings.
    """
    mean = wanted.mean(axis=0)
    centred = wanted - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    roots = np.sqrt(np.maximum(values, 0) + table.whitening)
    whitened = centred @ (vectors / roots) @ vectors.T
    inputs = np.concatenate([features, np.ones((len(features), 1))], axis=1).astype("float64")
    weights = _ridge(inputs, whitened, table.ridge)
    return Regressor(weights, mean, (vectors * roots) @ vectors.T)


def _ridge(inputs: np.ndarray, wanted: np.ndarray, ridge: float) -> np.ndarray:
    """Solve a ridge regression in its primal or dual form, whichever has the smaller matrix."""
    count, values = inputs.shape
    if count < values:
        gram = inputs @ inputs.T + ridge * np.eye(count)
        return inputs.T @ np.linalg.solve(gram, wanted)
    return np.linalg.solve(inputs.T @ inputs + ridge * np.eye(values), inputs.T @ wanted)
