"""Measurement of the training-set statistics that ops need, such as the mean image."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.apply import NO_SEED, image_at, needed
from keras_ilsvrc.data.ops import RANDOM
from keras_ilsvrc.data.pipeline import CORES, made_ahead, naming_the_file
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.types import Row, Rows, Statistics
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.terminal.bars import tracked

TOGETHER = 64  # batch size if all images have the same size
LEAST_DEVIATION = 1e-6
MAX_ZCA_VALUES = 64 * 64 * 3  # maximum values in an image; the whitening matrix then has 604 MB


Sums = Callable[[tf.Tensor], list[tf.Tensor]]


class Measure(NamedTuple):
    """Two functions that measure statistics: `sums` runs on each batch, `finish` on the totals.

    Attributes:
        sums: Function that returns sums over a float64 batch (images, height, width, channels).
        finish: Function that returns the statistics. Its arguments are the sums over all images,
            each divided by the number of images, and the op that needs the statistics.
        pixelwise: Whether the statistics are per pixel. If so, no earlier op may be random.
    """

    sums: Sums
    finish: Callable[..., Statistics]
    pixelwise: bool


def measure_statistics(split: Split, rows: Rows) -> dict[str, np.ndarray]:
    """Measure the statistics of the training images that the ops need.

    The statistics for an op are measured on images to which all earlier ops have been applied. For
    statistics per channel, earlier random ops are skipped, and every image counts equally, whatever
    its size. For statistics per pixel, no earlier op may be random. A slow measurement shows a
    progress bar.

    Args:
        split: Training images.
        rows: Training ops.

    Returns:
        Dict of float32 arrays, only those that an op needs: `channel_mean`, `channel_std`
        (channels,), `pixel_mean` (height, width, channels), `pca_values` (3,) in descending order,
        `pca_vectors` (3, 3), `zca_mean` (values,), `zca_matrix` (values, values), `zca_epsilon`.

    Raises:
        InputError: If a random op comes before one that needs statistics per pixel, if two ops
            need the same statistic, or if images are too large or differ in size.
    """
    statistics: dict[str, np.ndarray] = {}
    for number, row in enumerate(rows):
        names = needed(row)
        if not names:
            continue
        twice = [name for name in names if name in statistics]
        if twice:
            raise InputError(
                f"{row['op']} needs the {twice[0]}, which an earlier op already uses; remove one "
                "of these ops"
            )
        measure = MEASURES[names]
        random = [other["op"] for other in rows[:number] if other["op"] in RANDOM]
        if random and measure.pixelwise:
            raise InputError(f"{row['op']} comes after {random[0]}, which is random; swap the ops")
        before = [other for other in rows[:number] if other["op"] not in RANDOM]
        means = _means(split, before, statistics, measure.sums, row["op"])
        found = measure.finish(*means, row)
        statistics |= {name: np.asarray(value, "float32") for name, value in found.items()}
    return statistics


def _means(
    split: Split, rows: Rows, statistics: Statistics, sums: Sums, op: str
) -> list[np.ndarray]:
    """Apply the ops, then `sums`, to all images; divide the totals by the number of images."""

    @tf.autograph.experimental.do_not_convert
    def image_before(index: tf.Tensor) -> tf.Tensor:
        image = image_at(split, index, rows, NO_SEED, statistics)
        return tf.cast(image, tf.float64)

    @tf.autograph.experimental.do_not_convert
    def sums_of(images: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return (tf.shape(images)[0], *sums(images))

    count = len(split)
    images = tf.data.Dataset.range(count).map(image_before, CORES)
    together = TOGETHER if images.element_spec.shape.is_fully_defined() else 1
    batches = made_ahead(images.batch(together).map(sums_of, CORES))
    parts = tracked(batches.as_numpy_iterator(), -(-count // together), f"measuring for {op}")
    totals: list[np.ndarray] = []
    done = 0
    with naming_the_file(split, rows, statistics, lambda: range(done, min(done + together, count))):
        for number, *own in parts:
            totals = totals or [np.zeros_like(part) for part in own]
            if any(total.shape != part.shape for total, part in zip(totals, own)):
                raise InputError(f"{op} needs images of one size; resize them first")
            for total, part in zip(totals, own):
                total += part
            done += int(number)
    return [total / done for total in totals]


def _channel_sums(images: tf.Tensor) -> list[tf.Tensor]:
    means = tf.reduce_mean(images, (1, 2)), tf.reduce_mean(images**2, (1, 2))
    return [tf.reduce_sum(part, 0) for part in means]


def _channel_statistics(mean: np.ndarray, squares: np.ndarray, row: Row) -> Statistics:
    std = np.sqrt(np.maximum(squares - mean**2, 0))
    return {"channel_mean": mean, "channel_std": np.maximum(std, LEAST_DEVIATION)}


def _colour_sums(images: tf.Tensor) -> list[tf.Tensor]:
    if images.shape[-1] != 3:
        raise InputError(f"pca_noise needs images of 3 channels, not {images.shape[-1]}")
    pixels = tf.reshape(images, (tf.shape(images)[0], -1, 3))
    count = tf.cast(tf.shape(pixels)[1], tf.float64)
    return [
        tf.reduce_sum(tf.reduce_mean(pixels, 1), 0),
        tf.reduce_sum(tf.matmul(pixels, pixels, transpose_a=True), 0) / count,
    ]


def _components(mean: np.ndarray, products: np.ndarray, row: Row) -> Statistics:
    values, vectors = np.linalg.eigh(products - np.outer(mean, mean))
    return {"pca_values": np.maximum(values[::-1], 0), "pca_vectors": vectors[:, ::-1]}


def _value_sums(images: tf.Tensor) -> list[tf.Tensor]:
    count = images.shape[1:].num_elements()
    if count is None or count > MAX_ZCA_VALUES:
        size = "x".join(str(side or "?") for side in images.shape[1:])
        raise InputError(f"zca needs images of one size up to 64x64x3, not {size}; resize them")
    values = tf.reshape(images, (-1, count))
    return [tf.reduce_sum(values, 0), tf.matmul(values, values, transpose_a=True)]


def _whitening(mean: np.ndarray, products: np.ndarray, row: Row) -> Statistics:
    """Return pylearn2's whitening matrix: (covariance + epsilon * identity) ** -0.5."""
    covariance = products - np.outer(mean, mean)
    values, vectors = np.linalg.eigh(covariance + row["epsilon"] * np.eye(len(mean)))
    matrix = (vectors / np.sqrt(values)) @ vectors.T
    return {"zca_mean": mean, "zca_matrix": matrix, "zca_epsilon": row["epsilon"]}


MEASURES: Mapping[tuple[str, ...], Measure] = {
    ("channel_mean", "channel_std"): Measure(_channel_sums, _channel_statistics, False),
    ("channel_mean",): Measure(
        _channel_sums, lambda mean, squares, row: {"channel_mean": mean}, False
    ),
    ("pixel_mean",): Measure(
        lambda images: [tf.reduce_sum(images, 0)], lambda mean, row: {"pixel_mean": mean}, True
    ),
    ("pca_values", "pca_vectors"): Measure(_colour_sums, _components, False),
    ("zca_mean", "zca_matrix", "zca_epsilon"): Measure(_value_sums, _whitening, True),
}
