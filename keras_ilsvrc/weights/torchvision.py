"""Import of weights from torchvision models (torchvision 0.29), by the names in `state_dict`."""

import re
from collections.abc import Mapping
from typing import Any

import keras

from keras_ilsvrc.weights import arrays, names

# Names of layers in alexnet and vgg*. Each of these nets is one chain of layers.
CHAIN = (r"features\.\d+", r"classifier\.\d+")
# {module name in torchvision: our layer name}, for googlenet and inception_v3. Each module consists
# of a convolution without bias and a batch normalisation.
GOOGLENET = {
    "conv1": "conv1",
    "conv2": "conv2_reduce",
    "conv3": "conv2",
    r"inception(\d\w)\.branch1": r"inception_\1_1x1",
    r"inception(\d\w)\.branch2\.0": r"inception_\1_3x3_reduce",
    r"inception(\d\w)\.branch2\.1": r"inception_\1_3x3",
    r"inception(\d\w)\.branch3\.0": r"inception_\1_5x5_reduce",
    r"inception(\d\w)\.branch3\.1": r"inception_\1_5x5",
    r"inception(\d\w)\.branch4\.1": r"inception_\1_pool_proj",
    r"(aux\d)\.conv": r"\1_conv",
}
INCEPTION_V3_BRANCHES = {
    "1x1": "1x1",
    "5x5_1": "5x5_reduce",
    "5x5_2": "5x5",
    "3x3": "3x3",
    "3x3_1": "3x3_reduce",
    "3x3_2": "3x3",
    "3x3_2a": "3x3_1x3",
    "3x3_2b": "3x3_3x1",
    "3x3dbl_1": "double_3x3_reduce",
    "3x3dbl_2": "double_3x3_1",
    "3x3dbl_3": "double_3x3_2",
    "3x3dbl_3a": "double_3x3_1x3",
    "3x3dbl_3b": "double_3x3_3x1",
    "7x7_1": "7x7_reduce",
    "7x7_2": "1x7",
    "7x7_3": "7x1",
    "7x7dbl_1": "double_7x7_reduce",
    "7x7dbl_2": "double_7x1_1",
    "7x7dbl_3": "double_1x7_1",
    "7x7dbl_4": "double_7x1_2",
    "7x7dbl_5": "double_1x7_2",
    "7x7x3_1": "7x7x3_reduce",
    "7x7x3_2": "7x7x3_1x7",
    "7x7x3_3": "7x7x3_7x1",
    "7x7x3_4": "7x7x3_3x3",
    "_pool": "pool_proj",
}
INCEPTION_V3 = {
    r"Conv2d_(\d\w)_\dx\d": r"conv\1",
    r"Mixed_(7[bc])\.branch3x3dbl_2": r"mixed_\1_double_3x3",
    **{
        rf"Mixed_(\d\w)\.branch{theirs}": rf"mixed_\1_{ours}"
        for theirs, ours in INCEPTION_V3_BRANCHES.items()
    },
    r"AuxLogits\.conv0": "aux_conv1",
    r"AuxLogits\.conv1": "aux_conv2",
}


def unit(match: re.Match[str]) -> str:
    """Return our name for a layer in a residual unit: conv2_1/conv_1 for layer1.0.conv1."""
    stage, number, kind, place = match.groups()
    inside = {".0": "conv_shortcut", ".1": "bn_shortcut"}.get(place, f"{kind}_{place}")
    return f"conv{int(stage) + 1}_{int(number) + 1}/{inside}"


RULES: names.Rules = {
    **{
        rf"{theirs}\.{kind}": ours + end
        for theirs, ours in {**GOOGLENET, **INCEPTION_V3}.items()
        for kind, end in (("conv", ""), ("bn", "_bn"))
    },
    r"(aux\d)\.fc1": r"\1_fc",
    r"(aux\d)\.fc2": r"\1_logits",
    r"AuxLogits\.fc": "aux_logits",
    # layers of resnet*
    "conv1": "conv1",
    "bn1": "conv1_bn",
    r"layer(\d)\.(\d+)\.(conv|bn|downsample)(\d|\.[01])": unit,
    "fc": "logits",
}


def copy(model: keras.Model, state: Mapping[str, Any]) -> None:
    """Copy the weights of a torchvision model into our model of the same architecture.

    The source can be `alexnet` for our `alexnet_owt`, `vgg*` for `vgg*`, `vgg*_bn` for `vgg*_bn`,
    `googlenet` for `googlenet_bn`, `inception_v3` for `inception_v3_tv`, and `resnet*` for
    `resnet*_v1_5`.

    Args:
        model: Model built by this package, with the same number of classes; with `auxiliary=True`
            if the state contains auxiliary classifiers.
        state: {name: values}: `{k: v.numpy() for k, v in source.state_dict().items()}`.

    Raises:
        InputError: If an array has no weight, a weight has no array, or their shapes differ.
    """
    named = arrays.from_torch(state)
    chain = any(re.fullmatch(CHAIN[0], name) for name in arrays.layers_of(named))
    rules = names.in_order(named, CHAIN, model) if chain else RULES
    arrays.fill(model, arrays.reorder(names.rename(named, rules), model))
