"""Layouts of Caffe's files, and of ONNX files that were converted from Caffe2's nets.

Layers have the same names in Caffe2 as in Caffe. In Caffe, `bn*` layers contain sums of means, sums
of variances, and the factor by which to divide both; `scale*` layers contain gamma and beta.
"""

import re

from keras_ilsvrc.weights.layouts.layout import BGR, Layout
from keras_ilsvrc.weights.names import Rules

# The name of a tensor in Caffe's files is the layer name and the index of the blob.
CAFFE: Rules = {
    r"(bn\w+)/0": r"\1/moving_mean",
    r"(bn\w+)/1": r"\1/moving_variance",
    r"(bn\w+)/2": r"\1/factor",
    r"(scale\w+)/0": r"\1/gamma",
    r"(scale\w+)/1": r"\1/beta",
    r"(.+)/0": r"\1/kernel",
    r"(.+)/1": r"\1/bias",
}
CAFFE2: Rules = {
    r"(?:gpu_0/)?(.+_bn)_s_0": r"\1/gamma",
    r"(?:gpu_0/)?(.+_bn)_b_0": r"\1/beta",
    r"(?:gpu_0/)?(.+_bn)_rm_0": r"\1/moving_mean",
    r"(?:gpu_0/)?(.+_bn)_riv_0": r"\1/moving_variance",
    r"(?:gpu_0/)?(.+)_w_0": r"\1/kernel",
    r"(?:gpu_0/)?(.+)_b_0": r"\1/bias",
}


def unit(match: re.Match[str]) -> str:
    """Return our name for a layer in a residual unit, such as conv3_2/bn_1 for bn3b1_branch2a."""
    kind, stage, letter, number, branch, norm = match.groups()
    if letter == "_":  # Caffe2 numbers the units from 0
        unit = int(number) + 1
    else:  # Caffe calls the units a, b, c, ... or a, b1, b2, ...
        unit = int(number) + 1 if number else ord(letter) - ord("a") + 1
    place = "shortcut" if branch == "1" else str("abc".index(branch[1]) + 1)
    return f"conv{stage}_{unit}/{'conv' if kind == 'res' and not norm else 'bn'}_{place}"


LAYERS: Rules = {
    r"(conv\d(?:_\d)?|fc[678]|cccp\d)": r"\1",
    r"(conv4|cccp[78])-1024": r"\1",
    "fc-rcnn": "fc8",
    # auxiliary branch of the net 8conv3fc_CNDS
    "DSN_conv3": "aux_conv",
    r"fc([67])_DSN_conv3": r"aux_fc\1",
    "fc8_DSN_conv3": "aux_logits",
    # layers of GoogLeNet
    "conv1/7x7_s2": "conv1",
    "conv2/3x3_reduce": "conv2_reduce",
    "conv2/3x3": "conv2",
    r"inception_(\d\w)/(\w+)": r"inception_\1_\2",
    r"loss([12])/(conv|fc)": r"aux\1_\2",
    r"loss([12])/classifier": r"aux\1_logits",
    # layers of residual nets
    r"(bn|scale)_conv1|res_conv1_bn": "conv1_bn",
    r"(res|bn|scale)(\d)([a-z_])(\d*)_branch(1|2[abc])(_bn)?": unit,
    "loss3/classifier|fc1000|pred": "logits",
}

LAYOUTS = {
    "caffe": Layout(CAFFE, LAYERS, orders=BGR, biases_folded=True, classifier="logits|fc8|cccp8"),
    # This net was trained on RGB images, and its classifier is cccp6.
    "caffe_nin_cifar10": Layout(CAFFE, LAYERS, classifier="cccp6"),
    # The ignored tensors are shapes, not weights.
    "caffe2": Layout(CAFFE2, LAYERS, ignored=r"OC2_DUMMY_\d+", orders=BGR),
}
