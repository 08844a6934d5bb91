"""Preprocessing ops that have the same results in TensorFlow, ONNX and LiteRT.

ONNX and LiteRT do not have TensorFlow's antialiased resizing, and their resizing without
antialiasing rounds differently. The ops of this module resize with basic operations instead.
"""

from collections.abc import Callable

import tensorflow as tf

from keras_ilsvrc.data import ops, windows
from keras_ilsvrc.data.types import Image, Seed, Side
from keras_ilsvrc.data.windows import Place, size_of

# Function (values, length, size) that resizes values of shape (length, n) to shape (size, n).
Resize = Callable[[tf.Tensor, tf.Tensor, Side], tf.Tensor]


def resize(image: Image, seed: Seed, size: int, antialias: bool = True) -> Image:
    """Resize to size x size with the same result as `ops.resize`."""
    return ops.like(image, resized(image, (size, size), antialias))


def resize_shorter(image: Image, seed: Seed, size: int, antialias: bool = True) -> Image:
    """Resize the shorter side to `size` with the same result as `ops.resize_shorter`."""
    return ops.like(image, resized(image, windows.shorter(*size_of(image), seed, size), antialias))


def pad(image: Image, seed: Seed, size: int) -> Image:
    """Pad as `ops.pad` does, but in float32, since LiteRT cannot pad uint8."""
    return tf.cast(ops.pad(tf.cast(image, tf.float32), seed, size), image.dtype)


def resized(image: Image, size: Place, antialias: bool) -> Image:
    """Resize with the same float32 operations, in the same order, as TensorFlow's kernels.

    The results are identical bit for bit, unless a compiler fuses a product with a sum. If terms
    were added in another order, for example by a matrix product, some values would be rounded to
    another grey level.

    Args:
        image: Image (height, width, channels). Its number of channels must be known statically.
        size: Height and width of the result.
        antialias: Whether to resize as TensorFlow's `ScaleAndTranslate` with a triangle filter. If
            False, the result is that of `ResizeBilinear`.

    Returns:
        Image (*size, channels), float32, not rounded.
    """
    image = tf.cast(image, tf.float32)
    if antialias:
        image = _rows(image, size[0], _filtered)
        return _columns(image, size[1], _filtered)
    image = _columns(image, size[1], _interpolated)
    return _rows(image, size[0], _interpolated)


def _columns(image: Image, size: Side, resize: Resize) -> Image:
    turned = _rows(tf.transpose(image, (1, 0, 2)), size, resize)
    return tf.transpose(turned, (1, 0, 2))


def _rows(image: Image, size: Side, resize: Resize) -> Image:
    height, width, channels = tf.shape(image)[0], tf.shape(image)[1], image.shape[-1]
    made = resize(tf.reshape(image, (height, width * channels)), height, size)
    return tf.reshape(made, (size, width, channels))


def _interpolated(values: tf.Tensor, length: tf.Tensor, size: Side) -> tf.Tensor:
    """Resize values from shape (length, n) to (size, n) by linear interpolation."""
    step = tf.cast(length, tf.float32) / (tf.cast(size, tf.float32) * _one(length))
    places = (tf.range(tf.cast(size, tf.float32)) + 0.5) * step - 0.5
    low = tf.floor(places)
    before = tf.gather(values, tf.maximum(tf.cast(low, tf.int32), 0))
    after = tf.gather(values, tf.minimum(tf.cast(tf.math.ceil(places), tf.int32), length - 1))
    return before + (after - before) * (places - low)[:, None]


def _filtered(values: tf.Tensor, length: tf.Tensor, size: Side) -> tf.Tensor:
    """Resize values from shape (length, n) to (size, n) with a triangle filter."""
    one = _one(length)
    scale = tf.cast(size, tf.float32) / tf.cast(length, tf.float32)
    step = one / scale
    reach = tf.maximum(step, 1.0)
    centres = (tf.range(tf.cast(size, tf.float32)) + 0.5) * step
    last = tf.cast(length - 1, tf.float32)
    start = tf.clip_by_value(tf.math.ceil(centres - reach - 0.5), 0.0, last)
    stop = tf.clip_by_value(tf.math.floor(centres + reach - 0.5), 0.0, last)
    count = tf.cast(tf.reduce_max(stop - start), tf.int32) + 1

    def weights(number: tf.Tensor) -> tf.Tensor:
        """Return, for each output pixel, the weight of the input pixel at `start + number`."""
        index = start + tf.cast(number, tf.float32)
        distances = tf.abs((index + 0.5 - centres) * (one / reach))
        return tf.where(index > stop, 0.0, tf.maximum(0.0, 1.0 - distances))

    inverse = one / _sum(count, weights, tf.zeros_like(centres))

    def weighted(number: tf.Tensor) -> tf.Tensor:
        index = tf.minimum(start + tf.cast(number, tf.float32), last)
        pixels = tf.gather(values, tf.cast(index, tf.int32))
        return (weights(number) * inverse)[:, None] * pixels

    return _sum(count, weighted, tf.zeros((size, tf.shape(values)[1])))


def _one(length: tf.Tensor) -> tf.Tensor:
    """Return 1.0, computed in a way that compilers do not recognise as a constant.

    With a constant, they would replace 1 / x by an estimate, and x / constant by a product.
    """
    return tf.cast(length > 0, tf.float32)


def _sum(count: tf.Tensor, term: Callable[[tf.Tensor], tf.Tensor], zero: tf.Tensor) -> tf.Tensor:
    """Return the sum of term(0), term(1), ..., added in this order."""
    return tf.while_loop(
        lambda number, made: number < count,
        lambda number, made: (number + 1, made + term(number)),
        (tf.constant(0), zero),
        (tf.TensorShape(()), tf.TensorShape([None] * len(zero.shape))),
    )[1]


PORTABLE_OPS = {**ops.OPS, **{op.__name__: op for op in (resize, resize_shorter, pad)}}
