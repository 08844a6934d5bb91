"""Layouts of PyTorch's files: torchvision 0.29, timm 1.0, pytorchcv 0.0.74 and akamaster's nets.

timm's `resnetv2_50` matches none of our nets, because it has no normalisation after its first
convolution.
"""

import re

from keras_ilsvrc.weights.layouts.layout import Layout, Orders
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
    """Return our name for a layer in a residual unit, such as conv2_1/conv_1 for layer1.0.conv1."""
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

# {stage of bninception in pytorchcv: our modules}. A stage begins where the map size changes.
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


def pytorchcv_unit(match: re.Match[str]) -> str:
    """Convert a regex match of a layer name in a residual unit to our layer name."""
    stage, number, place, kind = match.groups()
    where = "shortcut" if place == "identity_conv" else place.removeprefix("body.conv")
    return f"conv{int(stage) + 1}_{number}/{kind or 'conv'}_{where}"  # stage 1 is our conv2


PYTORCHCV: Rules = {
    r"features\.init_block\.conv1\.conv": "conv1",
    r"features\.init_block\.conv1\.bn": "conv1_bn",
    r"features\.init_block\.conv2\.conv1\.conv": "conv2_reduce",
    r"features\.init_block\.conv2\.conv1\.bn": "conv2_reduce_bn",
    r"features\.init_block\.conv2\.conv2\.conv": "conv2",
    r"features\.init_block\.conv2\.conv2\.bn": "conv2_bn",
    r"features\.stage([123])\.unit(\d)\.branches\.branch(\d)(.*)\.(conv|bn)": inception,
    # layers of resnet* and preresnet*
    r"features\.init_block(\.conv)*": "conv1",
    r"features\.init_block(\.conv)?\.bn": "conv1_bn",
    r"features\.stage(\d)\.unit(\d+)\.(body\.conv\d|identity_conv)(?:\.(conv|bn))?": pytorchcv_unit,
    "output": "logits",
}
PREACT: Rules = {
    # In our pre-activation nets, this normalisation follows conv1, before the two paths of the
    # first unit split.
    r"features\.stage1\.unit1\.body\.conv1\.bn": "conv1_bn",
    r"features\.post_activ\.bn": "last_bn",
    **PYTORCHCV,
}


def from_middle(maps: int) -> list[int]:
    """Return the permutation that moves the middle half of the maps before the two outer quarters.

    Shortcuts of option A pass the maps of the previous stage on to half of the maps of a stage. In
    akamaster's nets, a quarter of new maps comes before these, and a quarter after them. In ours,
    all new maps come after them.
    """
    quarter = maps // 4
    return [*range(quarter, maps - quarter), *range(quarter), *range(maps - quarter, maps)]


def from_middle_twice(maps: int) -> list[int]:
    """Return the permutation for stage 3: `from_middle`, and again within the middle half."""
    middle = from_middle(maps)
    return [middle[number] for number in from_middle(maps // 2)] + middle[maps // 2 :]


OPTION_A: Orders = {
    r"conv3_\d+/conv_2/kernel": (3, from_middle),
    r"conv3_\d+/bn_2/\w+": (0, from_middle),
    r"(conv3_(?!1/)\d+|conv4_1)/conv_1/kernel": (2, from_middle),
    r"conv4_\d+/conv_2/kernel": (3, from_middle_twice),
    r"conv4_\d+/bn_2/\w+": (0, from_middle_twice),
    r"conv4_(?!1/)\d+/conv_1/kernel": (2, from_middle_twice),
    r"logits/kernel": (0, from_middle_twice),
}

LAYOUTS = {
    # The chains match the layers of alexnet, vgg*, zfnet* and nin_cifar10 by their order.
    "torchvision": Layout(
        TENSORS,
        TORCHVISION,
        chains={r"features\.\d+": (), r"classifier\.\d+": FULLY_CONNECTED},
    ),
    # In timm, only vgg* has names that differ from those in torchvision.
    "timm_vgg": Layout(
        TENSORS,
        chains={
            r"features\.\d+": (),
            r"pre_logits\.fc[12]": FULLY_CONNECTED[:2],
            r"head\.fc": FULLY_CONNECTED[2:],
        },
    ),
    "pytorchcv": Layout(
        TENSORS,
        PYTORCHCV,
        chains={
            r"features\.stage\d\.unit\d\.conv": (),
            r"output\.fc\d(\.fc)?": FULLY_CONNECTED,
            r"output\.final_conv\.conv": ("cccp6",),
        },
        biases_folded=True,
        classifier="logits|fc8|cccp6",
    ),
    "pytorchcv_preact": Layout(TENSORS, PREACT),
    "akamaster": Layout(TENSORS, {**RESNET, "linear": "logits"}, orders=OPTION_A),
}
