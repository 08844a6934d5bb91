"""Ops that run on the device, for a whole batch: arithmetic, crops, flips and colour noise.

The random numbers are drawn on the host, from the seed of each image, and are transferred to the
device with the batch. So the augmentation of an image does not depend on its batch.
"""

from collections.abc import Callable, Mapping

import tensorflow as tf

from keras_ilsvrc.data.apply import NO_SEED, arguments_of, fold_in
from keras_ilsvrc.data.colour import add_noise, noise_draws
from keras_ilsvrc.data.ops import ARITHMETIC, GEOMETRY, OPS, is_mirrored
from keras_ilsvrc.data.types import Image, Rows, Seed, Statistics
from keras_ilsvrc.data.windows import CROPS, SCALES, size_of

# Ops after which all images have the same size.
_SIZED = {*CROPS, "resize", "area_crop", "subtract_pixel_mean", "zca"}


def device_ops(rows: Rows) -> tuple[Rows, Rows]:
    """Split ops into ops for the host (run per image) and ops for the device (run per batch).

    Geometric ops at the start run on the host. If all later ops can run on the device, they run
    there, and images are transferred as uint8. Otherwise, all ops run on the host, and images are
    transferred as float32.
    """
    names = [row["op"] for row in rows]
    border = next((n for n, name in enumerate(names) if name not in GEOMETRY), len(rows))
    crop = next((n for n in range(border, len(names)) if names[n] in CROPS), None)
    sizing = [name for name in names[:crop] if name in (*SCALES, *_SIZED)]
    # A batch can be cropped only if an earlier op makes all its images the same size.
    varied = crop is not None and (not sizing or sizing[-1] in SCALES)
    if varied or not set(names[border:]) <= {*ARITHMETIC, *_BATCHED}:
        border = len(rows)
    return rows[:border], rows[border:]


def draws(image: Image, rows: Rows, first: int, seed: Seed) -> list[tf.Tensor]:
    """Draw the random numbers that ops on the device need for one image.

    Args:
        image: Image after the ops on the host; only its size matters.
        rows: Ops for the device.
        first: Number of ops on the host, so that the ops get the same seeds as in `apply_ops`.
        seed: Seed of the image.

    Returns:
        Random numbers of each op that needs any, in the order of the ops.
    """
    height, width = size_of(image)
    found = []
    for number, row in enumerate(rows, first):
        own = fold_in(seed, number)
        if row["op"] in CROPS:
            size = row["size"]
            found.append(tf.stack(CROPS[row["op"]](height, width, own, size)))
            height = width = size
        elif row["op"] in _DRAWS:
            found.append(_DRAWS[row["op"]](own))
    return found


def apply_to_batch(
    images: tf.Tensor | tuple[tf.Tensor, ...], rows: Rows, statistics: Statistics
) -> tf.Tensor:
    """Apply the ops for the device to a batch, and return it as float32.

    Args:
        images: Batch of images, or a tuple of the batch and the `draws` for its images.
        rows: Ops for the device.
        statistics: Statistics of the training images that the ops need.
    """
    images, *drawn = images if isinstance(images, tuple) else (images,)
    for row in rows:
        name, arguments = row["op"], arguments_of(row, statistics)
        if name in _BATCHED:
            images = _BATCHED[name](images, drawn.pop(0), **arguments)
        else:
            images = OPS[name](images, NO_SEED, **arguments)
    return tf.cast(images, tf.float32)


def _cut(images: tf.Tensor, places: tf.Tensor, size: int) -> tf.Tensor:
    """Cut a window out of each image; `places` are the (top, left) pairs, (batch, 2)."""
    rows, columns = (places[:, axis, None] + tf.range(size) for axis in (0, 1))
    images = tf.gather(images, rows, axis=1, batch_dims=1)
    return tf.gather(images, columns, axis=2, batch_dims=1)


def _flip(images: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
    return tf.where(mirrored[:, None, None, None], tf.reverse(images, [2]), images)


_DRAWS: Mapping[str, Callable[[Seed], tf.Tensor]] = {
    "flip": is_mirrored,
    "pca_noise": noise_draws,
}
_BATCHED: Mapping[str, Callable[..., tf.Tensor]] = {
    **dict.fromkeys(CROPS, _cut),
    "flip": _flip,
    "pca_noise": add_noise,
}
