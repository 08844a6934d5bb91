"""Images of the filters of a model's first convolution (Krizhevsky et al. 2012, figure 3)."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_ilsvrc.layers.graph import Call, leaf_calls
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.probe import call_named, graph_of

CHANNELS = (1, 3)  # valid numbers of channels of an image


def filters(model: keras.Model, layer: str | None = None) -> np.ndarray:
    """Return pictures of the filters of a convolution whose input is the image itself.

    Args:
        model: Functional model with one image as its input.
        layer: Name of the layer; by default the first convolution of the graph.

    Returns:
        (filters, height, width, channels), float32 from 0 to 1. Each filter is divided by twice
        its largest absolute weight, and 0.5 is added, so that a weight of zero is shown as 0.5.

    Raises:
        InputError: If the model is not functional, has no such layer or no convolution, or if the
            input of the layer is not an image.
    """
    root = graph_of(model)
    calls = [call_named(root, layer)] if layer else list(leaf_calls(root))
    kernels = ((call, kernel_of(call)) for call in calls)
    call, kernel = next((found for found in kernels if found[1] is not None), (root, None))
    if kernel is None:
        which = f"layer {layer!r}" if layer else model.name
        raise InputError(f"{which} has no convolution kernel; choose a convolution")
    if kernel.shape[2] not in CHANNELS or id(call.inputs[0]) not in _images(root):
        raise InputError(
            f"the input of {call.name} has {call.inputs[0].shape[-1]} channels; expected the image "
            "itself, with 1 or 3 channels; for deeper layers, draw top activations instead"
        )
    largest = np.abs(kernel).max((0, 1, 2))
    scaled = 0.5 + kernel / (2 * np.where(largest > 0, largest, 1))
    return np.moveaxis(scaled, -1, 0).astype("float32")


def _images(root: Call) -> set[int]:
    """Return the `id`s of the inputs and of all tensors computed from them without a kernel."""
    seen = set(map(id, root.inputs))
    for call in leaf_calls(root):
        if not hasattr(call.operation, "kernel") and seen.issuperset(map(id, call.inputs)):
            seen.update(map(id, call.outputs))
    return seen


def kernel_of(call: Call) -> np.ndarray | None:
    """Return a convolution's kernel (rows, columns, input maps, filters); None for other layers."""
    layer = call.operation
    kernel: Any = getattr(layer, "kernel", None)
    # Skip transposed convolutions, whose kernels are (rows, columns, filters, input maps).
    transposed = isinstance(layer, keras.layers.Conv2DTranspose)
    if kernel is None or len(kernel.shape) != 4 or transposed:
        return None
    kernel = keras.ops.convert_to_numpy(kernel).astype("float32", copy=False)
    if isinstance(layer, keras.layers.DepthwiseConv2D):  # each filter has one input map
        return kernel.reshape(*kernel.shape[:2], 1, -1)
    return kernel


def tile(
    pictures: np.ndarray,
    columns: int | None = None,
    border: int = 1,
    fill: float | Sequence[float] = 1.0,
) -> np.ndarray:
    """Return a mosaic of pictures of equal size, as one array (height, width, channels).

    Args:
        pictures: (pictures, height, width, channels).
        columns: Number of pictures in a row; by default about as many as there are rows.
        border: Number of pixels between pictures.
        fill: Value of the pixels between pictures: a number, or one number for each channel.
    """
    count, height, width, channels = pictures.shape
    columns = columns or int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    down, across = height + border, width + border
    made = np.full((rows * down - border, columns * across - border, channels), fill, "float32")
    for number, picture in enumerate(pictures):
        top, left = (number // columns) * down, (number % columns) * across
        made[top : top + height, left : left + width] = picture
    return made


def enlarged(pictures: np.ndarray, size: int) -> np.ndarray:
    """Enlarge pictures to sides of at most `size` by repeating pixels; never shrink them."""
    times = max(1, size // max(pictures.shape[1:3]))
    return pictures.repeat(times, axis=1).repeat(times, axis=2)
