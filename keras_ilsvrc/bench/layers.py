"""Benchmark of our layers against those of Keras and TensorFlow."""

import statistics
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_ilsvrc.bench.timing import take_turns
from keras_ilsvrc.layers import (
    BatchNormalization,
    GroupedConv2D,
    LocalResponseNormalization,
)

BATCH = 32
Layer = Callable[..., Any]


class LayerTimes(NamedTuple):
    """Median times of one of our layers and of the Keras or TensorFlow layer compared with it.

    `ratio` is our time divided by the other layer's; the goal is a ratio of at most `limit`.
    """

    ours: str
    peer: str
    milliseconds: float
    peer_milliseconds: float
    ratio: float
    limit: float


def measure(rounds: int) -> list[LayerTimes]:
    """Time our layers and the Keras or TensorFlow layers that do the same, at the papers' sizes."""
    with tf.device("/cpu:0"):
        return [row for case in _cases() for row in _compare(*case, rounds)]


def _cases() -> list[tuple[tuple[int, int, int], dict[str, Layer], dict[str, float]]]:
    """Return (input shape, {name: layer}, {name: limit of the ratio}) for each comparison.

    The first layer is ours. The limits are for the other layers, with which it is compared.
    """
    return [
        (
            (27, 27, 96),
            {
                "GroupedConv2D": GroupedConv2D(256, 5, padding="same", groups=2),
                "Conv2D(groups=2)": keras.layers.Conv2D(256, 5, padding="same", groups=2),
                "Conv2D": keras.layers.Conv2D(256, 5, padding="same"),
            },
            {"Conv2D(groups=2)": 0.16, "Conv2D": 0.58},
        ),
        (
            (55, 55, 96),
            {
                "LocalResponseNormalization": LocalResponseNormalization(),
                "tf.nn.local_response_normalization": lambda x: tf.nn.local_response_normalization(
                    x, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75
                ),
            },
            {"tf.nn.local_response_normalization": 0.4},
        ),
        (
            (56, 56, 256),
            {
                "BatchNormalization": _in_training(BatchNormalization),
                "Keras' BatchNormalization": _in_training(keras.layers.BatchNormalization),
            },
            {"Keras' BatchNormalization": 0.5},
        ),
    ]


def _in_training(kind: Any) -> Layer:
    """Return a layer of the given class that runs in training mode."""
    return partial(kind(), training=True)


def _compare(
    shape: tuple[int, int, int],
    layers: Mapping[str, Layer],
    limits: Mapping[str, float],
    rounds: int,
) -> list[LayerTimes]:
    x = tf.random.stateless_normal((BATCH, *shape), seed=(0, 0))
    functions = {name: _forward_backward(layer, x) for name, layer in layers.items()}
    times = take_turns(functions, rounds)
    ms = {name: 1000 * statistics.median(seconds) for name, seconds in times.items()}
    ours = next(iter(layers))
    return [
        LayerTimes(ours, peer, ms[ours], ms[peer], ms[ours] / ms[peer], limit)
        for peer, limit in limits.items()
    ]


def _forward_backward(layer: Layer, x: tf.Tensor) -> Callable[[], None]:
    """Return a function that runs the forward and backward pass of a layer as one graph."""
    layer(x)
    weights = [weight.value for weight in getattr(layer, "trainable_weights", [])]

    @tf.function(jit_compile=False)
    def step(x: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return tape.gradient(y, [x, *weights], output_gradients=y)

    def work() -> None:
        step(x)
        tf.test.experimental.sync_devices()

    return work
