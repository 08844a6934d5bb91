"""Ops in a row, on the host or on batches on the device: `[{"op": "pad", "size": 4}, ...]`."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.decode import decode_bytes
from keras_ilsvrc.data.jpeg import decode_window, window_ops
from keras_ilsvrc.data.ops import ARITHMETIC, GEOMETRY, OPS, RANDOM, STATISTICS
from keras_ilsvrc.errors import InputError

Rows = Sequence[Mapping]
NO_SEED = (0, 0)  # of the images of a test
fold_in = tf.random.experimental.stateless_fold_in


def apply_ops(image, rows: Rows, seed, statistics: Mapping[str, np.ndarray], first: int = 0):
    """One image of any type through the ops; each random op draws from a seed of its own.

    Args:
        image: (height, width, channels); ops of arithmetic also take a batch.
        rows: Ops with their arguments, applied in order.
        seed: Two int32; not used if no op is random.
        statistics: As from `measure_statistics`.
        first: The number of the first op to be applied.

    Returns:
        The image, uint8 if it was and geometry alone has been applied, else float32.

    Raises:
        InputError: If an op refuses the image, or needs statistics that are not there.
    """
    for number, row in list(enumerate(rows))[first:]:
        own_seed = fold_in(seed, number) if row["op"] in RANDOM else seed
        image = OPS[row["op"]](image, own_seed, **_arguments(row, statistics))
    return image


def image_at(split, index, rows: Rows, seed, statistics: Mapping[str, np.ndarray]):
    """The image of a split at an index through the ops, as `apply_ops` makes it.

    Of a JPEG only the window is decoded that the first ops show; damage elsewhere in the file is
    not seen then.
    """
    count = window_ops(rows)
    if not count or split.pixels is not None:
        return apply_ops(split.image(index), rows, seed, statistics)
    content = split.encoded(index)
    leading = rows[:count]

    def from_window():
        seeds = [fold_in(seed, number) for number in range(count)]
        return decode_window(content, leading, seeds, split.channels)

    def from_whole():
        return apply_ops(decode_bytes(content, split.channels), leading, seed, statistics)

    image = tf.cond(tf.io.is_jpeg(content), from_window, from_whole)
    return apply_ops(image, rows, seed, statistics, count)


def needed(row: Mapping) -> tuple[str, ...]:
    """The statistics of the training images that an op needs."""
    return () if row.get("components") == "imagenet" else STATISTICS.get(row["op"], ())


def device_ops(rows: Rows) -> tuple[Rows, Rows]:
    """Ops parted into those on single images and those on batches, so that uint8 crosses between.

    The second are the last ops, if they are arithmetic and all in front of them geometry; else
    there are none, and what crosses is float32.
    """
    names = [row["op"] for row in rows]
    border = next((n for n, name in enumerate(names) if name not in GEOMETRY), len(rows))
    if not set(names[border:]) <= ARITHMETIC:
        border = len(rows)
    return rows[:border], rows[border:]


def apply_to_batch(images, rows: Rows, statistics: Mapping[str, np.ndarray]):
    """A batch of images through the second part of `device_ops`, as float32."""
    return tf.cast(apply_ops(images, rows, NO_SEED, statistics), tf.float32)


def _arguments(row, statistics):
    missing = [name for name in needed(row) if name not in statistics]
    if missing:
        raise InputError(
            f"{row['op']} needs the {missing[0]} of the training images, which no op of train_ops "
            f"has measured; add {row['op']} there, or take it out here"
        )
    own = {key: value for key, value in row.items() if key != "op"}
    return own | {name: statistics[name] for name in needed(row)}
