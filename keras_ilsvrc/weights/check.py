"""Parity: the same outputs as another framework, within a tolerance."""

from typing import Any

import numpy as np

from keras_ilsvrc.errors import InputError


def check(ours: Any, theirs: Any, tolerance: float = 1e-4, what: str = "logits") -> float:
    """The largest deviation of two arrays of outputs, relative to their scale.

    Args:
        ours: Of a model of this package.
        theirs: Of another framework, for the same weights and images.
        tolerance: The largest deviation allowed, as a part of the scale, which is the largest
            absolute value of `theirs`.
        what: The outputs are, for the message.

    Raises:
        InputError: If the shapes differ, if a value is not finite, or if the deviation is larger;
            the message says where it is largest.
    """
    ours, theirs = np.asarray(ours, "float64"), np.asarray(theirs, "float64")
    if ours.shape != theirs.shape:
        raise InputError(f"{what} have shape {ours.shape}, expected {theirs.shape}")
    for side, values in (("ours", ours), ("theirs", theirs)):
        if not np.isfinite(values).all():
            place = tuple(map(int, np.argwhere(~np.isfinite(values))[0]))
            raise InputError(f"{what} of {side} are not finite at {place}: {values[place]}")
    scale = abs(theirs).max(initial=0.0)
    if not scale:
        raise InputError(f"{what} of theirs are all zero: there is nothing to compare")
    deviation = abs(ours - theirs) / scale
    place = tuple(map(int, np.unravel_index(deviation.argmax(), deviation.shape)))
    largest = float(deviation[place])
    if largest > tolerance:
        raise InputError(
            f"{what} deviate by {largest:.1e} of their scale {scale:.3g}, more than {tolerance:g}; "
            f"most at {place}: {ours[place]:.6g} for {theirs[place]:.6g}"
        )
    return largest
