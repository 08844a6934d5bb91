"""Benchmark of ZFNet's deconvnet and of the search for the top activations of a layer."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.bench.timing import Progress, quartiles, take_turns
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.visualize.top import Top

BATCH = 32
INFERENCE, PROJECTIONS, TOP, ONE = "inference", "projections", "top activations", "deconvnet"


@dataclass(frozen=True)
class VisualizeCost:
    """Median seconds of the search for top activations, of its two parts, and of the deconvnet.

    Attributes:
        seconds: Median seconds by name. "inference" runs the net on all images. "projections"
            projects as many activations as the search finds. "top activations" is the whole
            search. "deconvnet" is the deconvnet of one image.
        ratio: Time of the search, divided by that of inference plus projections; median over the
            rounds.
        lower_quartile: Lower quartile of the ratio over the rounds.
        upper_quartile: Upper quartile of the ratio over the rounds.
        images: Number of images.
        activations: Number of projected activations.
    """

    seconds: dict[str, float]
    ratio: float
    lower_quartile: float
    upper_quartile: float
    images: int
    activations: int


def measure(
    name: str, layer: str, images: int, rounds: int, progress: Progress = lambda what, share: None
) -> VisualizeCost:
    """Time the search for top activations, each of its two parts, and the deconvnet on one image.

    Args:
        name: Name of the net.
        layer: Name of the layer whose top activations are found.
        images: Number of images.
        rounds: Number of timed rounds, at least 2.
        progress: Callback that gets the current activity as text and the completed fraction.
    """
    model = build(name)
    top = Top(model, layer)
    times = take_turns(_functions(model, top, images), rounds, progress)
    both = zip(times[TOP], times[INFERENCE], times[PROJECTIONS])
    lower, median, upper = quartiles(found / (plain + added) for found, plain, added in both)
    seconds = {what: statistics.median(found) for what, found in times.items()}
    activations = len(top.maps) * min(top.count, images)
    return VisualizeCost(seconds, median, lower, upper, images, activations)


def _functions(model: keras.Model, top: Top, images: int) -> dict[str, Callable[[], object]]:
    """Return {name: function to time}. All of the functions use random images."""
    shape = model.input_shape[1:]
    pool = np.random.default_rng(0).normal(0, 50, (BATCH, *shape)).astype("float32")
    look = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)

    def batches() -> Iterator[np.ndarray]:
        for start in range(0, images, BATCH):
            yield pool[: images - start] * np.float32(1 + start / images)

    def infer() -> None:
        for batch in batches():
            tf.nest.map_structure(lambda x: x.numpy(), look(batch))

    wanted = np.repeat(top.maps, min(top.count, images))

    def project() -> None:
        for start in range(0, len(wanted), BATCH):
            some = wanted[start : start + BATCH]
            top.deconvnet(pool[: len(some)], some)

    return {
        INFERENCE: infer,
        PROJECTIONS: project,
        TOP: lambda: top(batches(), BATCH),
        ONE: lambda: top.deconvnet(pool[:1]),
    }
