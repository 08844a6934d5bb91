"""Split of a data source: a set of labelled images that are read by index."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.decode import decode_bytes, examine
from keras_ilsvrc.data.headers import BadImage, Fault, Header
from keras_ilsvrc.data.stores import Joined, Numbered, Store, tensor
from keras_ilsvrc.data.types import Index
from keras_ilsvrc.utils.errors import ran_out, reason

NAMELESS = Numbered("image")
ALL = np.arange(0)  # default of `rows`: all rows of the store in order


@dataclass(frozen=True, eq=False)
class Split:
    """Set of labelled images, which are either pixels in memory or encoded bytes in a store.

    The methods `image`, `encoded` and `label` work both in eager mode and in a `tf.function`. Its
    graph refers to the data without copying them.

    Attributes:
        labels: Class indices, (images,), int32.
        pixels: Images in memory, (images, height, width, channels), uint8; None if the images are
            encoded.
        store: Store of the names and the encoded bytes; if `pixels` is given, only of the names.
        channels: Number of channels, 1 or 3.
        rows: Number (row) of each image in the store, (images,), int64; by default 0, 1, 2, ...
    """

    labels: np.ndarray
    pixels: np.ndarray | None = None
    store: Store = NAMELESS
    channels: int = 3
    rows: np.ndarray = field(default_factory=lambda: ALL)

    def __post_init__(self) -> None:
        if self.rows is ALL:
            object.__setattr__(self, "rows", np.arange(len(self.labels)))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, key: slice | np.ndarray) -> "Split":
        """Return a split of the images selected by a slice (without copy) or array of indices."""
        pixels = None if self.pixels is None else self.pixels[key]
        return Split(self.labels[key], pixels, self.store, self.channels, self.rows[key])

    @cached_property
    def _tensors(self) -> tuple[tf.Tensor, ...]:
        return tuple(
            None if x is None else tensor(x) for x in (self.labels, self.pixels, self.rows)
        )

    def label(self, index: Index) -> tf.Tensor:
        """Return the label of the image at an index, as an int32 tensor."""
        return tf.gather(self._tensors[0], index)

    def encoded(self, index: Index) -> tf.Tensor:
        """Return an image's encoded bytes as a scalar string tensor. `pixels` must be None."""
        return self.store.encoded(tf.gather(self._tensors[2], index))

    def image(self, index: Index) -> tf.Tensor:
        """Return the image at an index, as a uint8 tensor (height, width, channels)."""
        if self.pixels is not None:
            return tf.gather(self._tensors[1], index)
        return decode_bytes(self.encoded(index), self.channels)

    def name(self, index: int) -> str:
        """Return an image's name for messages: a path, or for example `mnist train #12`."""
        return self.store.name(int(self.rows[index]))


def joined(parts: Sequence[Split]) -> Split:
    """Concatenate splits of one source."""
    first = parts[0]
    if len(parts) == 1:
        return first
    labels = np.concatenate([part.labels for part in parts])
    pixels = None if first.pixels is None else np.concatenate([part.pixels for part in parts])
    sizes: dict[Store, int] = {}  # number of rows of each store up to the last row in use
    for part in parts:
        sizes[part.store] = max(sizes.get(part.store, 0), int(part.rows.max(initial=-1)) + 1)
    ends = np.cumsum(list(sizes.values()))
    starts = dict(zip(sizes, [0, *ends], strict=False))
    rows = np.concatenate([part.rows + starts[part.store] for part in parts])
    store = first.store if len(sizes) == 1 else Joined(list(sizes), list(sizes.values()))
    return Split(labels, pixels, store, first.channels, rows)


def examined(split: Split, index: int) -> tuple[bytes, Header] | Fault:
    """Return the encoded bytes and the header of an image, or a `Fault` if the image is bad."""
    content = None
    try:
        content = split.store.read(int(split.rows[index]))
        return content, examine(content, split.channels)
    except BadImage as error:
        what = str(error)
    except Exception as error:  # the readers of TFDS raise errors of any type
        if ran_out(error) or content is not None:
            raise
        what = f"cannot be read: {reason(error)}"
    return Fault(split.name(index), None if content is None else len(content), what)
