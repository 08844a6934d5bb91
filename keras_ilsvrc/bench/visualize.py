"""Looking inside against plain inference: the deconvnet, and top activations over many images."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from keras_ilsvrc.bench.timing import UNCOUNTED, take_turns
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.visualize.top import Top

BATCH = 32
INFERENCE, PROJECTIONS, TOP, ONE = "inference", "projections", "top activations", "deconvnet"


@dataclass(frozen=True)
class VisualizeCost:
    """Median seconds, and the ratio of one run.

    Attributes:
        seconds: By what was timed: the net over all images; the projections of as many
            activations as are found; both together as `top_activations`; the deconvnet of one
            image.
        ratio: Of top activations to inference and projections: the median and the quartiles.
        images: How many were looked at.
        activations: How many were projected.
    """

    seconds: dict[str, float]
    ratio: float
    lower_quartile: float
    upper_quartile: float
    images: int
    activations: int


def measure(
    name: str,
    layer: str,
    images: int,
    rounds: int,
    progress: Callable[[str, float], None] = lambda what, share: None,
) -> VisualizeCost:
    """Times them in turn on random images.

    Args:
        name: Of the net.
        layer: Whose activations are looked at.
        images: How many.
        rounds: How many are counted; at least 2.
        progress: Called with the current step, and the share of the timing that is done.
    """
    model = build(name)
    top = Top(model, layer)
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

    functions: dict[str, Callable[[], object]] = {
        INFERENCE: infer,
        PROJECTIONS: project,
        TOP: lambda: top(batches(), BATCH),
        ONE: lambda: top.deconvnet(pool[:1]),
    }

    def show_round(what: str, number: int) -> None:
        progress(f"timing {what}", number / (rounds + UNCOUNTED))

    times = take_turns(functions, rounds, show_round)
    both = zip(times[TOP], times[INFERENCE], times[PROJECTIONS])
    ratios = [found / (plain + projected) for found, plain, projected in both]
    lower, median, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    seconds = {what: statistics.median(found) for what, found in times.items()}
    return VisualizeCost(seconds, median, lower, upper, images, len(wanted))
