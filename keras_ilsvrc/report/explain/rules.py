"""Rules that convert each kind of layer to a function call of the page's JavaScript."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from keras_ilsvrc.layers import (
    CeilAveragePooling2D,
    GroupedConv2D,
    LocalResponseNormalization,
    RadialBasis,
    Subsampling2D,
    TableConv2D,
    scaled_tanh,
)
from keras_ilsvrc.layers.graph import Call
from keras_ilsvrc.utils.errors import InputError

# Activations that the page computes, by their names in JavaScript.
ACTIVATIONS = {
    name: getattr(keras.activations, name)
    for name in ("linear", "relu", "relu6", "tanh", "sigmoid", "softmax", "elu", "softplus", "silu")
} | {"scaled_tanh": scaled_tanh}
# Layers that only change the shape; the page passes their input on.
COPIES = (layers.Flatten, layers.Reshape)


class Step(NamedTuple):
    """Call of a JavaScript function that computes one layer.

    Attributes:
        kind: Name of the function, a key of `KINDS` in `explain_net.js`.
        title: Short description of the layer for the reader of the page.
        settings: Numeric arguments.
        weights: Array arguments. If given, `scale` is multiplied with the result, and `bias` is
            added to it; both have one number per channel.
    """

    kind: str
    title: str
    settings: dict[str, Any]
    weights: dict[str, np.ndarray]


def refused(call: Call, what: str) -> InputError:
    """Return the InputError for a layer that a page cannot show."""
    return InputError(
        f"layer {call.name} {what}, which a page cannot show; export the run instead: "
        "keras-ilsvrc export RUN --format onnx"
    )


def step_of(call: Call) -> Step:
    """Return the function call that computes a layer, without its activation.

    Raises:
        InputError: If the page cannot compute the layer.
    """
    operation, name = call.operation, type(call.operation).__name__
    key = type(operation) if isinstance(operation, layers.Layer) else name
    if key not in RULES:
        raise refused(call, f"is a {name}")
    if getattr(operation, "data_format", None) == "channels_first":
        raise refused(call, "has data_format='channels_first'")
    return RULES[key](call)


def activation_of(call: Call) -> str:
    """Return the name of a layer's activation in JavaScript.

    Raises:
        InputError: If the page cannot compute the activation.
    """
    own = getattr(call.operation, "activation", None) or keras.activations.linear
    for name, function in ACTIVATIONS.items():
        if own is function:
            return name
    raise refused(call, f"has the activation {getattr(own, '__name__', type(own).__name__)}")


def _window(
    call: Call, size: Sequence[int], strides: Sequence[int], gaps: Sequence[int] = (1, 1)
) -> dict[str, Any]:
    """Return the settings of a sliding window; `before` is the padding at the top and the left."""
    before = [0, 0]
    if getattr(call.operation, "padding", "valid") == "same":
        shapes = call.inputs[0].shape[1:3], call.outputs[0].shape[1:3]
        before = [
            max((made - 1) * stride + (rows - 1) * gap + 1 - given, 0) // 2
            for given, made, rows, stride, gap in zip(*shapes, size, strides, gaps, strict=True)
        ]
    return {"window": size, "strides": strides, "dilation": gaps, "before": before}


def _words(size: Sequence[int], strides: Sequence[int]) -> str:
    return f"{size[0]}×{size[1]}" + (f", stride {strides[0]}" if max(strides) > 1 else "")


def _arrays(layer: Any) -> dict[str, np.ndarray]:
    return {"kernel": layer.kernel} | ({"bias": layer.bias} if layer.use_bias else {})


def _conv(call: Call) -> Step:
    layer = call.operation
    title = f"convolution {_words(layer.kernel_size, layer.strides)}"
    title += f", {layer.groups} groups" if layer.groups > 1 else ""
    settings = _window(call, layer.kernel_size, layer.strides, layer.dilation_rate)
    return Step("conv", title, settings | {"groups": layer.groups}, _arrays(layer))


def _table_conv(call: Call) -> Step:
    layer = call.operation
    size, strides = layer.window()
    kernel = np.tensordot(np.asarray(layer.kernel), layer.place, 1)
    title = f"convolution {_words(size, strides)}, each map from some input maps"
    settings = _window(call, size, strides) | {"groups": 1}
    return Step("conv", title, settings, {"kernel": kernel, "bias": layer.bias})


def _dense(call: Call) -> Step:
    return Step("dense", "fully connected", {}, _arrays(call.operation))


def _pool(kind: str) -> Callable[[Call], Step]:
    def rule(call: Call) -> Step:
        size, strides = call.operation.pool_size, call.operation.strides
        title = f"{kind} pool {_words(size, strides)}"
        return Step(kind, title, _window(call, size, strides), {})

    return rule


def _global_pool(kind: str) -> Callable[[Call], Step]:
    def rule(call: Call) -> Step:
        settings = _window(call, call.inputs[0].shape[1:3], (1, 1))
        return Step(kind, f"{kind} of each map", settings, {})

    return rule


def _subsampling(call: Call) -> Step:
    layer = call.operation
    weights = {"scale": 4 * np.asarray(layer.coefficient), "bias": layer.bias}
    settings = _window(call, *layer.window())
    return Step("average", "sum of 2×2, stride 2, times a weight", settings, weights)


def _zero_padding(call: Call) -> Step:
    (top, _), (left, _) = call.operation.padding
    return Step("pad", "zero padding", {"before": [top, left, 0]}, {})


def _pad(call: Call) -> Step:
    before = [first for first, _ in call.operation.pad_width[1:]]
    return Step("pad", "zero padding", {"before": before}, {})


def _slice(call: Call) -> Step:
    args, kwargs = call.arguments
    key = kwargs.get("key", args[-1])
    if (
        not isinstance(key, tuple)
        or len(key) != 4
        or any(not isinstance(one, slice) or (one.start, one.stop) != (None, None) for one in key)
    ):
        raise refused(call, "returns a part of its input")
    return Step("slice", "every few pixels", {"strides": [one.step or 1 for one in key[1:3]]}, {})


def _rescaling(call: Call) -> Step:
    layer, channels = call.operation, call.outputs[0].shape[-1]
    scale, bias = (np.broadcast_to(x, channels) for x in (layer.scale, layer.offset))
    return Step("same", "each map scaled and shifted", {}, {"scale": scale, "bias": bias})


def _activation(call: Call) -> Step:
    return Step("same", "", {}, {})


def _lrn(call: Call) -> Step:
    names = ("size", "k", "alpha", "beta", "groups")
    settings = {name: getattr(call.operation, name) for name in names}
    return Step("lrn", "local response normalisation", settings, {})


def _codes(call: Call) -> Step:
    return Step("codes", "distance to each code", {}, {"codes": call.operation.codes})


def _elementwise(kind: str, title: str) -> Callable[[Call], Step]:
    def rule(call: Call) -> Step:
        if len({tuple(x.shape) for x in [*call.inputs, *call.outputs]}) > 1:
            raise refused(call, "combines maps of different shapes")
        return Step(kind, title, {}, {})

    return rule


def _concatenate(call: Call) -> Step:
    if call.operation.axis not in (-1, len(call.outputs[0].shape) - 1):
        raise refused(call, f"concatenates along axis {call.operation.axis}")
    return Step("concatenate", "maps of all branches", {}, {})


# Functions from a call to its step, by class of the layer or class name of a `keras.ops` operation
RULES: dict[type | str, Callable[[Call], Step]] = {
    layers.Conv2D: _conv,
    GroupedConv2D: _conv,
    TableConv2D: _table_conv,
    layers.Dense: _dense,
    layers.MaxPooling2D: _pool("max"),
    layers.AveragePooling2D: _pool("average"),
    CeilAveragePooling2D: _pool("average"),
    layers.GlobalAveragePooling2D: _global_pool("average"),
    layers.GlobalMaxPooling2D: _global_pool("max"),
    Subsampling2D: _subsampling,
    layers.ZeroPadding2D: _zero_padding,
    "Pad": _pad,
    "GetItem": _slice,
    layers.Rescaling: _rescaling,
    layers.Activation: _activation,
    LocalResponseNormalization: _lrn,
    RadialBasis: _codes,
    layers.Add: _elementwise("add", "sum with the shortcut"),
    layers.Multiply: _elementwise("multiply", "product with a gate"),
    layers.Concatenate: _concatenate,
}
