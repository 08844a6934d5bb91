"""Import of weights from pytorchcv models (pytorchcv 0.0.74), by the names in `state_dict`."""

import re
from collections.abc import Mapping
from typing import Any

import keras

from keras_ilsvrc.weights import arrays, names

# Names of layers in zfnet, zfnetb and nin_cifar10. Each of these nets is one chain of layers.
CHAIN = (r"features\.stage\d\.unit\d\.conv", r"output\.\w+(\.\w+)?")
# Our names of the modules in each stage of bninception. pytorchcv begins a new stage where the
# map size changes.
MODULES = {"1": ("3a", "3b"), "2": ("3c", "4a", "4b", "4c", "4d"), "3": ("4e", "5a", "5b")}
BRANCHES = {
    "1": "1x1",
    "2.conv1": "3x3_reduce",
    "2.conv2": "3x3",
    "3.conv1": "double_3x3_reduce",
    "3.conv2": "double_3x3_1",
    "3.conv3": "double_3x3_2",
    "4.conv": "pool_proj",
}
REDUCTIONS = ("3c", "4e")  # modules without the 1x1 branch


def inception(match: re.Match[str]) -> str:
    """Convert a regex match of a BN-Inception layer name in pytorchcv to our layer name."""
    stage, number, branch, rest, kind = match.groups()
    module = MODULES[stage][int(number) - 1]
    key = f"{int(branch) + (module in REDUCTIONS)}{rest}"
    return f"inception_{module}_{BRANCHES.get(key, key)}{'_bn' if kind == 'bn' else ''}"


def unit(match: re.Match[str]) -> str:
    """Convert a regex match of a layer name in a residual unit to our layer name."""
    stage, number, place, kind = match.groups()
    where = "shortcut" if place == "identity_conv" else place.removeprefix("body.conv")
    return f"conv{int(stage) + 1}_{number}/{kind or 'conv'}_{where}"  # stage 1 is our conv2


RULES: names.Rules = {
    r"features\.init_block\.conv1\.conv": "conv1",
    r"features\.init_block\.conv1\.bn": "conv1_bn",
    r"features\.init_block\.conv2\.conv1\.conv": "conv2_reduce",
    r"features\.init_block\.conv2\.conv1\.bn": "conv2_reduce_bn",
    r"features\.init_block\.conv2\.conv2\.conv": "conv2",
    r"features\.init_block\.conv2\.conv2\.bn": "conv2_bn",
    r"features\.stage(\d)\.unit(\d)\.branches\.branch(\d)(.*)\.(conv|bn)": inception,
    # layers of resnet* and preresnet*
    r"features\.init_block(\.conv)*": "conv1",
    r"features\.init_block(\.conv)?\.bn": "conv1_bn",
    r"features\.stage(\d)\.unit(\d+)\.(body\.conv\d|identity_conv)(?:\.(conv|bn))?": unit,
    r"features\.post_activ\.bn": "last_bn",
    "output": "logits",
}
# In our pre-activation nets, this normalisation follows conv1, before the two paths of the first
# unit split.
FIRST = {r"features\.stage1\.unit1\.body\.conv1\.bn": "conv1_bn"}


def copy(model: keras.Model, state: Mapping[str, Any]) -> None:
    """Copy the weights of a pytorchcv model into our model with the same weight shapes.

    The source can be `zfnet` for our `zfnet`, `zfnetb` for `zfnet_512`, `nin_cifar10` for
    `nin_cifar10`, `bninception` for `bn_inception`, `resnet*` for `resnet*`, `resnet*_cifar10` for
    `resnet*_cifar[shortcut=B]`, and `preresnet*_cifar10` for `resnet*_v2_cifar[shortcut=B]`. Some
    of these nets compute other outputs than ours; tests/weights/test_frameworks.py shows the
    differences. `preresnet*` for ImageNet is refused, as it has one more normalisation than ours.

    Args:
        model: Model built by this package, with the same number of classes.
        state: {name: values}: `{k: v.numpy() for k, v in source.state_dict().items()}`.

    Raises:
        InputError: If an array has no weight, a weight has no array, or their shapes differ.
    """
    named = arrays.from_torch(state)
    theirs = arrays.layers_of(named)
    if any(re.fullmatch(CHAIN[0], name) for name in theirs):
        rules = names.in_order(named, CHAIN, model)
    else:
        rules = {**FIRST, **RULES} if "features.post_activ.bn" in theirs else RULES
    ours = arrays.fold_biases(names.rename(named, rules), model)
    arrays.fill(model, arrays.reorder(ours, model))
