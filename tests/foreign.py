"""Small weight file with the names of another framework, for tests of fine-tuning."""

import numpy as np
from safetensors.numpy import save_file

import keras_ilsvrc

NET = "nin_cifar10"


def write_nin(path, seed=0):
    """Write random weights of `NET` as pytorchcv names them, and return those of our model."""
    draw, values, tensors = np.random.default_rng(seed), {}, {}
    for number, weight in enumerate(keras_ilsvrc.build(NET).weights):
        one = draw.normal(0, 0.05, weight.shape).astype("float32")
        unit, word = number // 2, "weight" if one.ndim == 4 else "bias"
        layer = f"features.stage{unit // 3 + 1}.unit{unit % 3 + 1}.conv"
        layer = "output.final_conv.conv" if unit == 8 else layer
        axes = (3, 2, 0, 1) if one.ndim == 4 else None
        tensors[f"{layer}.{word}"] = np.ascontiguousarray(one.transpose(axes))
        values[weight.path] = one
    save_file(tensors, path)
    return values
