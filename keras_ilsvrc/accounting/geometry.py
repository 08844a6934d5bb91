"""Computation of receptive fields in the input image, with one function for each kind of layer."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from keras import layers

from keras_ilsvrc.layers import LocalResponseNormalization
from keras_ilsvrc.layers.graph import Call


class Span(NamedTuple):
    """Receptive fields of units along one axis, in pixels of the input image.

    Unit i sees `field` pixels, of which `start + i * stride` is the first. Pixels are numbered from
    0. Pixels with negative numbers, or beyond the image, are padding. With stride 0, all units have
    the same receptive field.
    """

    start: int
    field: int
    stride: int

    def slide(self, kernel: int, stride: int = 1, before: int = 0) -> "Span":
        """Return the `Span` of the outputs of a convolution or pool over units with this `Span`.

        Args:
            kernel: Size of the kernel in units.
            stride: Stride of the kernel in units.
            before: Number of padding units before the first unit.
        """
        return Span(
            self.start - before * self.stride,
            self.field + (kernel - 1) * self.stride,
            self.stride * stride,
        )

    def whole(self, units: int) -> "Span":
        """Return the `Span` of outputs that all see the first `units` units of this `Span`."""
        return Span(self.start, self.field + (units - 1) * self.stride, 0)


Window = tuple[Span, ...]  # one Span for each axis of the image; empty if the input is no image
Rule = Callable[[Call, list[Window]], Window | None]


def pixels(image: Any) -> Window:
    """Return the receptive fields of the pixels of an input image, which see only themselves."""
    return (Span(0, 1, 1),) * len(image.shape[1:-1])


def window(call: Call, windows: Sequence[Window | None]) -> Window | None:
    """Return the receptive fields of a layer's outputs, or None if they cannot be computed."""
    rule = _rule(call.operation)
    known = [spans for spans in windows if spans is not None]
    if rule is None or not known or len(known) < len(windows):
        return None
    if len(known) == 1 and not any(span.stride for span in known[0]):
        return known[0]  # all input units see the same pixels, so all output units see them too
    for x, spans in zip(call.inputs, known):
        if any(span.stride for span in spans) and len(x.shape) != len(spans) + 2:
            return None  # the tensor does not have the axes of an image
    return rule(call, known)


def _units(x: Any, spans: Window) -> tuple[int, ...]:
    """Return the number of units along each axis of an image, or 1 for each axis of a vector."""
    sizes = x.shape[1:-1]
    return sizes if len(sizes) == len(spans) else (1,) * len(spans)


def _sliding(call: Call, windows: list[Window]) -> Window:
    layer, spans = call.operation, windows[0]

    def each(value: Any) -> Any:
        return (value,) * len(spans) if isinstance(value, int) else value

    kernel = each(getattr(layer, "pool_size", None) or layer.kernel_size)
    strides = each(layer.strides or kernel)
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, each(getattr(layer, "dilation_rate", 1)))]
    before = map(PADDING[layer.padding], _units(call.inputs[0], spans), extents, strides)
    return tuple(map(Span.slide, spans, extents, strides, before))


# Number of padding zeros before the first unit. If "same" padding needs an odd number of zeros, the
# extra zero is at the end, as in TensorFlow.
PADDING: dict[str, Callable[[int, int, int], int]] = {
    "valid": lambda size, extent, stride: 0,
    "same": lambda size, extent, stride: max(extent - ((size - 1) % stride + 1), 0) // 2,
    "causal": lambda size, extent, stride: extent - 1,
}


def _own_window(call: Call, windows: list[Window]) -> Window:
    kernel, strides = call.operation.window()
    return tuple(map(Span.slide, windows[0], kernel, strides))


def _zero_padding(call: Call, windows: list[Window]) -> Window:
    return _shifted(windows[0], call.operation.padding)


def _pad_operation(call: Call, windows: list[Window]) -> Window | None:
    pairs = call.operation.pad_width
    return _shifted(windows[0], pairs[1:-1]) if len(pairs) == len(windows[0]) + 2 else None


def _cropping(call: Call, windows: list[Window]) -> Window:
    return _shifted(windows[0], call.operation.cropping, -1)


def _shifted(spans: Window, amounts: Any, sign: int = 1) -> Window:
    # A 1D layer has a single pair (before, after). The other layers have one pair for each axis.
    pairs = (amounts,) if isinstance(amounts[0], int) else amounts
    return tuple(span.slide(1, 1, sign * before) for span, (before, _) in zip(spans, pairs))


def _slicing(call: Call, windows: list[Window]) -> Window | None:
    """Return the receptive fields of a slice such as `x[:, ::2]`.

    The result is None if the slice drops, adds or reverses an axis.
    """
    args, kwargs = call.arguments
    key, spans = kwargs.get("key", args[-1]), windows[0]
    parts = list(key) if isinstance(key, (tuple, list)) else [key]
    if Ellipsis in parts:
        place = parts.index(Ellipsis)
        parts[place : place + 1] = [slice(None)] * (len(spans) + 3 - len(parts))
    if not all(isinstance(part, slice) and (part.step or 1) > 0 for part in parts):
        return None
    parts += [slice(None)] * (len(spans) + 2 - len(parts))
    cuts = [part.indices(n) for part, n in zip(parts[1:], _units(call.inputs[0], spans))]
    return tuple(span.slide(1, step, -first) for span, (first, _, step) in zip(spans, cuts))


def _whole(call: Call, windows: list[Window]) -> Window:
    return tuple(map(Span.whole, windows[0], _units(call.inputs[0], windows[0])))


def _reshaping(call: Call, windows: list[Window]) -> Window | None:
    return _whole(call, windows) if len(call.outputs[0].shape) == 2 else None


def _reducing(call: Call, windows: list[Window]) -> Window | None:
    axes, rank = call.operation.axis, len(call.inputs[0].shape)
    axes = {axis % rank for axis in ([axes] if isinstance(axes, int) else axes or ())}
    return _whole(call, windows) if axes >= set(range(1, rank - 1)) else None


def _pointwise(call: Call, windows: list[Window]) -> Window | None:
    """Return the union of the receptive fields of all inputs of an elementwise operation.

    Along an axis with broadcasting, every output unit sees the whole broadcast input.
    """
    images = [(x, spans) for x, spans in zip(call.inputs, windows) if spans]
    if len({len(spans) for _, spans in images}) != 1:
        return None if images else ()
    units = _units(call.outputs[0], images[0][1])
    seen = [
        [span if n == m else span.whole(n) for span, n, m in zip(spans, _units(x, spans), units)]
        for x, spans in images
    ]
    return tuple(map(_union, zip(*seen), units))


def _union(spans: Sequence[Span], units: int) -> Span:
    if len({span.stride for span in spans}) > 1:
        # The strides differ. Simplify: assume that every unit sees all pixels that any unit sees.
        spans = [span.whole(units) for span in spans]
    start = min(span.start for span in spans)
    return Span(start, max(span.start + span.field for span in spans) - start, spans[0].stride)


def _along_maps(call: Call, windows: list[Window]) -> Window | None:
    axes, last = call.operation.axis, len(call.inputs[0].shape) - 1
    axes = [axes] if isinstance(axes, int) else axes
    return _pointwise(call, windows) if set(axes) <= {-1, last} else None


def _on_vectors_only(call: Call, windows: list[Window]) -> None:
    return None  # unknown for images; for vectors, `window` returns before it calls a rule


def _rule(operation: Any) -> Rule | None:
    if callable(getattr(operation, "window", None)):
        return _own_window
    if not isinstance(operation, layers.Layer):
        return OPERATIONS.get(type(operation).__name__)
    found = [LAYERS[kind] for kind in type(operation).__mro__ if kind in LAYERS]
    default = _on_vectors_only if callable(getattr(operation, "cost", None)) else None
    return found[0] if found else default


# For each rule, the names of the Keras layers and of the `keras.ops` operations that it applies to.
# Random layers, for example RandomFlip, are treated as in inference.
RULES: dict[Rule, tuple[str, str]] = {
    _sliding: (
        "Conv1D Conv2D Conv3D DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D "
        "MaxPooling1D MaxPooling2D MaxPooling3D "
        "AveragePooling1D AveragePooling2D AveragePooling3D",
        "MaxPool AveragePool",
    ),
    _zero_padding: ("ZeroPadding1D ZeroPadding2D ZeroPadding3D", ""),
    _pad_operation: ("", "Pad"),
    _cropping: ("Cropping1D Cropping2D Cropping3D", ""),
    _slicing: ("", "GetItem"),
    _whole: (
        "Flatten GroupNormalization "
        "GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D "
        "GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D",
        "",
    ),
    _reshaping: ("Reshape", "Reshape Squeeze ExpandDims"),
    _reducing: ("", "Mean Sum Max Min"),
    _along_maps: (
        "Concatenate LayerNormalization RMSNormalization UnitNormalization Softmax",
        "Concatenate Softmax LogSoftmax",
    ),
    _pointwise: (
        "Add Subtract Multiply Average Maximum Minimum Dense Activation ReLU LeakyReLU PReLU ELU "
        "BatchNormalization Normalization Rescaling Identity Dropout SpatialDropout1D "
        "SpatialDropout2D SpatialDropout3D AlphaDropout GaussianDropout GaussianNoise "
        "ActivityRegularization RandomFlip RandomRotation RandomTranslation RandomZoom "
        "RandomContrast RandomBrightness",
        "Add Subtract Multiply Divide TrueDivide Maximum Minimum Power Where Negative Abs Absolute "
        "Sign Square Sqrt Rsqrt Exp Log Log1p Clip Cast Relu Relu6 LeakyRelu Elu Selu Gelu Silu "
        "Sigmoid LogSigmoid HardSigmoid HardSilu Softplus Softsign Tanh",
    ),
}
LAYERS: dict[type, Rule] = {
    getattr(layers, name): rule for rule, (names, _) in RULES.items() for name in names.split()
} | {LocalResponseNormalization: _pointwise}
OPERATIONS = {name: rule for rule, (_, names) in RULES.items() for name in names.split()}
