"""Benchmark of whole networks against the same networks of another package."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf

from keras_ilsvrc.accounting import account
from keras_ilsvrc.bench.peers import PEERS
from keras_ilsvrc.bench.steps import Work, keras_step, torchvision_step
from keras_ilsvrc.bench.timing import ENOUGH, UNCOUNTED, take_turns
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.training.strategy import threads


@dataclass(frozen=True)
class Speed:
    """Speed of one model.

    GFLOP/s counts a multiply-add as two operations, and a training step as three forward passes.
    """

    net: str
    form: str
    seconds: float
    images_per_second: float
    gflops: float | None


@dataclass(frozen=True)
class SpeedRatio:
    """Ratio of our images/s to the other package's: median, quartiles and extremes of rounds."""

    median: float
    lower_quartile: float
    upper_quartile: float
    least: float
    most: float


@dataclass(frozen=True)
class Comparison:
    """Speeds of both nets, their ratio, and the settings of the benchmark."""

    ours: Speed
    peer: Speed | None
    ratio: SpeedRatio | None
    work: str
    batch: int
    steps: int
    dtype: str
    device: str
    jit: bool


def measure(
    name: str,
    against: str | None = None,
    inference: bool = False,
    steps: int = ENOUGH,
    batch: int = 8,
    jit: bool | None = None,
    progress: Callable[[str, float], None] = lambda what, share: None,
) -> Comparison:
    """Time steps of a net on random images: forward, backward and an SGD update.

    Args:
        name: Name of the net.
        against: Package of `PEERS` whose version of the net is timed too, in turn.
        inference: Whether to time only the forward pass, in inference mode.
        steps: Number of timed steps of each net.
        batch: Images per step.
        jit: Whether XLA compiles the steps of TensorFlow; if None, only on a GPU.
        progress: Function called with the current step and the share of the timing done.
    """
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus if against == "torchvision" else ():  # else it takes all memory from torch
        tf.config.experimental.set_memory_growth(gpu, True)
    jit = bool(gpus) if jit is None else jit
    form = "XLA" if jit else "graph"

    progress(f"building {name}", 0)
    model = build(name)
    macs = account(model).macs
    nets = [(f"keras_ilsvrc {name}", form, macs)]
    works: list[Work] = [keras_step(model, batch, inference, jit)]
    if against:
        title = PEERS[against][name]
        progress(f"building {title} of {against}", 0)
        if against == "keras":
            other = getattr(keras.applications, title)(weights=None)
            works.append(keras_step(other, batch, inference, jit))
            macs = account(other).macs
        else:
            form, work = torchvision_step(title, model.input_shape[1:], batch, inference)
            works.append(work)
        nets.append((f"{against} {title}", form, macs))

    def show_round(net: str, number: int) -> None:
        what = "timing" if number else "first step of"
        progress(f"{what} {net}", number / (steps + UNCOUNTED))

    times = take_turns({net: work for (net, _, _), work in zip(nets, works)}, steps, show_round)
    speeds = [_speed(*net, times[net[0]], batch, 1 if inference else 3) for net in nets]
    return Comparison(
        ours=speeds[0],
        peer=speeds[1] if against else None,
        ratio=_ratio(*times.values()) if against else None,
        work="inference" if inference else "training",
        batch=batch,
        steps=steps,
        dtype=model.compute_dtype,
        device="GPU" if gpus else f"CPU, {threads()} threads",
        jit=jit,
    )


def _speed(
    net: str, form: str, macs: int | None, times: list[float], batch: int, passes: int
) -> Speed:
    seconds = statistics.median(times)
    rate = batch / seconds
    return Speed(net, form, seconds, rate, macs and 2e-9 * macs * passes * rate)


def _ratio(ours: list[float], peers: list[float]) -> SpeedRatio:
    """Compute the ratio of speeds, which is the inverse ratio of times."""
    ratios = [peer / own for own, peer in zip(ours, peers)]
    lower, median, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    return SpeedRatio(median, lower, upper, min(ratios), max(ratios))
