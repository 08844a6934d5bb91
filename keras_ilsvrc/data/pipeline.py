"""Input pipeline: batches of preprocessed images, from one stream that runs through all epochs.

The example at position i of epoch e, and its augmentation, are a pure function of (seed, e, i).
So the stream needs no shuffle buffer, and can start at any step.
"""

import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.apply import NO_SEED, apply_ops, fold_in, image_at, needed
from keras_ilsvrc.data.device import draws
from keras_ilsvrc.data.headers import BadImage, Fault, read_header
from keras_ilsvrc.data.order import indices_of_step, place
from keras_ilsvrc.data.source import BadFile
from keras_ilsvrc.data.split import Split, examined
from keras_ilsvrc.data.stores import tensor
from keras_ilsvrc.data.types import Rows
from keras_ilsvrc.utils.errors import InputError, printable, ran_out, reason

# Function that returns the CPUs of this process. It exists only on Linux.
_usable = getattr(os, "sched_getaffinity", None)
CORES = len(_usable(0)) if _usable else os.cpu_count() or 1
READY = 2  # number of prefetched batches
PATIENCE = 10.0  # maximum time for finding the bad image in a failed step, in seconds

# Decorator that turns off autograph, which would replace errors in a function with other errors.
as_written = tf.autograph.experimental.do_not_convert
# Errors that a collective operation raises when another worker has stopped.
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
    later: Rows = (),
) -> tf.data.Dataset:
    """Return full batches of (images, labels). Images are float32, or uint8 if all ops keep uint8.

    Args:
        split: Training images.
        rows: Ops with their arguments, applied in order.
        statistics: Result of `measure_statistics`.
        batch_size: Number of images in a batch, over all replicas.
        seed: Seed of order and augmentation.
        first_step: First step of the stream.
        last_step: Step before which the stream ends; None for an endless stream.
        context: Input context of a worker; each batch is then the part of a batch that one of the
            worker's replicas needs. None for whole batches.
        stand_ins: For each image, the index of the image to use instead, as returned by
            `LeftOut.stand_ins`; None to use all images.
        later: Ops that `apply_to_batch` applies afterwards. If one of them is random or a crop,
            a tuple of the images and their `draws` replaces the images.
    """
    context = context or tf.distribute.InputContext()
    own = batch_size // context.num_input_pipelines
    share = batch_size // context.num_replicas_in_sync
    last = np.iinfo(np.int64).max if last_step is None else last_step * own
    taken = None if stand_ins is None else tensor(stand_ins)

    @as_written
    def example(number: tf.Tensor) -> tuple[tf.Tensor | tuple[tf.Tensor, ...], tf.Tensor]:
        position = _position(number, batch_size, context)
        key, index = place(position, len(split), seed)
        image_seed = fold_in(key, index)
        index = index if taken is None else tf.gather(taken, index)
        image = image_at(split, index, rows, image_seed, statistics)
        drawn = draws(image, later, len(rows), image_seed)
        return (image, *drawn) if drawn else image, split.label(index)

    examples = tf.data.Dataset.range(first_step * own, last).map(example, CORES)
    return made_ahead(examples.batch(share, drop_remainder=True))


def _position(number: tf.Tensor, batch_size: int, context: tf.distribute.InputContext) -> tf.Tensor:
    """Convert an example's number on one worker to its position in the stream of all workers."""
    own = batch_size // context.num_input_pipelines
    return number // own * batch_size + own * context.input_pipeline_id + number % own


def names_of_step(split: Split, batch_size: int, seed: int, step: int, most: int = 3) -> str:
    """Return the names of the first few images of a training step, joined into one string."""
    indices = indices_of_step(len(split), batch_size, seed, step)[:most]
    return printable(", ".join(map(split.name, indices))) + (", ..." if batch_size > most else "")


def evaluation_batches(
    split: Split,
    rows: Rows,
    statistics: Mapping[str, np.ndarray],
    batch_size: int,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Return batches of images in order. The last batch is padded with the last image.

    If the `context` of a worker is given, each batch is the part of a batch that one of the
    worker's replicas needs. Images are float32, or uint8 if all ops keep uint8.
    """
    context = context or tf.distribute.InputContext()
    count = len(split)
    own = -(-count // batch_size) * batch_size // context.num_input_pipelines

    @as_written
    def image(number: tf.Tensor) -> tf.Tensor:
        index = tf.minimum(_position(number, batch_size, context), count - 1)
        return image_at(split, index, rows, NO_SEED, statistics)

    share = batch_size // context.num_replicas_in_sync
    return made_ahead(
        tf.data.Dataset.range(own).map(image, CORES).batch(share, drop_remainder=True)
    )


def readable_batches(
    split: Split,
    rows: Rows,
    statistics: Mapping[str, np.ndarray],
    shape: Sequence[int],
    batch_size: int,
) -> tf.data.Dataset:
    """Return batches of (indices, images) of the images that can be used, in order.

    Bad images and their indices are left out. An image is bad if it is damaged or too large, if an
    op rejects it, or if it does not have the expected shape after the ops. The last batch may be
    smaller.

    Args:
        split: Encoded images, whose headers may not have been checked yet.
        rows: Ops with their arguments, applied in order.
        statistics: Statistics that the ops need.
        shape: Expected height, width and channels after the ops.
        batch_size: Number of images in a batch.
    """

    def check(index: np.integer) -> np.integer:
        read_header(io.BytesIO(split.store.read(int(split.rows[index]))))
        return index

    @as_written
    def image(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.control_dependencies([tf.numpy_function(check, [index], tf.int64)]):
            index = tf.identity(index)
        made = image_at(split, index, rows, NO_SEED, statistics)
        return index, tf.ensure_shape(tf.cast(made, tf.float32), shape)

    images = tf.data.Dataset.range(len(split)).map(image, CORES).ignore_errors()
    return made_ahead(images.batch(batch_size))


def untuned() -> tf.data.Options:
    """Return `tf.data.Options` that turn off autotuning and automatic sharding.

    With autotuning, closing an iterator can take a minute, because it waits for a sleeping thread.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return options


def made_ahead(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Return a dataset that prepares `READY` batches in advance, without autotuning."""
    return batches.prefetch(READY).with_options(untuned())


@contextmanager
def naming_the_file(
    split: Split,
    rows: Rows,
    statistics: Mapping[str, np.ndarray] = MappingProxyType({}),
    indices: Callable[[], Iterable[int]] | None = None,
) -> Iterator[None]:
    """Convert a TensorFlow error caused by a bad image into an `InputError` that names the file.

    Args:
        split: Images that are used inside the context.
        rows: Ops that are applied to the images.
        statistics: Statistics that the ops need.
        indices: Function that returns the indices of the images in the step that failed; None
            for all images. To find the bad image, these images are decoded again, for at most
            `PATIENCE` seconds.
    """
    try:
        yield
    except (tf.errors.OpError, BadImage) as error:  # BadImage only in eager mode
        if of_an_image(error):
            chosen = range(len(split)) if indices is None else indices()
            fault = first_fault(split, rows, statistics, chosen)
            if fault:
                raise fault from error
        raise


def of_an_image(error: Exception) -> bool:
    """Return whether a bad image may be the cause of an error, not a lost worker or full memory."""
    return not isinstance(error, GONE) and not ran_out(error)


def first_fault(
    split: Split, rows: Rows, statistics: Mapping[str, np.ndarray], indices: Iterable[int]
) -> InputError | None:
    """Return an error about the first image that cannot be used; None if none is found."""
    known = [row for row in rows if set(needed(row)) <= set(statistics)]
    end = time.monotonic() + PATIENCE
    for index in indices if split.pixels is None else ():
        if time.monotonic() > end:
            break
        found = examined(split, index)
        if isinstance(found, Fault):
            return BadFile(str(found))
        try:
            apply_ops(split.image(index), known, NO_SEED, statistics)
        except (InputError, tf.errors.InvalidArgumentError) as error:
            return InputError(f"{split.name(index)}: {reason(error)}")
    return None
