"""Antialiased resizing with basic operations, for runtimes that lack TensorFlow's own."""

from collections.abc import Callable

import tensorflow as tf

from keras_ilsvrc.data.types import Image, Side


def resampled_portably(image: Image, size: tuple[Side, Side]) -> Image:
    """Resize with the same float32 operations, in the same order, as `ScaleAndTranslate`.

    The results are the same bits as long as no compiler merges a product and a sum. If the sums had
    another order, as in a matrix product, some values would be rounded to another grey level.

    Args:
        image: Image (height, width, channels); the number of channels is known.
        size: Height and width of the result.

    Returns:
        Image (*size, channels), float32, not rounded.
    """
    height, width, channels = tf.shape(image)[0], tf.shape(image)[1], image.shape[-1]
    made = tf.reshape(tf.cast(image, tf.float32), (height, width * channels))
    made = tf.reshape(_resized(made, height, size[0]), (size[0], width, channels))
    made = tf.reshape(tf.transpose(made, (1, 0, 2)), (width, size[0] * channels))
    made = tf.reshape(_resized(made, width, size[1]), (size[1], size[0], channels))
    return tf.transpose(made, (1, 0, 2))


def _resized(values: tf.Tensor, length: tf.Tensor, size: Side) -> tf.Tensor:
    """Resize values (length, numbers) to (size, numbers) with a triangle filter."""
    # A one that is not known to be constant, since TensorFlow would replace 1 / x by an estimate.
    one = tf.cast(length > 0, tf.float32)
    scale = tf.cast(size, tf.float32) / tf.cast(length, tf.float32)
    step = one / scale
    reach = tf.maximum(step, 1.0)
    centres = (tf.range(tf.cast(size, tf.float32)) + 0.5) * step
    last = tf.cast(length - 1, tf.float32)
    start = tf.clip_by_value(tf.math.ceil(centres - reach - 0.5), 0.0, last)
    stop = tf.clip_by_value(tf.math.floor(centres + reach - 0.5), 0.0, last)
    count = tf.cast(tf.reduce_max(stop - start), tf.int32) + 1

    def weights(number: tf.Tensor) -> tf.Tensor:
        """Return the weight of the pixel of this number, from `start`, in each resized pixel."""
        index = start + tf.cast(number, tf.float32)
        distances = tf.abs((index + 0.5 - centres) * (one / reach))
        return tf.where(index > stop, 0.0, tf.maximum(0.0, 1.0 - distances))

    inverse = one / _sum(count, weights, tf.zeros_like(centres))

    def weighted(number: tf.Tensor) -> tf.Tensor:
        index = tf.minimum(start + tf.cast(number, tf.float32), last)
        pixels = tf.gather(values, tf.cast(index, tf.int32))
        return (weights(number) * inverse)[:, None] * pixels

    return _sum(count, weighted, tf.zeros((size, tf.shape(values)[1])))


def _sum(count: tf.Tensor, term: Callable[[tf.Tensor], tf.Tensor], zero: tf.Tensor) -> tf.Tensor:
    """Return the sum of term(0), term(1), ..., added in this order."""
    return tf.while_loop(
        lambda number, made: number < count,
        lambda number, made: (number + 1, made + term(number)),
        (tf.constant(0), zero),
        (tf.TensorShape(()), tf.TensorShape([None] * len(zero.shape))),
    )[1]
