"""What Zeiler and Fergus read off their pictures, as numbers: arXiv:1311.2901, section 4.1."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.layers import LocalResponseNormalization
from keras_ilsvrc.layers.graph import Call, leaf_calls, run_call
from keras_ilsvrc.visualize.checks import batches_of, check_batch, silent, type_of
from keras_ilsvrc.visualize.filters import kernel_of
from keras_ilsvrc.visualize.probe import graph_of
from keras_ilsvrc.visualize.rules import is_relu

ALIKE = 0.95  # cosine of two filters' weights, of either sign
HALF = 0.5  # of a filter's energy, above which a band dominates it
SMALLEST = 5  # rows and columns of a kernel whose spectrum has a low, a middle and a high band
# Cycles across the kernel. A window cuts a mean off, which smears its energy: of a constant 53 %
# lie below half a cycle and 77 % below this, of a Gaussian bell over the kernel 41 % and 71 %, of
# one cycle across, the slowest wave that fits, 8 % to 25 %, by its phase and the kernel's size.
LOW = 0.75
HIGH = 0.25  # cycles a pixel: half of what pixels can show
POINTS = 128  # of a spectrum, along each axis
# From which share of a layer's filters on, or of their energy, there is something to say.
TELLING = {"dead": 0.1, "duplicates": 0.1, "low": 0.2, "high": 0.2, "aliased": 1 / 3}
HINTS = {
    "dead": "{count} of {filters} maps are zero for every image: lower the learning rate, or hold "
    "the filters' root mean square below 0.1, as Zeiler and Fergus did (section 3)",
    "duplicates": "{count} of {filters} filters have another that is nearly the same: fewer would "
    "do, or more varied images",
    "low": "{count} of {filters} filters hold hardly more than a mean: smaller kernels, as Zeiler "
    "and Fergus went from 11x11 to 7x7 (section 4.1)",
    "high": "{count} of {filters} filters hold mostly what changes from pixel to pixel: train "
    "longer, with more weight decay, or take smaller kernels (section 4.1)",
    "aliased": "a stride of {stride} folds {share:.0%} of the filters' energy into lower "
    "frequencies: a smaller one, as Zeiler and Fergus went from 11x11/4 to 7x7/2 (section 4.1)",
}


@dataclass(frozen=True, kw_only=True)
class LayerHealth:
    """The filters of one layer.

    Attributes:
        layer: Its name.
        kernel: Rows and columns; None of a dense layer.
        stride: Along the rows; None of a dense layer.
        filters: How many there are.
        dead: How many maps are zero for all images behind the layer's own ReLU, its activation or
            the next but for normalisation and dropout; None without images or such a ReLU.
        duplicates: How many have another filter that is nearly the same, or its negative; None of
            a dense layer.
        low: How many have over half of their energy below 0.75 cycles across the kernel; None of
            kernels with fewer than 5 rows or columns, which have no room for a middle.
        high: How many have it above 0.25 cycles a pixel; None where `low` is.
        aliased: Share of a filter's energy at frequencies that the stride cannot show, above
            1 / (2 stride) cycles a pixel along either axis, mean over filters; None of a dense
            layer.
        hints: What to do, where there is something.
    """

    layer: str
    kernel: tuple[int, int] | None
    stride: int | None
    filters: int
    dead: int | None
    duplicates: int | None
    low: int | None
    high: int | None
    aliased: float | None
    hints: tuple[str, ...]


def health(
    model: keras.Model,
    images: Any = None,
    batch_size: int = 32,
    progress: Callable[[int], object] = silent,
) -> list[LayerHealth]:
    """A row for each layer with a `kernel`, convolutions and dense layers, in the graph's order.

    Args:
        model: Functional, of one image.
        images: (images, height, width, channels) as the model takes them, or batches of them, gone
            through once; None for what the weights alone progress.
        batch_size: Of an array.
        progress: Called with the images done.

    Raises:
        InputError: If the model is not functional or takes other images, or if there are none.
    """
    root = graph_of(model)
    calls = list(leaf_calls(root))
    layers = [call for call in calls if getattr(call.operation, "kernel", None) is not None]
    strongest: dict[str, np.ndarray] = {}
    if images is not None:
        behind = {call.name: rectified(call, calls) for call in layers}
        behind = {name: x for name, x in behind.items() if x is not None}
        strongest = _strongest(root, calls, behind, batches_of(images, batch_size), progress)
    return [_row(call, strongest.get(call.name)) for call in layers]


def rectified(call: Call, calls: list[Call]) -> Any:
    """The tensor behind a layer's own ReLU: its own, or behind normalisation; None if it has none.

    A sum is no longer the layer's own.
    """
    if is_relu(call.operation):
        return call.outputs[0]
    past = keras.layers.BatchNormalization, keras.layers.Dropout, LocalResponseNormalization
    x = call.outputs[0]
    while True:
        taken_by = [other for other in calls if any(x is given for given in other.inputs)]
        if len(taken_by) != 1:
            return None
        x = taken_by[0].outputs[0]
        if is_relu(taken_by[0].operation):
            return x
        if not isinstance(taken_by[0].operation, past):
            return None


def _strongest(root, calls, behind, batches, progress):
    """The strongest activation of each map over all images, by the layer's name."""
    image = root.inputs[0]

    @tf.function(input_signature=[tf.TensorSpec(image.shape, type_of(image))])
    def run(images):
        tensors = {id(image): images}
        for call in calls:
            run_call(call, tensors)
        found = {name: tensors[id(x)] for name, x in behind.items()}
        return {name: tf.reduce_max(x, range(x.ndim - 1)) for name, x in found.items()}

    best: dict[str, np.ndarray] = {}
    done = 0
    for batch in batches:
        batch = check_batch(root, batch)
        for name, values in run(batch).items():
            best[name] = np.maximum(values, best.get(name, -np.inf))
        done += len(batch)
        progress(done)
    if not done:
        raise InputError("images hold no image; give at least one, or None for the weights alone")
    return best


def _row(call, strongest):
    layer, kernel = call.operation, kernel_of(call)
    found: dict[str, Any] = {
        "dead": None if strongest is None else int((strongest <= 0).sum()),
        **dict.fromkeys(("duplicates", "low", "high", "aliased", "kernel", "stride")),
    }
    if kernel is not None:
        strides = layer.strides if hasattr(layer, "strides") else (1, 1)
        found |= {"kernel": kernel.shape[:2], "stride": strides[0]}
        found |= {"duplicates": duplicates(kernel), **spectral(kernel, strides)}
    filters = call.outputs[0].shape[-1]
    said = tuple(_hints(found, filters))
    return LayerHealth(layer=call.name, filters=filters, hints=said, **found)


def duplicates(kernel: np.ndarray) -> int:
    """How many filters (rows, columns, input maps, filters) are nearly another, up to a factor."""
    flat = kernel.reshape(-1, kernel.shape[-1])
    flat = flat / np.maximum(np.linalg.norm(flat, axis=0), 1e-12)
    alike = np.abs(flat.T @ flat) >= ALIKE
    np.fill_diagonal(alike, False)
    return int(alike.any(0).sum())


def spectral(kernel: np.ndarray, strides: tuple[int, int]) -> dict[str, Any]:
    """`low`, `high` and `aliased` of filters (rows, columns, input maps, filters)."""
    rows, columns = kernel.shape[:2]
    size = max(POINTS, rows, columns)
    down, across = np.meshgrid(*(np.abs(np.fft.fftfreq(size)),) * 2, indexing="ij")
    folded = (down > 0.5 / strides[0]) | (across > 0.5 / strides[1])
    found: dict[str, Any] = dict.fromkeys(("low", "high"))
    found["aliased"] = float(energy(kernel, folded).mean()) if folded.any() else 0.0
    if min(rows, columns) >= SMALLEST:
        low = np.hypot(down * rows, across * columns) < LOW
        for name, band in (("low", low), ("high", np.hypot(down, across) > HIGH)):
            found[name] = int((energy(kernel, band) > HALF).sum())
    return found


def energy(kernel: np.ndarray, band: np.ndarray) -> np.ndarray:
    """(filters,): the share of each filter's energy that lies in a band of its spectrum.

    Added up over the input maps, it is a quadratic form of the weights, by Parseval's theorem: no
    spectrum of a deep layer's thousands of kernels has to be held.

    Args:
        kernel: (rows, columns, input maps, filters).
        band: (size, size), true in the band, in the order of `np.fft.fftfreq`; of both signs.
    """
    rows, columns = np.indices(kernel.shape[:2]).reshape(2, -1)
    apart = np.fft.ifft2(band).real.astype(kernel.dtype)  # by how far two weights lie apart
    form = apart[np.subtract.outer(rows, rows), np.subtract.outer(columns, columns)]
    weights = kernel.reshape(len(rows), -1, kernel.shape[-1])
    inside = (weights * np.tensordot(form, weights, 1)).sum((0, 1))
    return inside / np.maximum((weights**2).sum((0, 1)), 1e-30)


def _hints(found, filters):
    for name, share in TELLING.items():
        value = found[name]
        if value is None or (name == "aliased" and min(found["kernel"]) < SMALLEST):
            continue
        if (value if name == "aliased" else value / filters) >= share:
            yield HINTS[name].format(
                count=value, filters=filters, stride=found["stride"], share=value
            )
