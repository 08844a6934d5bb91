"""Layouts of PyTorch's files: torchvision 0.29, timm 1.0, pytorchcv 0.0.74 and akamaster's nets.

timm's `resnetv2_50` has no net here: no normalisation follows its first convolution.
"""

import re

from keras_ilsvrc.weights.layouts.layout import Layout
from keras_ilsvrc.weights.names import Rules

TENSORS: Rules = {
    r"(.+)\.(weight|bias)": r"\1/\2",
    r"(.+)\.running_mean": r"\1/moving_mean",
    r"(.+)\.running_var": r"\1/moving_variance",
}
FULLY_CONNECTED = ("fc6", "fc7", "fc8")

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


RESNET: Rules = {
    "conv1": "conv1",
    "bn1": "conv1_bn",
    r"layer(\d)\.(\d+)\.(conv|bn|downsample)(\d|\.[01])": unit,
    "fc": "logits",
}
TORCHVISION: Rules = {
    **{
        rf"{theirs}\.{kind}": ours + end
        for theirs, ours in {**GOOGLENET, **INCEPTION_V3}.items()
        for kind, end in (("conv", ""), ("bn", "_bn"))
    },
    r"(aux\d)\.fc1": r"\1_fc",
    r"(aux\d)\.fc2": r"\1_logits",
    r"AuxLogits\.fc": "aux_logits",
    **RESNET,
}

LAYOUTS = {
    # The layers of alexnet and vgg* are numbered in their order.
    "torchvision": Layout(
        TENSORS,
        TORCHVISION,
        chains={r"features\.\d+": (), r"classifier\.\d+": FULLY_CONNECTED},
    ),
}
