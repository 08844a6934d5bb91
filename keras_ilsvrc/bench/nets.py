"""Benchmark of whole networks against the same networks in another package."""

import statistics
from dataclasses import dataclass
from typing import NamedTuple

import keras
import tensorflow as tf

from keras_ilsvrc.accounting import account
from keras_ilsvrc.bench.peers import PEERS
from keras_ilsvrc.bench.steps import Work, keras_step, torchvision_step
from keras_ilsvrc.bench.timing import ENOUGH, Progress, quartiles, take_turns
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.training.strategy import threads


@dataclass(frozen=True)
class Speed:
    """Speed of one model: seconds per step, images/s and GFLOP/s.

    GFLOP/s counts a multiply-add as two operations, and a training step as three forward passes.
    """

    net: str
    form: str
    seconds: float
    images_per_second: float
    gflops: float | None


@dataclass(frozen=True)
class SpeedRatio:
    """Ratio of our net's images/s to those of another package's net, over all timed steps."""

    median: float
    lower_quartile: float
    upper_quartile: float
    least: float
    most: float


@dataclass(frozen=True)
class Comparison:
    """Result of a network benchmark: speeds of our net and another package's net, and settings."""

    ours: Speed
    peer: Speed | None
    ratio: SpeedRatio | None
    work: str
    batch: int
    steps: int
    dtype: str
    device: str
    jit: bool


class TimedNet(NamedTuple):
    """Network to be timed. `work` runs one step of it in the mode `form`, for example "XLA"."""

    name: str
    form: str
    macs: int | None
    work: Work


def measure(
    name: str,
    against: str | None = None,
    inference: bool = False,
    steps: int = ENOUGH,
    batch: int = 8,
    jit: bool | None = None,
    progress: Progress = lambda what, share: None,
) -> Comparison:
    """Time training steps (forward, backward, SGD update) or forward passes on random images.

    Args:
        name: Name of the net.
        against: Package in `PEERS`; its version of the net is timed alternately with ours.
        inference: Whether to time only the forward pass, in inference mode.
        steps: Number of timed steps of each net.
        batch: Number of images per step.
        jit: Whether to compile TensorFlow's steps with XLA; None means only on a GPU.
        progress: Callback that gets the current activity as text and the completed fraction.
    """
    gpus = tf.config.list_physical_devices("GPU")
    # By default, TensorFlow reserves all GPU memory, so torch would have none.
    for gpu in gpus if against == "torchvision" else ():
        tf.config.experimental.set_memory_growth(gpu, True)
    jit = bool(gpus) if jit is None else jit
    progress(f"building {name}", 0)
    model = build(name)
    nets = [_keras_net(f"keras_ilsvrc {name}", model, batch, inference, jit)]
    if against:
        title = PEERS[against][name]
        progress(f"building {title} of {against}", 0)
        nets.append(_peer(against, title, model, batch, inference, jit))
    times = take_turns({net.name: net.work for net in nets}, steps, progress)
    ours, *peers = [_speed(net, times[net.name], batch, 1 if inference else 3) for net in nets]
    peer, ratio = (peers[0], _ratio(*times.values())) if peers else (None, None)
    work = "inference" if inference else "training"
    device = "GPU" if gpus else f"CPU, {threads()} threads"
    return Comparison(ours, peer, ratio, work, batch, steps, model.compute_dtype, device, jit)


def _keras_net(name: str, model: keras.Model, batch: int, inference: bool, jit: bool) -> TimedNet:
    work = keras_step(model, batch, inference, jit)
    return TimedNet(name, "XLA" if jit else "graph", account(model).macs, work)


def _peer(
    package: str, title: str, ours: keras.Model, batch: int, inference: bool, jit: bool
) -> TimedNet:
    name = f"{package} {title}"
    if package == "keras":
        model = getattr(keras.applications, title)(weights=None)
        return _keras_net(name, model, batch, inference, jit)
    form, work = torchvision_step(title, ours.input_shape[1:], batch, inference)
    return TimedNet(name, form, account(ours).macs, work)


def _speed(net: TimedNet, times: list[float], batch: int, passes: int) -> Speed:
    seconds = statistics.median(times)
    rate = batch / seconds
    gflops = net.macs and 2e-9 * net.macs * passes * rate
    return Speed(net.name, net.form, seconds, rate, gflops)


def _ratio(ours: list[float], peers: list[float]) -> SpeedRatio:
    """Return our net's speed divided by the other net's, given the seconds of every step."""
    ratios = [peer / own for own, peer in zip(ours, peers)]
    lower, median, upper = quartiles(ratios)
    return SpeedRatio(median, lower, upper, min(ratios), max(ratios))
