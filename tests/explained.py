"""Small nets with preprocessing, for tests that compare their `explain` pages with Keras."""

import keras
import numpy as np

from keras_ilsvrc import build
from keras_ilsvrc.runs.inspection import Inspection

RANDOM = np.random.default_rng(0)


def preprocess(mode):
    return {"op": "preprocess", "mode": mode}


LENET_OPS = [{"op": "resize", "size": 28}, {"op": "pad", "size": 2}]
RESNET_OPS = [{"op": "resize_shorter", "size": 18}, {"op": "centre_crop", "size": 16}]
# Names of nets, build arguments, ops. Together they have all kinds of operations and ops.
NETS = {
    "lenet5": ({}, [*LENET_OPS, {"op": "normalise", "mean": [20.0], "std": [200.0]}]),
    "resnet_cifar": (
        {"depth": 8, "input_shape": (16, 16, 3), "classes": 5},
        [*RESNET_OPS, preprocess("caffe")],
    ),
    "resnet_cifar[order=full_preact,shortcut=exclusive_gating]": (
        {"depth": 8, "input_shape": (8, 8, 3), "classes": 5},
        [{"op": "resize", "size": 8, "antialias": False}, {"op": "global_contrast", "scale": 9.0}],
    ),
    "googlenet": (
        {"width": 0.1, "input_shape": (33, 33, 3), "classes": 5},
        [{"op": "resize", "size": 33}, {"op": "subtract_pixel_mean"}],
    ),
    "alexnet": (
        {"width": 0.0625, "input_shape": (67, 67, 3), "classes": 5},
        [{"op": "resize", "size": 67}, {"op": "standardise"}],
    ),
}


def net_of(name):
    """A net with random weights."""
    arguments, _ = NETS[name]
    net = build(name, **arguments)
    for weight in net.weights:
        if weight.path.endswith(("beta", "bias", "moving_mean")):
            weight.assign(RANDOM.normal(0, 0.1, weight.shape))
        elif weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(RANDOM.uniform(0.5, 1.5, weight.shape))
    return net


def spread(net, images):
    """Change the last layer of a net so that its answers to the images differ."""
    layer = net.layers[-2]  # before the softmax
    if not hasattr(layer, "kernel"):  # the codes of LeNet-5
        return
    found = keras.Model(net.inputs[0], layer.output)(images).numpy()
    scale = 2 / found.std(axis=0).mean()
    layer.bias.assign((layer.bias - found.mean(axis=0)) * scale)
    layer.kernel.assign(layer.kernel * scale)


def view_of(net, rows):
    """A net with its ops, without images."""
    channels = net.inputs[0].shape[-1]
    shape = net.inputs[0].shape[1:]
    statistics = {
        "channel_mean": np.array([120.0, 110, 100][:channels], "float32"),
        "channel_std": np.array([50.0, 60, 70][:channels], "float32"),
        "pixel_mean": RANDOM.uniform(90, 130, shape).astype("float32"),
    }
    names = [f"class {number}" for number in range(net.outputs[0].shape[-1])]
    return Inspection(net, rows, statistics, None, names, False, 8, {})


def photographs(channels, count=10):
    """Images of different sizes, smooth and noisy."""
    made = []
    for number in range(count):
        height, width = 20 + 5 * number, 71 - 4 * number
        rows, columns = np.mgrid[:height, :width] / 9
        phases = RANDOM.uniform(0, 6, channels)
        waves = np.sin(rows * RANDOM.normal() + columns * RANDOM.normal())[..., None] + phases
        noise = RANDOM.normal(0, 25, (height, width, channels))
        made.append((128 + 110 * np.sin(waves) + noise).clip(0, 255).astype("uint8"))
    return made
