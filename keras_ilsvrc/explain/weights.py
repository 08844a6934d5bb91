"""Weights of a page, as one base-64 text, and the largest size of a page."""

import base64
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_ilsvrc.errors import InputError

MOST = 30_000_000  # size of a page in bytes
ROOM = 1_500_000  # least number of bytes of a page for all but the weights
SCRIPTS = 150_000  # bytes of a page for all but its weights and pictures
EQUAL = 1e-3  # largest difference between a probability of the page and of the model
NARROWER = (
    "train a narrower net, for example with build.width=0.25, or look into this one with "
    "keras-ilsvrc visualize"
)


class Pack:
    """Arrays of a page, one after another.

    Attributes:
        length: Number of values.
    """

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self.length = 0

    def add(self, array: Any) -> tuple[int, int]:
        """Add an array; return the index of its first value, and the number of values."""
        self.arrays.append(np.asarray(array, "float32").ravel())
        first, self.length = self.length, self.length + self.arrays[-1].size
        return first, self.length - first

    def size(self, width: int) -> int:
        """Return the length of the text if a value has `width` bytes."""
        return -(-self.length * width // 3) * 4

    @property
    def half(self) -> bool:
        """Whether values have 16 bits, since the page would be too large with 32 bits."""
        return self.size(4) > MOST - ROOM

    def text(self) -> str:
        """Return all values as base-64 text, little-endian."""
        values = np.concatenate(self.arrays).astype("<f2" if self.half else "<f4")
        return base64.b64encode(values.tobytes()).decode()


def room_beside(text: str) -> int:
    """Return the number of bytes that a page has for pictures, beside the text of its weights."""
    return MOST - SCRIPTS - len(text)


def check_size(title: str, pack: Pack) -> None:
    """Raise an InputError if the weights are too large for a page."""
    if pack.size(2) > MOST - ROOM:
        raise InputError(
            f"a page of {title} would have {(pack.size(2) + ROOM) / 1e6:,.0f} MB, because of its "
            f"{pack.length:,} weights; expected at most {MOST / 1e6:.0f} MB: {NARROWER}"
        )


def check_rounding(title: str, net: keras.Model, images: Sequence[np.ndarray]) -> None:
    """Raise an InputError if weights of 16 bits change a probability of an image too much."""
    if not images:
        return
    batch, values = np.stack(images), net.get_weights()
    before = net.predict(batch, verbose=0)
    net.set_weights([np.asarray(x, "float16").astype("float32") for x in values])
    largest = np.abs(net.predict(batch, verbose=0) - before).max()
    net.set_weights(values)
    if not largest <= EQUAL:
        raise InputError(
            f"a page of {title} is small enough only with weights of 16 bits, which change a "
            f"probability by {largest:.1g}; expected at most {EQUAL}: {NARROWER}"
        )
