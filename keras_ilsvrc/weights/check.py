"""Comparison of a model's outputs with those of another framework, within a tolerance."""

from typing import Any

import numpy as np

from keras_ilsvrc.utils.errors import InputError


def check(ours: Any, theirs: Any, tolerance: float = 1e-4, what: str = "logits") -> float:
    """Return the largest difference between two arrays, relative to the largest value in `theirs`.

    Args:
        ours: Outputs of a model of this package.
        theirs: Outputs of another framework, for the same weights and images.
        tolerance: Largest difference allowed, relative to the largest absolute value of `theirs`.
        what: Name of the outputs in error messages.

    Raises:
        InputError: If the shapes differ, if a value is not finite, if `theirs` is zero everywhere,
            or if a difference exceeds the tolerance. The message says where it is largest.
    """
    ours, theirs = np.asarray(ours, "float64"), np.asarray(theirs, "float64")
    if ours.shape != theirs.shape:
        raise InputError(f"{what} have shape {ours.shape}, expected {theirs.shape}")
    for side, values in (("this package's", ours), ("the other framework's", theirs)):
        if not np.isfinite(values).all():
            place = tuple(map(int, np.argwhere(~np.isfinite(values))[0]))
            raise InputError(f"{side} {what} are not finite at {place}: {values[place]}")
    scale = abs(theirs).max(initial=0.0)
    if not scale:
        raise InputError(f"the other framework's {what} are all zero; compare on another image")
    deviation = abs(ours - theirs) / scale
    place = tuple(map(int, np.unravel_index(deviation.argmax(), deviation.shape)))
    largest = float(deviation[place])
    if largest > tolerance:
        raise InputError(
            f"{what} differ by {largest:.1e} times the largest value, {scale:.3g}; expected at "
            f"most {tolerance:g}; the largest difference is at {place}: {ours[place]:.6g} instead "
            f"of {theirs[place]:.6g}"
        )
    return largest
