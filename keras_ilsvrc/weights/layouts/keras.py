"""Layouts of the nets of keras.applications in legacy .h5 files, in ONNX files and in memory.

`keras_onnx_vgg` is the layout of ONNX files that tf2onnx converted from a VGG net of
keras.applications. Such a file does not say whether its first filters take BGR or RGB, so the order
of their channels is not changed. Weights in memory are a dictionary {path of a weight: weight}.
"""

from typing import Any

from keras_ilsvrc.weights.layouts.layout import BGR, Layout
from keras_ilsvrc.weights.names import Rules

TENSORS: Rules = {
    r"(?:.+/)?([^/]+)/(kernel|bias|gamma|beta|moving_mean|moving_variance)(?::0)?": r"\1/\2",
    # names in the files of VGG nets of 2016
    r"(?:.+/)?([^/]+)_W(?:_1)?:0": r"\1/kernel",
    r"(?:.+/)?([^/]+)_b(?:_1)?:0": r"\1/bias",
}
VGG: Rules = {
    r"block(\d)_conv(\d)": r"conv\1_\2",
    "fc1": "fc6",
    "fc2": "fc7",
    "predictions": "fc8",
}
# Names in Keras 3 files of a VGG net whose stages are nested blocks of layers.
BLOCKS: Rules = {r"(.+)/vars/0": r"\1/kernel", r"(.+)/vars/1": r"\1/bias"}
VGG_BLOCKS: Rules = {
    r"block(\d)/layers/conv2d": r"conv\1_1",
    r"block(\d)/layers/conv2d_1": r"conv\1_2",
    r"block(\d)/layers/conv2d_2": r"conv\1_3",
}
RESNET: Rules = {
    "conv1_conv": "conv1",
    "conv1_bn": "conv1_bn",
    r"conv(\d)_block(\d+)_0_(conv|bn)": r"conv\1_\2/\3_shortcut",
    r"conv(\d)_block(\d+)_(\d)_(conv|bn)": r"conv\1_\2/\4_\3",
    "predictions": "logits",
}
# In Keras' ResNet*V2, a normalisation has the number of the convolution before it. In our nets, it
# has the number of the convolution after it.
RESNET_V2: Rules = {
    r"conv(\d)_block(\d+)_preact_bn": r"conv\1_\2/bn_1",
    r"conv(\d)_block(\d+)_1_bn": r"conv\1_\2/bn_2",
    r"conv(\d)_block(\d+)_2_bn": r"conv\1_\2/bn_3",
    "post_bn": "last_bn",
    **RESNET,
}
# Keras numbers the layers of its InceptionV3 in the order of their creation. The tables below list
# our names for these layers in that order.
STEM = "conv1a conv2a conv2b conv3b conv4a"
FIGURE_5 = "1x1 5x5_reduce 5x5 double_3x3_reduce double_3x3_1 double_3x3_2 pool_proj"
FIGURE_6 = (
    "1x1 7x7_reduce 1x7 7x1 double_7x7_reduce double_7x1_1 double_1x7_1 double_7x1_2 double_1x7_2 "
    "pool_proj"
)
FIGURE_7 = (
    "1x1 3x3_reduce 3x3_1x3 3x3_3x1 double_3x3_reduce double_3x3 double_3x3_1x3 double_3x3_3x1 "
    "pool_proj"
)
INCEPTION_V3 = {
    **dict.fromkeys(("5b", "5c", "5d"), FIGURE_5),
    "6a": "3x3 double_3x3_reduce double_3x3_1 double_3x3_2",
    **dict.fromkeys(("6b", "6c", "6d", "6e"), FIGURE_6),
    "7a": "3x3_reduce 3x3 7x7x3_reduce 7x7x3_1x7 7x7x3_7x1 7x7x3_3x3",
    **dict.fromkeys(("7b", "7c"), FIGURE_7),
}
CONVOLUTIONS = (
    *STEM.split(),
    *(f"mixed_{module}_{name}" for module, row in INCEPTION_V3.items() for name in row.split()),
)

# tf2onnx names tensors after operations. A layer name may end with a counter, as in `fc1_1`. The
# tensors `mul` and `sub` of batch normalisation are computed from its weights.
ONNX_TENSORS: Rules = {
    r"(?:.+/)?(\w+)/(?:convolution|Conv2D|Cast|MatMul)/ReadVariableOp(?::0)?": r"\1/kernel",
    r"(?:.+/)?(\w+)/(?:Squeeze|BiasAdd/ReadVariableOp)(?::0)?": r"\1/bias",
    r"(?:.+/)?(\w+)/batchnorm/(mul|sub)(?::0)?": r"\1/\2",
}
ONNX_VGG: Rules = {
    **{rf"{theirs}(?:_\d+)?": ours for theirs, ours in VGG.items()},
    # Rename dense layers of other classifiers, so that they are ignored like auxiliary classifiers.
    r"((?!block\d|fc\d|predictions|\w*conv)\w+)": r"aux_\1",
}

KERAS: dict[str, Any] = {"tensors": TENSORS, "channels_first": False}
LAYOUTS = {
    "keras_vgg": Layout(layers=VGG, orders=BGR, **KERAS),
    "keras_onnx_vgg": Layout(ONNX_TENSORS, ONNX_VGG, ignored=r".*__\d+", matrices_first=False),
    # The ignored tensors belong to layers that compute edge maps from the maps of each stage.
    "keras_hed": Layout(
        BLOCKS, VGG_BLOCKS, ignored=r"(dsn\d|fuse)/.+", channels_first=False, orders=BGR
    ),
    "keras_resnet": Layout(layers=RESNET, orders=BGR, **KERAS),
    "keras_resnet_v2": Layout(layers=RESNET_V2, **KERAS),
    "keras_inception_v3": Layout(
        layers={"predictions": "logits"},
        chains={
            r"conv2d(_\d+)?": CONVOLUTIONS,
            r"batch_normalization(_\d+)?": tuple(f"{name}_bn" for name in CONVOLUTIONS),
        },
        gammas=False,
        **KERAS,
    ),
}
