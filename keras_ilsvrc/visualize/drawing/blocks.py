"""Blocks of network drawings: layers, residual units and modules."""

import re
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_ilsvrc.layers import LocalResponseNormalization, Subsampling2D
from keras_ilsvrc.layers.graph import Call

# Class names of layers and operations that are not drawn, as in the papers' figures. A softmax
# activation is drawn.
HIDDEN = """
    Activation ReLU Relu Relu6 LeakyReLU PReLU ELU Sigmoid Tanh Silu Gelu Dropout SpatialDropout2D
    GaussianNoise GaussianDropout BatchNormalization Normalization LayerNormalization Identity
    Rescaling Flatten Reshape ZeroPadding1D ZeroPadding2D ZeroPadding3D Pad GetItem Cast Squeeze
    ExpandDims RandomFlip RandomRotation RandomTranslation RandomZoom RandomContrast
"""
_NORMS = (keras.layers.BatchNormalization, keras.layers.Dropout)
MERGES = {"Add": "+", "Multiply": "×", "Subtract": "−", "Concatenate": "concat"}


@dataclass(eq=False)
class Block:
    """Block of a drawing: a layer, or a group of layers such as a residual unit or a module.

    Attributes:
        name: Name of the layer, unit or module.
        kind: Kind of layer, for example `conv`. It selects the colour (`FILLS` in `page`). `add` is
            an addition, `group` a group.
        lines: Lines of text in the block, for example `7x7 conv, 64, /2`.
        size: Shape of the output without the batch axis; None for unknown sizes.
        inputs: Layer blocks whose outputs the layer takes; empty for groups.
        inside: Blocks of a group, in topological order; empty for layers.
        times: Number of consecutive equal units or modules that the block represents.
        kernel: Height and width of the window of a convolution or pool; empty for other blocks.
        groups: Number of groups of a convolution.
        shortcut: For a residual unit, `solid` if its shortcut is the identity, else `dashed`;
            empty for other blocks.
    """

    name: str
    kind: str
    lines: list[str]
    size: tuple[int | None, ...]
    inputs: list["Block"] = field(default_factory=list)
    inside: list["Block"] = field(default_factory=list)
    times: int = 1
    kernel: tuple[int, ...] = ()
    groups: int = 1
    shortcut: str = ""

    @property
    def size_text(self) -> str:
        return "x".join(str(side or "?") for side in self.size)


def describe(call: Call) -> tuple[str, str]:
    """Return the kind of a layer and the text of its block. The kind is "" if it is not drawn."""
    layer, name = call.operation, type(call.operation).__name__
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"[123]D$", "", name)).lower()
    maps = call.outputs[0].shape[-1]
    kernel = "x".join(map(str, kernel_of(layer)))
    stride = _pair(getattr(layer, "strides", None) or 1)
    step = f", /{max(stride)}" if max(stride) > 1 else ""
    if name in MERGES:
        return ("add" if name == "Add" else "merge"), MERGES[name]
    if name == "Softmax" or getattr(layer, "activation", None) is keras.activations.softmax:
        return "softmax", f"fc, {maps}, softmax" if layer.weights else "softmax"
    if "Pooling" in name or isinstance(layer, Subsampling2D):
        kind = "max pool" if "Max" in name else "average pool"
        kind = "subsampling" if isinstance(layer, Subsampling2D) else kind
        return "pool", f"{kernel} {kind}{step}" if kernel else f"global {kind}"
    if kernel and (hasattr(layer, "filters") or "Depthwise" in name or name == "TableConv2D"):
        kind = words.removesuffix("2d").replace("grouped", "").replace("table", "").strip()
        groups = getattr(layer, "groups", 1)
        divided = f", {groups} groups" if groups > 1 else ""
        return "conv", f"{kernel} {kind}, {maps}{step}{divided}"
    if isinstance(layer, keras.layers.Dense):
        return "dense", f"fc, {maps}"
    if isinstance(layer, LocalResponseNormalization):
        return "norm", "local response norm"
    return ("" if name in HIDDEN.split() or isinstance(layer, _NORMS) else "other"), words


def kernel_of(layer: Any) -> tuple[int, ...]:
    """Return the height and width of a layer's window, or () if it has none."""
    if isinstance(layer, Subsampling2D):
        return (2, 2)
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None) or None
    return _pair(size) if size else ()


def _pair(value: Any) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)
