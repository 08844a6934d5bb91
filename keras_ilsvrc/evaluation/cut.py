"""Dataset split that cuts views, for example ten crops, from each image of another split."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from keras_ilsvrc.data.apply import NO_SEED, apply_ops, image_at
from keras_ilsvrc.data.ops import resize
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.types import Index, Rows, Statistics
from keras_ilsvrc.evaluation.views import View, whole
from keras_ilsvrc.utils.errors import InputError

RESIZES = ("resize", "resize_shorter")


@dataclass(frozen=True, eq=False)
class ViewsOf:
    """Dataset split whose items are all views of an image: (views, height, width, channels).

    Attributes:
        split: Split with the images to cut the views from.
        ops: Preprocessing ops on single images that produce the network's input.
        statistics: Statistics of the training images, which some ops need.
        views: Function from `evaluation.views` that returns the positions of the views.
        side: Shorter side in pixels to which images are resized; None for the size in the ops.
        size: Height and width of the views; not used if `views` is `whole`.
    """

    split: Split
    ops: Rows
    statistics: Statistics
    views: Callable[..., list[View]]
    side: int | None
    size: int

    def __len__(self) -> int:
        return len(self.split)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.split, name)  # other attributes, such as labels, come from `split`

    def image(self, index: Index) -> tf.Tensor:
        """Return all views of the image at `index`, preprocessed for the network, in float32."""
        before, after = parted(self.ops, self.side, self.views is whole)
        image = image_at(self.split, index, before, NO_SEED, self.statistics)
        asked, known = tf.shape(image), image.shape
        height, width = (known[axis] or asked[axis] for axis in (0, 1))
        if min(known[axis] or self.size for axis in (0, 1)) < self.size:
            raise InputError(
                f"images are {height}x{width}, but the net takes {self.size}x{self.size}; resize "
                "them to at least that size"
            )
        # Check sizes that become known only when the graph runs.
        tf.debugging.assert_greater_equal(asked[:2], self.size)
        views = [self._cut(image, view) for view in self.views(height, width, self.size)]
        views = [apply_ops(view, after, NO_SEED, self.statistics) for view in views]
        return tf.cast(tf.stack(views), tf.float32)

    def _cut(self, image: tf.Tensor, view: View) -> tf.Tensor:
        pixels = tf.slice(image, (view.top, view.left, 0), (view.height, view.width, -1))
        side = None if self.views is whole else self.size
        if side and not (isinstance(view.height, int) and view.height == side):
            pixels = resize(pixels, NO_SEED, side)
        pixels = tf.ensure_shape(pixels, (side, side, self.split.channels))
        return tf.reverse(pixels, [1]) if view.flip else pixels


def parted(rows: Rows, side: int | None, entire: bool) -> tuple[Rows, Rows]:
    """Split preprocessing ops into ops before the views are cut, and ops for each view.

    By default, the cut replaces the last `centre_crop`. If there is no `centre_crop`, the views are
    cut after the resize. If `side` is not None, or if `entire` is True (each view is a whole
    image), the only op before the cut is the resize, and every `centre_crop` is dropped.
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
    """Return the shorter side of all images in pixels, after any resize op; None if it varies."""
    for row in rows:
        if row["op"] in RESIZES:
            return row["size"]
    return None if split.pixels is None else min(split.pixels.shape[1:3])
