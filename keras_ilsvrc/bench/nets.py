"""Benchmark of whole networks against the same networks in another package."""

import statistics
from dataclasses import dataclass, replace
from typing import NamedTuple

import keras
import tensorflow as tf

from keras_ilsvrc.accounting import account
from keras_ilsvrc.bench.peers import OWN_FLOAT32, Case
from keras_ilsvrc.bench.steps import Work, keras_step, policy, torchvision_step
from keras_ilsvrc.bench.timing import Progress, quartiles, take_turns
from keras_ilsvrc.layers import LocalResponseNormalization, ResidualUnit
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.training.strategy import threads


@dataclass(frozen=True)
class Speed:
    """Speed of one model: seconds per step, images/s and GFLOP/s.

    GFLOP/s counts a multiply-add as two operations, and a training step as three forward passes.
    It is None if the multiply-adds of the model are unknown.
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


def measure(case: Case, progress: Progress = lambda what, share: None) -> Comparison:
    """Time training steps (forward, backward, SGD update) or forward passes on random images.

    Args:
        case: The net, the package to compare it with, and the settings.
        progress: Callback that gets the current activity as text and the completed fraction.

    Raises:
        InputError: If the machine does not support the number format.
    """
    gpus = tf.config.list_physical_devices("GPU")
    # By default, TensorFlow reserves all GPU memory, so torch would have none.
    for gpu in gpus if case.against == "torchvision" else ():
        tf.config.experimental.set_memory_growth(gpu, True)
    case = replace(case, jit=bool(gpus) if case.jit is None else case.jit)
    progress(f"building {case.net}", 0)
    with policy(case.dtype):
        model = build(case.net)
    nets = [_keras_net(f"keras_ilsvrc {case.net}", model, case)]
    if case.against:
        progress(f"building {case.title} of {case.against}", 0)
        nets.append(_peer(case, model))
    times = take_turns({net.name: net.work for net in nets}, case.steps, progress)
    passes = 1 if case.inference else 3
    ours, *peers = [_speed(net, times[net.name], case.batch, passes) for net in nets]
    peer, ratio = (peers[0], _ratio(*times.values())) if peers else (None, None)
    device = "GPU" if gpus else f"CPU, {threads()} threads"
    setting = case.work, case.batch, case.steps, case.dtype, device, bool(case.jit)
    return Comparison(ours, peer, ratio, *setting)


def stock(model: keras.Model) -> keras.Model:
    """Return a copy of a net in which Keras' and TensorFlow's own layers replace ours."""

    def clone(layer: keras.Layer) -> keras.Layer:
        if isinstance(layer, ResidualUnit):
            inner = keras.models.clone_model(layer.body, clone_function=clone)
            return keras.Model(inner.inputs, inner.outputs, name=layer.name)
        config = layer.get_config()
        if isinstance(layer, LocalResponseNormalization) and layer.groups == 1:
            rule = (layer.size // 2, layer.k, layer.alpha, layer.beta)
            return keras.layers.Lambda(
                lambda x: tf.nn.local_response_normalization(x, *rule), name=layer.name
            )
        for kind in (keras.layers.Conv2D, keras.layers.BatchNormalization):
            if isinstance(layer, kind):
                return kind.from_config(config)
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=clone)


def _keras_net(name: str, model: keras.Model, case: Case) -> TimedNet:
    work = keras_step(model, case.batch, case.inference, bool(case.jit))
    return TimedNet(name, "XLA" if case.jit else "graph", account(model).macs, work)


def _peer(case: Case, ours: keras.Model) -> TimedNet:
    name = f"{case.against} {case.title}"
    if case.against == OWN_FLOAT32:
        return _keras_net(f"keras_ilsvrc {case.net}, float32", build(case.net), case)
    if case.against == "keras":
        with policy(case.dtype):
            made = getattr(keras.applications, case.title, None)
            return _keras_net(name, made(weights=None) if made else stock(ours), case)
    form, work = torchvision_step(case, ours.input_shape[1:])
    return TimedNet(name, form, account(ours).macs, work)


def _speed(net: TimedNet, times: list[float], batch: int, passes: int) -> Speed:
    seconds = statistics.median(times)
    rate = batch / seconds
    gflops = net.macs and 2e-9 * net.macs * passes * rate
    return Speed(net.name, net.form, seconds, rate, gflops)


def _ratio(ours: list[float], peers: list[float]) -> SpeedRatio:
    """Return our net's speed divided by the other net's, from the seconds of each step."""
    ratios = [peer / own for own, peer in zip(ours, peers)]
    lower, median, upper = quartiles(ratios)
    return SpeedRatio(median, lower, upper, min(ratios), max(ratios))
