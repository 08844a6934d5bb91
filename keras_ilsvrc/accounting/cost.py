"""Cost of a layer call: its numbers of units, connections and multiply-adds."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from keras import layers

from keras_ilsvrc.layers.graph import Call


class Cost(NamedTuple):
    """Numbers of units, connections and multiply-adds of a layer call, or None where unknown.

    As in the papers, only convolutions, dense layers and LeNet's subsampling are counted. Units are
    the outputs of these layers, which the AlexNet paper calls neurons. Connections include biases,
    as in the LeNet paper. Multiply-adds exclude biases. The GoogLeNet paper calls them operations,
    and the ResNet papers call them FLOPs.
    """

    units: int | None
    connections: int | None
    macs: int | None


NOTHING = Cost(0, 0, 0)
UNKNOWN = Cost(None, None, None)


def cost(call: Call) -> Cost:
    """Return the cost of a layer call for one image.

    A layer can define `cost(output_shape)`, which returns the three numbers for an output shape
    without the batch axis. Otherwise, the cost is known for the classes in `KINDS`, and for layers
    whose kernel and output have the same size along the last axis. Other layers without weights and
    `keras.ops` operations cost nothing. The cost of other layers with weights is unknown.
    """
    layer, size = call.operation, call.outputs[0].shape[1:]
    if callable(getattr(layer, "cost", None)):
        return Cost(*layer.cost(size))
    if not isinstance(layer, layers.Layer):
        return NOTHING
    for kind in type(layer).__mro__:
        if kind in KINDS:
            return KINDS[kind](call)
    kernel = getattr(layer, "kernel", None)
    if kernel is not None and size and kernel.shape[-1] == size[-1]:
        return _by_kernel(call)
    return UNKNOWN if layer.weights else NOTHING


def _by_kernel(call: Call) -> Cost:
    """Return the cost of a layer that uses each kernel value once per output position."""
    size = call.outputs[0].shape[1:]
    return _with_bias(call, math.prod(size), _products(size, call.operation.kernel))


def _transposed(call: Call) -> Cost:
    """Return the cost of a transposed convolution, which crops some of the outputs it computes.

    Multiply-adds for cropped outputs are counted, but cropped outputs are not counted as units.
    """
    size = call.outputs[0].shape[1:]
    macs = _products(call.inputs[0].shape[1:], call.operation.kernel)
    return _with_bias(call, math.prod(size), macs)


def _separable(call: Call) -> Cost:
    """Return the cost of a separable convolution, which is a depthwise and a 1x1 convolution."""
    layer, size = call.operation, call.outputs[0].shape[1:]
    between = math.prod(size[:-1]) * layer.pointwise_kernel.shape[-2]
    macs = _products(size, layer.depthwise_kernel) + _products(size, layer.pointwise_kernel)
    found = _with_bias(call, math.prod(size), macs)
    return found._replace(units=between + math.prod(size))


def _products(size: tuple[int, ...], kernel: Any) -> int:
    return math.prod(size[:-1]) * math.prod(kernel.shape)


def _with_bias(call: Call, units: int, macs: int) -> Cost:
    biased = getattr(call.operation, "bias", None) is not None
    return Cost(units, macs + units * biased, macs)


def _nothing(call: Call) -> Cost:
    return NOTHING


def _unknown(call: Call) -> Cost:
    return UNKNOWN


KINDS: dict[type, Callable[[Call], Cost]] = {
    layers.DepthwiseConv1D: _by_kernel,
    layers.DepthwiseConv2D: _by_kernel,
    layers.SeparableConv1D: _separable,
    layers.SeparableConv2D: _separable,
    layers.Conv1DTranspose: _transposed,
    layers.Conv2DTranspose: _transposed,
    layers.Conv3DTranspose: _transposed,
    layers.BatchNormalization: _nothing,
    layers.LayerNormalization: _nothing,
    layers.GroupNormalization: _nothing,
    layers.RMSNormalization: _nothing,
    layers.Normalization: _nothing,
    layers.PReLU: _nothing,
    layers.Embedding: _nothing,
    layers.EinsumDense: _unknown,  # the cost depends on the einsum equation
    layers.Wrapper: _unknown,
}
