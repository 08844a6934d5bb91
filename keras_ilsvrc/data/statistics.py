"""Measurement of the statistics of the training images that ops need, such as the mean image."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.apply import NO_SEED, apply_ops, image_at, needed
from keras_ilsvrc.data.fingerprint import kept_for
from keras_ilsvrc.data.ops import RANDOM
from keras_ilsvrc.data.pipeline import CORES, made_ahead, naming_the_file
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.types import Row, Rows, Statistics
from keras_ilsvrc.utils.bars import tracked
from keras_ilsvrc.utils.errors import InputError

MEANS = ("pixel_mean", "channel_mean")  # an op whose first statistic is one of these subtracts it
TOGETHER = 64  # batch size if all images have the same size
LEAST_DEVIATION = 1e-6  # minimum standard deviation, to avoid division by zero
MAX_ZCA_VALUES = 64 * 64 * 3  # maximum values in an image; the whitening matrix then has 604 MB
Sums = Callable[[tf.Tensor], list[tf.Tensor]]


class Measure(NamedTuple):
    """Two functions that measure statistics: `sums` runs on each batch, `finish` on the totals.

    Attributes:
        sums: Function that returns sums over a float64 batch (images, height, width, channels):
            first of the values, then also of their squares or products.
        finish: Function that returns the statistics. Its arguments are the sums over all images,
            each divided by the number of images, and the op that needs the statistics.
        pixelwise: Whether the statistics are per pixel. If so, no earlier op may be random.
    """

    sums: Sums
    finish: Callable[..., Statistics]
    pixelwise: bool


class Task(NamedTuple):
    """Op whose statistics are to be measured, and the ops that are applied before it."""

    row: Row
    measure: Measure
    before: Rows


def measure_statistics(split: Split, rows: Rows) -> dict[str, np.ndarray]:
    """Measure the statistics of the training images that the ops need.

    The statistics for an op are measured on images to which all earlier ops have been applied. For
    statistics per channel, earlier random ops are skipped, and all images have the same weight,
    regardless of their size. For statistics per pixel, no earlier op may be random. A slow
    measurement shows a progress bar.

    If possible, one pass over the images measures all statistics. For large data sets of encoded
    images, the statistics are cached for later runs.

    Args:
        split: Training images.
        rows: Training ops.

    Returns:
        Dict of float32 arrays, with the items that the ops need: `channel_mean` and `channel_std`
        (channels,), `pixel_mean` (height, width, channels), `pca_values` (3,) in descending order,
        `pca_vectors` (3, 3), `zca_mean` (values,), `zca_matrix` (values, values), `zca_epsilon` ().

    Raises:
        InputError: If a random op comes before one that needs statistics per pixel, if two ops
            need the same statistic, or if images are too large or differ in size.
    """
    tasks = _tasks(rows)
    if not tasks:
        return {}
    file = kept_for(split, "statistics", rows)
    statistics = file.load() if file else {}
    if statistics:
        return statistics
    while tasks:
        now = _together(tasks, statistics)
        tasks = tasks[len(now) :]
        means = _means(split, now, statistics)
        for (task, centring), own in zip(now, means):
            if centring is not None:
                own = _after(centring.row, statistics, means[0][0], own)
            found = task.measure.finish(*own, task.row)
            statistics |= {name: np.asarray(value, "float32") for name, value in found.items()}
    if file:
        file.save(**statistics)
    return statistics


def _tasks(rows: Rows) -> list[Task]:
    """Return a task for each op that needs statistics, in the order of the ops."""
    tasks: list[Task] = []
    known: set[str] = set()
    for number, row in enumerate(rows):
        names = needed(row)
        if not names:
            continue
        twice = [name for name in names if name in known]
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
        tasks.append(Task(row, measure, before))
        known |= {*names}
    return tasks


def _together(tasks: Sequence[Task], statistics: Statistics) -> list[tuple[Task, Task | None]]:
    """Return the tasks at the start of the list that one pass over the images can measure.

    A task that depends on unmeasured statistics can join the pass only if its op comes directly
    after the op of the first task, and the first op subtracts a mean. Such a task is returned as
    (task, first task), any other as (task, None).
    """
    found: list[tuple[Task, Task | None]] = []
    for task in tasks:
        unknown = [row for row in task.before if not {*needed(row)} <= statistics.keys()]
        if not unknown:
            found.append((task, None))
            continue
        first = tasks[0]
        if task.before != [*first.before, first.row] or needed(first.row)[0] not in MEANS:
            break
        found.append((task._replace(before=first.before), first))
    return found


def _means(
    split: Split, tasks: Sequence[tuple[Task, Task | None]], statistics: Statistics
) -> list[list[np.ndarray]]:
    """Return, for each task, its sums over all images, divided by the number of images.

    The list `before` of each task must begin with the list `before` of the previous task.
    """
    names = " and ".join(task.row["op"] for task, _ in tasks)
    last = tasks[-1][0].before

    @tf.autograph.experimental.do_not_convert
    def images_before(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        count = len(tasks[0][0].before)
        images = [image_at(split, index, last[:count], NO_SEED, statistics)]
        for task, _ in tasks[1:]:
            images.append(apply_ops(images[-1], task.before, NO_SEED, statistics, count))
            count = len(task.before)
        return tuple(tf.cast(image, tf.float64) for image in images)

    @tf.autograph.experimental.do_not_convert
    def sums_of(*images: tf.Tensor) -> tuple[Any, ...]:
        sums = [tuple(task.measure.sums(own)) for (task, _), own in zip(tasks, images)]
        return tf.shape(images[0])[0], *sums

    count = len(split)
    images = tf.data.Dataset.range(count).map(images_before, CORES)
    fixed = all(spec.shape.is_fully_defined() for spec in images.element_spec)
    together = TOGETHER if fixed else 1
    batches = made_ahead(images.batch(together).map(sums_of, CORES))
    parts = tracked(batches.as_numpy_iterator(), -(-count // together), f"statistics for {names}")
    totals: list[list[np.ndarray]] = []
    done = 0
    with naming_the_file(split, last, statistics, lambda: range(done, min(done + together, count))):
        for number, *own in parts:
            totals = totals or [[np.zeros_like(part) for part in sums] for sums in own]
            for (task, _), total, sums in zip(tasks, totals, own):
                _add(total, sums, task.row["op"])
            done += int(number)
    return [[part / done for part in total] for total in totals]


def _add(totals: Sequence[np.ndarray], sums: Sequence[np.ndarray], op: str) -> None:
    """Add sums to totals in place."""
    for total, part in zip(totals, sums):
        if total.shape != part.shape:
            raise InputError(f"{op} needs images of one size; resize them first")
        total += part


def _after(
    row: Row, statistics: Statistics, centre: np.ndarray, means: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Return the moments of images after an op that subtracts a mean, from those before the op.

    Args:
        row: Op that subtracts a mean.
        statistics: Statistics that the op needs.
        centre: Mean (channels,) or mean image of the images before the op.
        means: Mean values before the op, and the mean of their squares or products, if measured.
    """
    mean, *second = means
    shift = statistics[needed(row)[0]].astype("float64")
    scale = statistics["channel_std"].astype("float64") if row["op"] == "standardise" else 1.0
    if not second:  # only a mean image was measured
        return [(mean - shift) / scale]
    if len(mean) == shift.shape[-1]:
        before, shift = (x.reshape(-1, len(mean)) for x in (centre, shift))
    else:  # one mean for each value of the images
        before, shift = mean[None], np.resize(shift, (1, len(mean)))
    scale = np.resize(scale, len(mean))
    cross, own = (x.T @ shift / len(shift) for x in (before, shift))
    squares = np.outer(scale, scale)
    if second[0].ndim == 1:
        cross, own, squares = (x.diagonal() for x in (cross, own, squares))
    return [(mean - shift.mean(0)) / scale, (second[0] - cross - cross.T + own) / squares]


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
