"""Folding of batch normalisation, rescaling and preprocessing into neighbouring layers."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from keras_ilsvrc.data.apply import NO_SEED, apply_ops
from keras_ilsvrc.data.preprocessing import Preprocessing
from keras_ilsvrc.layers import GroupedConv2D
from keras_ilsvrc.layers.graph import Call, leaf_calls, run_call, walk

PRODUCTS = (
    *(layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D),
    GroupedConv2D,
)
# Layers that return their input in inference mode.
IDENTITIES = (
    *(layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D),
    *(layers.AlphaDropout, layers.GaussianDropout, layers.GaussianNoise),
    *(layers.ActivityRegularization, layers.Identity),
)
# Preprocessing ops that only scale, shift and reorder channels, in the same way for every pixel.
BY_CHANNEL = ("normalise", "preprocess", "standardise", "subtract_channel_mean")


@dataclass
class Scaled:
    """Tensor whose channels are still to be reordered, scaled and shifted.

    Attributes:
        x: Keras tensor, channels last.
        scale: Factor of each channel of the result.
        shift: Number that is added to each channel of the result, after scaling.
        order: For each channel of the result, the number of the channel of `x`.
        layer: Layer that computes the result in the original model.
        name: Name of the layer that computes the result in the copied model.
    """

    x: Any
    scale: np.ndarray
    shift: np.ndarray
    order: np.ndarray
    layer: keras.Layer
    name: str

    def applied(self) -> Any:
        """Add a layer that scales the tensor, and return its output."""
        x, plain = self.x, np.arange(len(self.order))
        if (self.order != plain).any():
            x = ops.take(x, self.order.tolist(), axis=-1)
        values = self.scale.tolist(), self.shift.tolist()
        return layers.Rescaling(*values, dtype=self.layer.dtype_policy, name=self.name)(x)


class Product:
    """Convolution or dense layer that is not applied yet, so that its weights can still change.

    Attributes:
        call: Call of the layer in the original model.
        x: Input, a Keras tensor of the copied model or, before `take`, a `Scaled`.
        kernel: Kernel with everything that has been folded into it.
        bias: Bias with everything that has been folded into it; None if there is none.
        last: Whether the channels are the last axis.
        linear: Whether the layer has no activation, so that its output can be scaled.
    """

    def __init__(self, call: Call, x: Any):
        self.call, self.x, self.layer = call, x, call.operation
        self.kernel = np.asarray(self.layer.kernel)
        self.bias = np.asarray(self.layer.bias) if self.layer.use_bias else None
        self.last = getattr(self.layer, "data_format", "channels_last") == "channels_last"
        self.groups = getattr(self.layer, "groups", 1)
        self.linear = self.last and self.layer.activation is keras.activations.linear

    def scale(self, scale: np.ndarray, shift: np.ndarray) -> None:
        """Fold a scale and a shift for each output channel into kernel and bias."""
        self.kernel = self.kernel * scale
        self.bias = shift if self.bias is None else self.bias * scale + shift

    def take(self, found: Scaled) -> None:
        """Fold the scaling of the input into kernel and bias, or add a layer if it is not exact."""
        layer = self.layer
        # The zeros of padding are added after the shift, so such a shift cannot be folded.
        shifted = found.shift.any() and getattr(layer, "padding", "valid") != "valid"
        if (shifted and max(layer.kernel_size) > 1) or not self.last or self.groups > 1:
            self.x = found.applied()
            return
        kernel, self.kernel = self.kernel, np.zeros(self.kernel.shape)
        self.kernel[..., found.order, :] = kernel * found.scale[:, None]
        if found.shift.any():
            extra = found.shift @ kernel.sum(axis=tuple(range(kernel.ndim - 2)), dtype="float64")
            self.bias = extra if self.bias is None else self.bias + extra
        same = found.x.dtype == layer.compute_dtype
        self.x = found.x if same else ops.cast(found.x, layer.compute_dtype)

    def applied(self) -> Any:
        """Add a copy of the layer with the folded weights, and return its output."""
        weights = [self.kernel] if self.bias is None else [self.kernel, self.bias]
        config = self.layer.get_config()
        config |= {"name": _name(self.call), "use_bias": self.bias is not None}
        config |= {"kernel_initializer": "zeros", "bias_initializer": "zeros"}
        config["activation"] = self.layer.activation
        made = type(self.layer).from_config(config)
        y = made(self.x)
        made.set_weights(weights)
        return y


@dataclass
class Joined:
    """Concatenation of `Product` outputs that is not computed yet."""

    call: Call
    parts: list[Product]

    def scale(self, scale: np.ndarray, shift: np.ndarray) -> None:
        """Fold a scale and a shift for each channel into the weights of the products."""
        ends = np.cumsum([part.kernel.shape[-1] for part in self.parts])[:-1]
        for part, *own in zip(self.parts, np.split(scale, ends), np.split(shift, ends)):
            part.scale(*own)

    def applied(self) -> Any:
        """Add the products and the concatenation, and return the concatenated tensor."""
        return _copy(self.call, [part.applied() for part in self.parts])


Value = Any  # Keras tensor, or `Scaled`, `Product` or `Joined`


def folded(model: keras.Model) -> keras.Model:
    """Return a simplified copy, for inference, of a functional model with one input and output.

    Batch normalisation and rescaling are folded into the convolution or dense layer before them,
    even across a concatenation, or into the layer after them where this is exact. Otherwise, they
    become one multiplication and one addition. The channel means, scales and order of a
    `Preprocessing` layer are folded into the first layer. Dropout and identity layers are left out.
    The layers inside residual units and nested models become layers of the copy. A layer that Keras
    cannot copy is shared with the original model.
    """
    root = walk(model)
    calls = list(leaf_calls(root))
    uses = Counter(id(x) for call in calls for x in call.inputs)
    uses.update(map(id, root.outputs))
    image = root.inputs[0]
    copied = keras.Input(image.shape[1:], image.shape[0], image.dtype, name=image.name)
    values: dict[int, Value] = {id(image): copied}
    for call in calls:
        given = [values[id(x)] for x in call.inputs]
        made = next(filter(lambda x: x is not None, (rule(call, given) for rule in RULES)))
        for x, value in zip(call.outputs, keras.tree.flatten(made), strict=True):
            # Nothing can be folded into a value that is used more than once.
            values[id(x)] = value if uses[id(x)] == 1 else _applied(value)
    output = _applied(values[id(root.outputs[0])])
    with _recursion(10 * len(calls)):  # Keras visits the layers recursively
        return keras.Model(copied, output, name=model.name)


@contextmanager
def _recursion(more: int) -> Iterator[None]:
    """Raise Python's recursion limit by `more` calls within a `with` block."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + more)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _identity(call: Call, given: list[Value]) -> Value:
    """Return the input of a layer that does not change it, so that the layer is left out."""
    layer = call.operation
    linear = type(layer) is layers.Activation and layer.activation is keras.activations.linear
    same = [x.dtype for x in call.inputs] == [x.dtype for x in call.outputs]
    return given[0] if same and (linear or type(layer) in IDENTITIES) else None


def _product(call: Call, given: list[Value]) -> Value:
    """Return a `Product` for a convolution or dense layer, with its input's scaling folded in."""
    layer = call.operation
    if type(layer) not in PRODUCTS or getattr(layer, "quantization_mode", None):
        return None
    (x,) = given
    product = Product(call, x if isinstance(x, Scaled) else _applied(x))
    if isinstance(x, Scaled):
        product.take(x)
    return product


def _affine(call: Call, given: list[Value]) -> Value:
    """Fold batch normalisation or rescaling into the layer before it, or keep it for the next."""
    found = _scale_and_shift(call)
    if found is None:
        return None
    (value,), layer = given, call.operation
    scale, shift = found
    if isinstance(value, Scaled):
        return replace(value, scale=value.scale * scale, shift=value.shift * scale + shift)
    products = value.parts if isinstance(value, Joined) else [value]
    if all(isinstance(x, Product) and x.linear for x in products):
        value.scale(scale, shift)
        return value
    return Scaled(_applied(value), scale, shift, np.arange(len(scale)), layer, _name(call))


def _concatenation(call: Call, given: list[Value]) -> Value:
    """Return a `Joined` for a concatenation of channels, if all inputs are products."""
    axes = (-1, len(call.inputs[0].shape) - 1)
    joins = type(call.operation) is layers.Concatenate and call.operation.axis in axes
    if joins and all(isinstance(x, Product) and x.last for x in given):
        return Joined(call, given)
    return None


def _preprocessing(call: Call, given: list[Value]) -> Value:
    """Split off the last ops of a `Preprocessing` layer as a `Scaled`, if they scale channels."""
    layer = call.operation
    if type(layer) is not Preprocessing:
        return None
    count = len(layer.rows)
    while count and layer.rows[count - 1]["op"] in BY_CHANNEL:
        count -= 1
    rest, own = layer.rows[:count], layer.rows[count:]
    if not own:
        return None
    x = _applied(given[0])
    if rest:
        config = layer.get_config() | {"rows": rest, "name": _name(call)}
        x = Preprocessing.from_config(config)(x)
    # Apply the ops to a black pixel, and to pixels that are 255 in a single channel.
    channels = x.shape[-1]
    probes = np.concatenate([np.zeros((1, channels)), 255 * np.eye(channels)]).astype("float32")
    found = np.asarray(apply_ops(probes[None], own, NO_SEED, layer.statistics))[0].astype("float64")
    matrix = (found[1:] - found[0]) / 255
    order = abs(matrix).argmax(axis=0)
    scale = matrix[order, np.arange(channels)]
    return Scaled(x, scale, found[0], order, layer, f"{_name(call)}.scale")


def _unchanged(call: Call, given: list[Value]) -> Value:
    """Copy a layer without changes, and return its outputs."""
    return _copy(call, [_applied(x) for x in given])


# Rules that are tried in this order. A rule that does not apply to a layer returns None.
RULES = (_identity, _product, _affine, _concatenation, _preprocessing, _unchanged)


def _applied(value: Value) -> Any:
    """Add the layers that compute a value, and return it as a Keras tensor."""
    return value.applied() if isinstance(value, (Scaled, Product, Joined)) else value


def _copy(call: Call, inputs: list[Any]) -> Any:
    """Apply a copy of a layer, with the same weights, to other inputs; return its outputs."""
    layer = call.operation
    if isinstance(layer, keras.Layer):
        try:
            layer = type(layer).from_config(layer.get_config() | {"name": _name(call)})
        except (NotImplementedError, TypeError, ValueError):  # for example a lambda function
            layer = call.operation
    tensors = dict(zip(map(id, call.inputs), inputs, strict=True))
    run_call(call, tensors, layer)
    if layer is not call.operation:
        layer.set_weights(call.operation.get_weights())
    made = [tensors[id(x)] for x in call.outputs]
    return made[0] if len(made) == 1 else made


def _name(call: Call) -> str:
    """Return the name for the copy of a layer, which is unique in the copied model."""
    return call.name.replace("/", ".").replace("#", "-")


def _scale_and_shift(call: Call) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (scale, shift) per channel of batch normalisation or rescaling; None for others."""
    layer, shape = call.operation, call.inputs[0].shape if call.inputs else (None,)
    if type(layer) is layers.Rescaling and shape[-1] is not None:
        found = [np.asarray(x, "float64") for x in (layer.scale, layer.offset)]
        if max(x.ndim for x in found) > 1:
            return None
        scale, shift = (np.broadcast_to(x, shape[-1]) for x in found)
        return scale, shift
    if not isinstance(layer, layers.BatchNormalization) or layer.axis not in (-1, len(shape) - 1):
        return None
    mean, variance = (np.asarray(x, "float64") for x in (layer.moving_mean, layer.moving_variance))
    scale = 1 / np.sqrt(variance + layer.epsilon)
    scale = scale * np.asarray(layer.gamma) if layer.scale else scale
    return scale, (np.asarray(layer.beta) if layer.center else 0) - mean * scale
