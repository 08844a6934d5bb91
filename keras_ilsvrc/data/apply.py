"""Application of preprocessing ops, such as `[{"op": "pad", "size": 4}, ...]`, to images."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from keras_ilsvrc.data.decode import decode_bytes, is_plain_jpeg
from keras_ilsvrc.data.jpeg import decode_window, window_ops
from keras_ilsvrc.data.ops import OPS, RANDOM, STATISTICS
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.types import Image, Index, Row, Rows, Seed, Statistics
from keras_ilsvrc.utils.errors import InputError

NO_SEED = (0, 0)  # placeholder for ops that need no seed, such as the ops for test images
fold_in = tf.random.experimental.stateless_fold_in


def apply_ops(
    image: Image,
    rows: Rows,
    seed: Seed,
    statistics: Statistics,
    first: int = 0,
    ops: Mapping[str, Callable[..., Image]] = OPS,
) -> Image:
    """Apply preprocessing ops to one image of any dtype. Each random op gets its own seed.

    Args:
        image: Tensor (height, width, channels); arithmetic ops also take a batch.
        rows: Ops with their arguments, applied in order.
        seed: Seed of the image, two int32; not used if no op is random.
        statistics: Result of `measure_statistics`.
        first: Index in `rows` of the first op to apply.
        ops: {name of an op: its function}.

    Returns:
        Image, uint8 if it was uint8 and only geometry ops have been applied, otherwise float32.

    Raises:
        InputError: If an op rejects the image, or a statistic that it needs is missing.
    """
    for number, row in list(enumerate(rows))[first:]:
        own_seed = fold_in(seed, number) if row["op"] in RANDOM else seed
        image = ops[row["op"]](image, own_seed, **arguments_of(row, statistics))
    return image


def image_at(split: Split, index: Index, rows: Rows, seed: Seed, statistics: Statistics) -> Image:
    """Return the image at an index of a split, with all ops applied.

    If the first ops crop a JPEG, only the crop is decoded, and damage outside it is not detected.
    """
    count = window_ops(rows)
    if not count or split.pixels is not None:
        return apply_ops(split.image(index), rows, seed, statistics)
    content = split.encoded(index)
    leading = rows[:count]

    def from_window() -> tf.Tensor:
        seeds = [fold_in(seed, number) for number in range(count)]
        return decode_window(content, leading, seeds, split.channels)

    def from_whole() -> tf.Tensor:
        return apply_ops(decode_bytes(content, split.channels), leading, seed, statistics)

    image = tf.cond(is_plain_jpeg(content), from_window, from_whole)
    return apply_ops(image, rows, seed, statistics, count)


def needed(row: Row) -> tuple[str, ...]:
    """Return the names of the statistics of the training images that an op needs."""
    return () if row.get("components") == "imagenet" else STATISTICS.get(row["op"], ())


def arguments_of(row: Row, statistics: Statistics) -> dict[str, Any]:
    """Return the arguments of an op, including the statistics that it needs.

    Raises:
        InputError: If a statistic is missing.
    """
    missing = [name for name in needed(row) if name not in statistics]
    if missing:
        raise InputError(
            f"{row['op']} needs the {missing[0]} of the training images, but no training op "
            f"measures it; add {row['op']} to the training ops, or remove it from the test ops"
        )
    own = {key: value for key, value in row.items() if key != "op"}
    return own | {name: statistics[name] for name in needed(row)}
