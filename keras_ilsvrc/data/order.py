"""Which image stands at a position of a training: a pure function of (seed, epoch, position)."""

import tensorflow as tf


def place(position, count: int, seed: int) -> tuple[tf.Tensor, tf.Tensor]:
    """What stands at a position of the one stream that runs through all epochs.

    Args:
        position: int64, from 0.
        count: How many images an epoch has.
        seed: Of the order.

    Returns:
        The key of the position's epoch, two int32, and the index of the image.
    """
    key = tf.stack([tf.constant(seed), tf.cast(position // count, tf.int32)])
    return key, tf.random.experimental.index_shuffle(position % count, key, count - 1)


def indices_of_step(count: int, batch_size: int, seed: int, step: int, steps: int = 1) -> list[int]:
    """Return the indices of the images of a step, or of several, in order.

    Args:
        count: How many images an epoch has.
        batch_size: Over all replicas.
        seed: Of the order.
        step: The first, from 0.
        steps: How many.
    """
    positions = tf.range(step * batch_size, (step + steps) * batch_size, dtype=tf.int64)
    return [int(place(position, count, seed)[1]) for position in positions]
