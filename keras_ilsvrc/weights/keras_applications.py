"""Import of weights from models of keras.applications (Keras 3), matched by `Variable.path`."""

import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_ilsvrc.weights import arrays, names

RULES: names.Rules = {
    # layers of VGG16 and VGG19
    r"block(\d)_conv(\d)": r"conv\1_\2",
    "fc1": "fc6",
    "fc2": "fc7",
    # layers of ResNet* and ResNet*V2
    "conv1_conv": "conv1",
    "conv1_bn": "conv1_bn",
    r"conv(\d)_block(\d+)_0_(conv|bn)": r"conv\1_\2/\3_shortcut",
    r"conv(\d)_block(\d+)_preact_bn": r"conv\1_\2/bn_1",
    r"conv(\d)_block(\d+)_(\d)_(conv|bn)": r"conv\1_\2/\4_\3",
    "post_bn": "last_bn",
    "predictions": "logits",
}
VGG = {**RULES, "predictions": "fc8"}
# In Keras' ResNet*V2, a normalisation has the number of the convolution before it. In our nets, it
# has the number of the convolution after it.
RESNET_V2 = {
    r"conv(\d)_block(\d+)_1_bn": r"conv\1_\2/bn_2",
    r"conv(\d)_block(\d+)_2_bn": r"conv\1_\2/bn_3",
    **RULES,
}
# Keras numbers the layers of its InceptionV3 in the order of their creation. These are our names
# for them, in that order.
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


def inception_v3(theirs: list[str]) -> names.Rules:
    """Return rules that translate Keras' numbered layer names, such as `conv2d_1`, into ours."""
    ours = STEM.split() + [
        f"mixed_{module}_{name}" for module, row in INCEPTION_V3.items() for name in row.split()
    ]
    rules: dict[str, str] = {}
    for kind, end in (("conv2d", ""), ("batch_normalization", "_bn")):
        numbered = [name for name in theirs if re.fullmatch(rf"{kind}(_\d+)?", name)]
        numbered.sort(key=lambda name: int(name.removeprefix(kind).removeprefix("_") or 0))
        rules.update(zip(numbered, (name + end for name in ours)))
    return {**RULES, **rules}


def copy(model: keras.Model, weights: Mapping[str, Any]) -> None:
    """Copy the weights of a keras.applications model into our model of the same architecture.

    The source can be `VGG16` or `VGG19` for our `vgg16` or `vgg19`, `ResNet50`, `ResNet101` or
    `ResNet152` for our `resnet*_keras`, `ResNet50V2` for `resnet50_v2_keras`, and `InceptionV3`
    for `inception_v3`. Batch normalisation has no gammas in `InceptionV3`; those of our model are
    set to 1.

    Args:
        model: Model built by this package, with the same number of classes.
        weights: {path: values} of the source: `{w.path: w.numpy() for w in source.weights}`.

    Raises:
        InputError: If an array has no weight, a weight has no array, or their shapes differ.
    """
    named = arrays.from_keras(weights)
    theirs = arrays.layers_of(named)
    rules = RULES
    if any(name.startswith("block1_conv") for name in theirs):
        rules = VGG
    elif any(name.endswith("_preact_bn") for name in theirs):
        rules = RESNET_V2
    elif any(name.startswith("batch_normalization") for name in theirs):
        rules = inception_v3(theirs)
    ours = names.rename(named, rules)
    if not any(path.endswith("/gamma") for path in ours):
        for path, beta in list(ours.items()):
            if path.endswith("/beta"):
                gamma = arrays.Array(path, np.ones_like(beta.values))
                ours[path.removesuffix("beta") + "gamma"] = gamma
    arrays.fill(model, ours)
