"""Layouts of ONNX files that were converted from the nets of MXNet's Gluon.

Gluon numbers layers of the same kind in their order. In residual nets, the numbers start again in
each stage. The 1x1 convolutions of bottlenecks have biases, which are folded into batch
normalisation.
"""

import re
from functools import partial

from keras_ilsvrc.weights.layouts.layout import Layout
from keras_ilsvrc.weights.names import Rules


def unit(match: re.Match[str], convolutions: int) -> str:
    """Return our name for a layer in a residual unit, such as conv3_1/conv_2 for stage2_conv1.

    `convolutions` is the number of convolutions in a unit, 2 or 3. In the first unit of a stage,
    they are followed by the layer of the shortcut.
    """
    stage, number = int(match[1]), int(match[3])
    kind = {"batchnorm": "bn"}.get(match[2], "conv")
    projected = convolutions == 3 or stage > 1
    if projected and number == convolutions:
        return f"conv{stage + 1}_1/{kind}_shortcut"
    count, place = divmod(number - (projected and number > convolutions), convolutions)
    return f"conv{stage + 1}_{count + 1}/{kind}_{place + 1}"


RESNET_TENSORS: Rules = {
    r"resnetv\d+_(.+)_(weight|bias|gamma|beta)": r"\1/\2",
    r"resnetv\d+_(.+)_running_mean": r"\1/moving_mean",
    r"resnetv\d+_(.+)_running_var": r"\1/moving_variance",
}
VGG_TENSORS: Rules = {
    r"vgg\d+_(dense\d)_(weight|bias)": r"\1/\2",
    # These names sort the normalisation of a convolution directly after the convolution.
    r"vgg\d+_conv(\d+)_(weight|bias)": r"layer\1.0/\2",
    r"vgg\d+_batchnorm(\d+)_(gamma|beta)": r"layer\1.1/\2",
    r"vgg\d+_batchnorm(\d+)_running_mean": r"layer\1.1/moving_mean",
    r"vgg\d+_batchnorm(\d+)_running_var": r"layer\1.1/moving_variance",
}


def _resnet(convolutions: int) -> Layout:
    layers: Rules = {
        "conv0": "conv1",
        "batchnorm0": "conv1_bn",
        r"stage(\d)_(conv|batchnorm)(\d+)": partial(unit, convolutions=convolutions),
        "dense0": "logits",
    }
    return Layout(RESNET_TENSORS, layers, biases_folded=True)


LAYOUTS = {
    "gluon_vgg": Layout(
        VGG_TENSORS, chains={r"layer\d+\.[01]": (), r"dense\d": ("fc6", "fc7", "fc8")}
    ),
    "gluon_basic": _resnet(2),
    "gluon_bottleneck": _resnet(3),
}
