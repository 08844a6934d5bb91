"""A split of a source, through ops, as batches: one stream of positions.

What example stands at position i of epoch e, and how it is augmented, is a pure function of
(seed, e, i): there is no shuffle buffer, and a stream can start at any step.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.apply import NO_SEED, Rows, apply_ops, fold_in, image_at, needed
from keras_ilsvrc.data.order import indices_of_step, place
from keras_ilsvrc.data.split import Split, first_unreadable
from keras_ilsvrc.data.stores import tensor
from keras_ilsvrc.errors import InputError

# Not rewritten by autograph, which would wrap our errors in its own.
as_written = tf.autograph.experimental.do_not_convert
# What a collective operation ends with when another worker is gone.
GONE = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)


def training_batches(
    split: Split,
    rows: Rows,
    statistics: Mapping[str, np.ndarray],
    batch_size: int,
    seed: int,
    first_step: int = 0,
    last_step: int | None = None,
    context: tf.distribute.InputContext | None = None,
    stand_ins: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Full batches of (images, labels), step after step, across the borders of epochs.

    With a context, the share of each replica of this worker, in turn. Images are uint8 where the
    ops leave them so, else float32.

    Args:
        split: The training images.
        rows: Ops with their arguments, applied in order.
        statistics: As from `measure_statistics`.
        batch_size: Over all replicas.
        seed: Of order and augmentation.
        first_step: Where the stream starts.
        last_step: Where it ends; None for never.
        context: Of a worker, as `distribute_datasets_from_function` gives it.
        stand_ins: As from `LeftOut`: which image is taken for each.
    """
    context = context or tf.distribute.InputContext()
    own = batch_size // context.num_input_pipelines
    last = np.iinfo(np.int64).max if last_step is None else last_step * own
    taken = None if stand_ins is None else tensor(stand_ins)

    @as_written
    def example(number):
        position = _position(number, batch_size, context)
        key, index = place(position, len(split), seed)
        image_seed = fold_in(key, index)
        index = index if taken is None else tf.gather(taken, index)
        return image_at(split, index, rows, image_seed, statistics), split.label(index)

    examples = tf.data.Dataset.range(first_step * own, last).map(example, tf.data.AUTOTUNE)
    return _batches(examples, batch_size // context.num_replicas_in_sync)


def _position(number, batch_size, context):
    """Of a worker's example: of each step, every worker has a row of its own."""
    own = batch_size // context.num_input_pipelines
    return number // own * batch_size + own * context.input_pipeline_id + number % own


def names_of_step(split: Split, batch_size: int, seed: int, step: int, most: int = 3) -> str:
    """The first images of a step of `training_batches`, in words."""
    indices = indices_of_step(len(split), batch_size, seed, step)[:most]
    return ", ".join(map(split.name, indices)) + (", ..." if batch_size > most else "")


def evaluation_batches(
    split: Split,
    rows: Rows,
    statistics: Mapping[str, np.ndarray],
    batch_size: int,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Full batches of images in order, filled up behind the last image with repeats of it.

    With a context, the share of each replica of this worker, in turn. Images are uint8 where the
    ops leave them so, else float32.
    """
    context = context or tf.distribute.InputContext()
    count = len(split)
    own = -(-count // batch_size) * batch_size // context.num_input_pipelines

    @as_written
    def image(number):
        index = tf.minimum(_position(number, batch_size, context), count - 1)
        return image_at(split, index, rows, NO_SEED, statistics)

    images = tf.data.Dataset.range(own).map(image, tf.data.AUTOTUNE)
    return _batches(images, batch_size // context.num_replicas_in_sync)


def _batches(examples, batch_size):
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    batches = examples.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    return batches.with_options(options)


@contextmanager
def naming_the_file(
    split: Split, rows: Rows, statistics: Mapping[str, np.ndarray] = MappingProxyType({})
) -> Iterator[None]:
    """TensorFlow says that an image cannot be read or cropped; this says which file it is.

    Raises:
        InputError: With path and reason, if work on the split failed and a file is the cause.
    """
    try:
        yield
    except GONE:
        raise  # no file is the cause
    except tf.errors.OpError as error:
        reason = first_unreadable(split) or _first_unfit(split, rows, statistics)
        if reason:
            raise InputError(reason) from error
        raise


def _first_unfit(split, rows, statistics):
    known = [row for row in rows if set(needed(row)) <= set(statistics)]
    for index in range(len(split)) if split.pixels is None else ():
        try:
            apply_ops(split.image(index), known, NO_SEED, statistics)
        except InputError as error:
            return f"{split.name(index)}: {error}"
    return None
