"""A split of a source, through ops, as batches: one stream of positions.

What example stands at position i of epoch e, and how it is augmented, is a pure function of
(seed, e, i): there is no shuffle buffer, and a stream can start at any step.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.ops import OPS, RANDOM, STATISTICS
from keras_ilsvrc.data.sources import Split, first_unreadable
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
Rows = Sequence[Mapping]  # [{"op": "pad", "size": 4}, ...]


def training_batches(
    split: Split,
    rows: Rows,
    statistics: Mapping[str, np.ndarray],
    batch_size: int,
    seed: int,
    first_step: int = 0,
    last_step: int | None = None,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Full batches of (images, labels), step after step, across the borders of epochs.

    With a context, the share of each replica of this worker, in turn.

    Args:
        split: The training images.
        rows: Ops with their arguments, applied in order.
        statistics: As from `measure_statistics`.
        batch_size: Over all replicas.
        seed: Of order and augmentation.
        first_step: Where the stream starts.
        last_step: Where it ends; None for never.
        context: Of a worker, as `distribute_datasets_from_function` gives it.
    """
    context = context or tf.distribute.InputContext()
    count = len(split)
    own = batch_size // context.num_input_pipelines
    last = np.iinfo(np.int64).max if last_step is None else last_step * own

    @as_written
    def example(number):
        position = _position(number, batch_size, context)
        key, index = _at(position, count, seed)
        image_seed = tf.random.experimental.stateless_fold_in(key, index)
        image = apply_ops(split.image(index), rows, image_seed, statistics)
        return image, tf.gather(split.labels, index)

    examples = tf.data.Dataset.range(first_step * own, last).map(example, tf.data.AUTOTUNE)
    return _batches(examples, batch_size // context.num_replicas_in_sync)


def _position(number, batch_size, context):
    """Of a worker's example: of each step, every worker has a row of its own."""
    own = batch_size // context.num_input_pipelines
    return number // own * batch_size + own * context.input_pipeline_id + number % own


def _at(position, count, seed):
    """The key of a position's epoch, and which of the images stands there."""
    key = tf.stack([tf.constant(seed), tf.cast(position // count, tf.int32)])
    return key, tf.random.experimental.index_shuffle(position % count, key, count - 1)


def names_of_step(split: Split, batch_size: int, seed: int, step: int, most: int = 3) -> str:
    """The first files of a step of `training_batches`, in words; their numbers if they are none."""
    positions = range(step * batch_size, step * batch_size + min(most, batch_size))
    indices = [int(_at(tf.constant(x, tf.int64), len(split), seed)[1]) for x in positions]
    names = [f"image {x}" if split.paths is None else str(split.paths[x]) for x in indices]
    return ", ".join(names) + (", ..." if batch_size > most else "")


def evaluation_batches(
    split: Split,
    rows: Rows,
    statistics: Mapping[str, np.ndarray],
    batch_size: int,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Full batches of images in order, filled up behind the last image with repeats of it.

    With a context, the share of each replica of this worker, in turn.
    """
    context = context or tf.distribute.InputContext()
    count = len(split)
    own = -(-count // batch_size) * batch_size // context.num_input_pipelines

    @as_written
    def image(number):
        index = tf.minimum(_position(number, batch_size, context), count - 1)
        return apply_ops(split.image(index), rows, tf.constant([0, 0]), statistics)

    images = tf.data.Dataset.range(own).map(image, tf.data.AUTOTUNE)
    return _batches(images, batch_size // context.num_replicas_in_sync)


def _batches(examples, batch_size):
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    batches = examples.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    return batches.with_options(options)


def apply_ops(image, rows: Rows, seed, statistics: Mapping[str, np.ndarray]):
    """One image of any type through the ops; each random op draws from a seed of its own."""
    image = tf.cast(image, tf.float32)
    for number, row in enumerate(rows):
        arguments = {key: value for key, value in row.items() if key != "op"}
        arguments |= {key: statistics[key] for key in STATISTICS.get(row["op"], ())}
        own_seed = tf.random.experimental.stateless_fold_in(seed, number)
        image = OPS[row["op"]](image, own_seed, **arguments)
    return image


def measure_statistics(split: Split, rows: Rows) -> dict[str, np.ndarray]:
    """What the ops need to know of the training images, measured where they first need it.

    Args:
        split: The training images.
        rows: The ops of training.

    Returns:
        `channel_mean`, `channel_std` (channels,) and `pixel_mean` (height, width, channels), as
        far as an op asks for them.

    Raises:
        InputError: If a random op stands before one that needs statistics.
    """
    statistics: dict[str, np.ndarray] = {}
    for number, row in enumerate(rows):
        needed = STATISTICS.get(row["op"], ())
        if not needed or needed[0] in statistics:
            continue
        before = rows[:number]
        random = [other["op"] for other in before if other["op"] in RANDOM]
        if random:
            raise InputError(
                f"{row['op']} stands behind {random[0]}, which is random; put it before"
            )
        statistics |= _measure(split, before, statistics, needed)
    return statistics


def _measure(split, rows, statistics, needed):
    count = len(split)

    @as_written
    def image_before(index):
        return apply_ops(split.image(index), rows, tf.constant([0, 0]), statistics)

    images = tf.data.Dataset.range(count).map(image_before, tf.data.AUTOTUNE)
    total, squares = 0.0, 0.0
    for image in images.as_numpy_iterator():
        image = image.astype("float64")
        if needed == ("pixel_mean",):
            if np.shape(total) not in ((), image.shape):
                raise InputError("subtract_pixel_mean needs images of one size; resize them first")
            total = total + image
        else:
            total = total + image.mean(axis=(0, 1))
            squares = squares + (image**2).mean(axis=(0, 1))
    mean = total / count
    if needed == ("pixel_mean",):
        return {"pixel_mean": mean.astype("float32")}
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return {
        "channel_mean": mean.astype("float32"),
        "channel_std": np.maximum(std, 1e-6).astype("float32"),
    }


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
    known = [row for row in rows if set(STATISTICS.get(row["op"], ())) <= set(statistics)]
    for index, path in enumerate(() if split.paths is None else split.paths):
        try:
            apply_ops(split.image(index), known, tf.constant([0, 0]), statistics)
        except InputError as error:
            return f"{path}: {error}"
    return None
