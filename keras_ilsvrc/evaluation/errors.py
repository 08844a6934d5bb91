"""Errors in %, from probabilities."""

import numpy as np


def top_k_error(probabilities: np.ndarray, labels: np.ndarray, k: int) -> float:
    """The share of images whose class is not among the k most probable ones, in %.

    A class that ties with the true one counts as more probable, and an image without finite
    probabilities as wrong, so that a broken net cannot look good.

    Args:
        probabilities: (images, classes).
        labels: (images,), indices of classes.
        k: From 1 to the number of classes.
    """
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    not_worse = (probabilities >= own).sum(axis=1)  # with the class itself
    right = (not_worse <= k) & np.isfinite(probabilities).all(axis=1)
    return float(100 * (1 - right.mean()))


def cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log of the true class's probability, in nats."""
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    return float(-np.log(np.maximum(own, np.finfo("float32").tiny)).mean())
