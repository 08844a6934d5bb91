"""Test errors in %, their confidence intervals, and losses, computed from probabilities."""

import numpy as np
from scipy.stats import binomtest

from keras_ilsvrc.utils.errors import InputError


def top_k_error(probabilities: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Return the percentage of images whose true class is not among the k most probable classes.

    If another class is exactly as probable as the true one, it counts as more probable. An image
    with a non-finite probability counts as wrong. These two rules are not in the papers. Without
    them, a broken network could have a low error.

    Args:
        probabilities: Array (images, classes).
        labels: True class indices, (images,).
        k: Number of guesses per image, from 1 to the number of classes.
    """
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    not_worse = (probabilities >= own).sum(axis=1)  # counts the true class too
    right = (not_worse <= k) & np.isfinite(probabilities).all(axis=1)
    return float(100 * (1 - right.mean()))


def cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the cross-entropy in nats: the mean of -log(probability of the true class)."""
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    return float(-np.log(np.maximum(own, np.finfo("float32").tiny)).mean())


def squared_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the squared error: the mean of half the squared distance from the one-hot label."""
    wanted = np.eye(probabilities.shape[-1], dtype="float32")[labels]
    return float(0.5 * ((probabilities - wanted) ** 2).sum(-1).mean())


def confidence_interval(error: float, images: int, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval for an error that was measured on randomly drawn images.

    Args:
        error: Images that are classified wrongly, in %.
        images: Number of images tested.
        level: Confidence level, the probability that such an interval contains the true error.

    Returns:
        Lower and upper end, in %.

    Raises:
        InputError: If `error` is not in 0-100, `images` is below 1, or `level` is not in (0, 1).
    """
    for name, found, right, expected in (
        ("error", error, 0 <= error <= 100, "a percentage"),
        ("images", images, images >= 1, "at least 1"),
        ("level", level, 0 < level < 1, "a number between 0 and 1"),
    ):
        if not right:
            raise InputError(f"{name} is {found}; expected {expected}")
    found = binomtest(round(error / 100 * images), images).proportion_ci(level, method="wilson")
    return 100 * float(found.low), 100 * float(found.high)
