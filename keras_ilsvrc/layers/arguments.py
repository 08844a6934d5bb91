"""Checks of arguments and input shapes that several layers use."""

import math
import reprlib
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any


def check(name: str, value: Any, valid: bool, expected: str) -> None:
    """Raise a ValueError about the argument called `name`, unless `valid` is True."""
    if not valid:
        raise ValueError(f"{name} is {reprlib.repr(value)}; expected {expected}")


def is_whole(value: Any, least: int) -> bool:
    """Return whether the value is a whole number of at least `least`."""
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= least


def is_number(value: Any, least: float = -math.inf) -> bool:
    """Return whether the value is a finite number of at least `least`."""
    real = not isinstance(value, bool) and isinstance(value, Real)
    return real and math.isfinite(value) and float(value) >= least


def check_image(shape: Sequence[int | None], least: Sequence[int] = (1, 1)) -> None:
    """Raise a ValueError if `shape` is not (batch, height, width, channels) or is too small.

    `least` is the smallest valid (height, width).
    """
    shape = tuple(shape)
    if len(shape) != 4 or shape[3] is None:
        raise ValueError(f"the input shape is {shape}; expected (batch, height, width, channels)")
    if any(size is not None and size < few for size, few in zip(shape[1:3], least)):
        pixels = "x".join(map(str, least))
        raise ValueError(f"the input shape is {shape}; expected at least {pixels} pixels")
