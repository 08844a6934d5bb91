"""The pixels of views: a split in which every image is the views of one."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.apply import NO_SEED, Rows, apply_ops, image_at
from keras_ilsvrc.data.ops import resize
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.evaluation.views import View, whole

RESIZES = ("resize", "resize_shorter")


class ViewsOf:
    """A split whose images are (views, height, width, channels), float32.

    Args:
        split: The images.
        rows: The ops of single images, up to what the net takes.
        statistics: What the ops need of the training images.
        views: A function of `views`.
        side: What to resize the shorter side to; None for what the ops say.
        size: Height and width of the views; `whole` has those of the image.
    """

    def __init__(
        self,
        split: Split,
        rows: Rows,
        statistics: Mapping[str, np.ndarray],
        views: Callable[..., list[View]],
        side: int | None,
        size: int,
    ):
        self.split, self.views, self.size, self.statistics = split, views, size, statistics
        self.front, self.behind = parted(rows, side, views is whole)

    def __len__(self) -> int:
        return len(self.split)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.split, name)  # names, labels and encoded bytes are the split's

    def image(self, index) -> tf.Tensor:
        """The views of the image at an index, ready for the net."""
        image = image_at(self.split, index, self.front, NO_SEED, self.statistics)
        asked, known = tf.shape(image), image.shape
        height, width = (known[axis] or asked[axis] for axis in (0, 1))
        if min(known[axis] or self.size for axis in (0, 1)) < self.size:
            raise InputError(
                f"images are {height}x{width}, but the net takes {self.size}x{self.size}; resize "
                "them to that or more"
            )
        tf.debugging.assert_greater_equal(asked[:2], self.size)  # where sizes are not yet known
        views = [self._cut(image, view) for view in self.views(height, width, self.size)]
        views = [apply_ops(view, self.behind, NO_SEED, self.statistics) for view in views]
        return tf.cast(tf.stack(views), tf.float32)

    def _cut(self, image, view):
        pixels = tf.slice(image, (view.top, view.left, 0), (view.height, view.width, -1))
        side = None if self.views is whole else self.size
        if side and not (isinstance(view.height, int) and view.height == side):
            pixels = resize(pixels, NO_SEED, side)
        pixels = tf.ensure_shape(pixels, (side, side, self.split.channels))
        return tf.reverse(pixels, [1]) if view.flip else pixels


def parted(rows: Rows, side: int | None, entire: bool) -> tuple[Rows, Rows]:
    """The ops in front of the cut, and those behind it.

    Crops stand where the recipe's last `centre_crop` does, with all that is in front of it. For
    images of another size, or entire ones, only the resizing is in front, and there are no crops.
    """
    crops = [number for number, row in enumerate(rows) if row["op"] == "centre_crop"]
    resizes = [row for row in rows if row["op"] in RESIZES][:1]
    if side is None and not entire:
        cut = crops[-1] if crops else (rows.index(resizes[0]) + 1 if resizes else 0)
        return rows[:cut], rows[cut + bool(crops) :]
    if side is not None:
        resizes = [{**(resizes[0] if resizes else {"op": "resize_shorter"}), "size": side}]
    return resizes, [row for row in rows if row["op"] not in ("centre_crop", *RESIZES)]


def own_side(split: Split, rows: Rows) -> int | None:
    """S, the shorter side of the images as the ops resize them; None if it is not one for all."""
    for row in rows:
        if row["op"] in RESIZES:
            return row["size"]
    return None if split.pixels is None else min(split.pixels.shape[1:3])
