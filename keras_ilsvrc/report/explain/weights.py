"""Weights of a page as one base-64 text, and checks of the size of the page."""

import base64
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_ilsvrc.utils.errors import InputError

MOST = 30_000_000  # maximum size of a page in bytes
ROOM = 1_500_000  # bytes of a page that weights may not use
SCRIPTS = 150_000  # bytes of a page that neither weights nor pictures may use
EQUAL = 1e-3  # maximum difference between a probability of the page and of the model
NARROWER = (
    "train a narrower net, for example with build.width=0.25, or inspect this one with "
    "keras-ilsvrc visualize"
)


class Pack:
    """Arrays that a page stores, one after another.

    Attributes:
        arrays: Flat float32 arrays.
        length: Total number of values.
    """

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self.length = 0

    def add(self, array: Any) -> tuple[int, int]:
        """Add an array; return the index of its first value, and its number of values."""
        self.arrays.append(np.asarray(array, "float32").ravel())
        first, self.length = self.length, self.length + self.arrays[-1].size
        return first, self.length - first

    def size(self, width: int) -> int:
        """Return the length of the base-64 text if each value has `width` bytes."""
        return -(-self.length * width // 3) * 4

    @property
    def half(self) -> bool:
        """Whether values have 16 bits, because the page would be too large with 32 bits."""
        return self.size(4) > MOST - ROOM

    def text(self) -> str:
        """Return all values as base-64 text, little-endian."""
        values = np.concatenate(self.arrays).astype("<f2" if self.half else "<f4")
        return base64.b64encode(values.tobytes()).decode()


def room_for_pictures(text: str) -> int:
    """Return the number of bytes left for pictures in a page that has `text` as its weights."""
    return MOST - SCRIPTS - len(text)


def check_size(title: str, pack: Pack) -> None:
    """Raise an InputError if the weights are too large for a page."""
    if pack.size(2) > MOST - ROOM:
        raise InputError(
            f"a page of {title} would have {(pack.size(2) + ROOM) / 1e6:,.0f} MB, because of its "
            f"{pack.length:,} weights; expected at most {MOST / 1e6:.0f} MB: {NARROWER}"
        )


def check_rounding(title: str, net: keras.Model, images: Sequence[np.ndarray]) -> None:
    """Raise an InputError if 16-bit weights change a class probability of an image too much."""
    if not images:
        return
    batch, values = np.stack(images), net.get_weights()
    before = net.predict(batch, verbose=0)
    net.set_weights([np.asarray(x, "float16").astype("float32") for x in values])
    largest = np.abs(net.predict(batch, verbose=0) - before).max()
    net.set_weights(values)
    if not largest <= EQUAL:
        raise InputError(
            f"a page of {title} is small enough only with 16-bit weights, which change a "
            f"probability by {largest:.1g}; expected at most {EQUAL}: {NARROWER}"
        )
