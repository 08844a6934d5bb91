"""Errors in %, from probabilities."""

from math import sqrt
from statistics import NormalDist

import numpy as np

from keras_ilsvrc.errors import InputError


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


def confidence_interval(error: float, images: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of an error, for images drawn at random.

    Args:
        error: The share of images that are wrong, in %.
        images: How many were tested.
        level: How often such intervals hold the error of all images there could be.

    Returns:
        The lower and the upper end, in %.

    Raises:
        InputError: If the error is no percentage, there are no images, or the level is no share.
    """
    for name, found, right, expected in (
        ("error", error, 0 <= error <= 100, "a percentage"),
        ("images", images, images >= 1, "at least 1"),
        ("level", level, 0 < level < 1, "a number between 0 and 1"),
    ):
        if not right:
            raise InputError(f"{name} is {found}; expected {expected}")
    share = error / 100
    deviations = NormalDist().inv_cdf((1 + level) / 2)
    spread = deviations**2 / images
    middle = (share + spread / 2) / (1 + spread)
    half = sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return 100 * max(0.0, middle - half), 100 * min(1.0, middle + half)
