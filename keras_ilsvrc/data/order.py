"""Order of the training images: a pure function of seed, epoch and position in the epoch."""

import tensorflow as tf


def place(position: tf.Tensor, count: int, seed: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the random key and the image index for a position in the training stream.

    Args:
        position: Position in the stream of all epochs, int64, counted from 0.
        count: Number of images in an epoch.
        seed: Seed of the order.

    Returns:
        Random key of the epoch, two int32; and index of the image in its split.
    """
    key = tf.stack([tf.constant(seed), tf.cast(position // count, tf.int32)])
    return key, tf.random.experimental.index_shuffle(position % count, key, count - 1)


def indices_of_step(count: int, batch_size: int, seed: int, step: int, steps: int = 1) -> list[int]:
    """Return the indices of the images in one or more training steps, in order.

    Args:
        count: Number of images in an epoch.
        batch_size: Number of images in a batch, over all replicas.
        seed: Seed of the order.
        step: First step, counted from 0.
        steps: Number of steps.
    """
    positions = tf.range(step * batch_size, (step + steps) * batch_size, dtype=tf.int64)
    return [int(place(position, count, seed)[1]) for position in positions]
