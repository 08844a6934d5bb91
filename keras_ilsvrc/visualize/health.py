"""Measures of problems that Zeiler and Fergus found in filters (arXiv:1311.2901, section 4.1)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.layers import LocalResponseNormalization
from keras_ilsvrc.layers.graph import Call, leaf_calls, run_call
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.checks import batches_of, check_batch, type_of
from keras_ilsvrc.visualize.filters import kernel_of
from keras_ilsvrc.visualize.probe import graph_of
from keras_ilsvrc.visualize.rules import is_relu

# All thresholds are our choice; Zeiler and Fergus judge filters by eye.
ALIKE = 0.95  # minimum cosine similarity of two filters that count as duplicates
HALF = 0.5  # a frequency band dominates if it has more than this share of the energy
SMALLEST = 5  # smaller kernels are not tested for low and high frequencies
# Upper limit of low frequencies, in cycles per kernel size. Smooth kernels have most of their
# energy below this limit (a constant kernel 77 %, a Gaussian 71 %). The slowest
# wave that fits into a kernel, one cycle, has only 8 % to 25 % of its energy below it, depending on
# its phase and the kernel size. Below a limit of 0.5, the smooth kernels have only 53 % and 41 %.
LOW = 0.75
HIGH = 0.25  # lower limit of high frequencies, in cycles per pixel: half the Nyquist frequency
POINTS = 128  # number of frequencies of a spectrum along each axis
# A hint is given if at least this fraction of a layer's filters has the problem. For "aliased", it
# is the fraction of the filters' energy that is aliased.
HINT_FROM = {"dead": 0.1, "duplicates": 0.1, "low": 0.2, "high": 0.2, "aliased": 1 / 3}
HINTS = {
    "dead": "{count} of {filters} maps are zero for every image: lower the learning rate, or keep "
    "the root mean square of filters below 0.1, as Zeiler and Fergus did (section 3)",
    "duplicates": "{count} of {filters} filters are nearly the same as another: use fewer filters "
    "or more varied images",
    "low": "{count} of {filters} filters compute little more than a mean: use smaller kernels, "
    "as Zeiler and Fergus did (11x11 to 7x7, section 4.1)",
    "high": "{count} of {filters} filters respond mostly to changes from pixel to pixel: train "
    "longer, with more weight decay, or use smaller kernels (section 4.1)",
    "aliased": "a stride of {stride} aliases {share:.0%} of the filters' energy to lower "
    "frequencies: use a smaller stride, as Zeiler and Fergus did (section 4.1: 11x11/4 to 7x7/2)",
}


@dataclass(frozen=True, kw_only=True)
class LayerHealth:
    """Measures of problems in the filters of one layer.

    Attributes:
        layer: Name of the layer.
        kernel: Rows and columns of the kernel; None for a dense layer.
        stride: Stride along the rows; None for a dense layer.
        filters: Number of filters.
        dead: Number of maps that are zero for all images after the ReLU that belongs to the layer
            (see `rectified`); None if there are no images or there is no such ReLU.
        duplicates: Number of filters that nearly equal another or its negative; None for a dense
            layer.
        low: Number of filters with over half of their energy below 0.75 cycles per kernel size;
            None for kernels with fewer than 5 rows or columns.
        high: Number of filters with over half of their energy above 0.25 cycles per pixel; None if
            `low` is None.
        aliased: Fraction of a filter's energy at frequencies that are too high for the stride,
            above 1 / (2 stride) cycles per pixel along either axis; the mean over all filters.
            None for a dense layer.
        hints: Advice for the problems found.
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
    progress: Callable[[int], object] = lambda done: None,
) -> list[LayerHealth]:
    """Measure problems in the filters of each convolution and dense layer, in graph order.

    Args:
        model: Functional model with one image as its input.
        images: (images, height, width, channels), preprocessed for the model, or an iterable of
            such batches, iterated once; None to measure only the weights.
        batch_size: Batch size if `images` is an array.
        progress: Function called with the number of images done.

    Raises:
        InputError: If the model is not functional, or if `images` is empty or does not fit the
            model.
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
    """Return the output tensor of the ReLU that belongs to a layer, or None if there is none.

    The ReLU is the activation of the layer, or a later layer. Only normalisation and dropout may
    lie in between. A ReLU after a sum with other layers does not count.
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


def _strongest(
    root: Call,
    calls: list[Call],
    behind: Mapping[str, Any],
    batches: Iterable[np.ndarray],
    progress: Callable[[int], object],
) -> dict[str, np.ndarray]:
    """Return {layer name: strongest activation of each feature map over all images}."""
    image = root.inputs[0]

    @tf.function(input_signature=[tf.TensorSpec(image.shape, type_of(image))])
    def run(images: tf.Tensor) -> dict[str, tf.Tensor]:
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
        raise InputError(
            "images is empty; pass at least one image, or None to measure the weights only"
        )
    return best


def _row(call: Call, strongest: np.ndarray | None) -> LayerHealth:
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
    hints = tuple(_hints(found, filters))
    return LayerHealth(layer=call.name, filters=filters, hints=hints, **found)


def duplicates(kernel: np.ndarray) -> int:
    """Count the filters of a kernel that nearly equal another filter or its negative."""
    flat = kernel.reshape(-1, kernel.shape[-1])
    flat = flat / np.maximum(np.linalg.norm(flat, axis=0), 1e-12)
    alike = np.abs(flat.T @ flat) >= ALIKE
    np.fill_diagonal(alike, False)
    return int(alike.any(0).sum())


def spectral(kernel: np.ndarray, strides: tuple[int, int]) -> dict[str, Any]:
    """Return `low`, `high` and `aliased` (see `LayerHealth`) for the kernel of a convolution."""
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
    """Return the fraction of each filter's energy that lies in a band of frequencies.

    By Parseval's theorem, this energy, summed over the input maps, is a quadratic form of the
    weights. Computing the form saves memory: no spectrum of a kernel is stored.

    Args:
        kernel: (rows, columns, input maps, filters).
        band: (size, size), True for frequencies in the band, positive and negative, in the order
            of `np.fft.fftfreq`.
    """
    rows, columns = np.indices(kernel.shape[:2]).reshape(2, -1)
    # Impulse response of the band-pass filter, for each distance between two weights
    apart = np.fft.ifft2(band).real.astype(kernel.dtype)
    form = apart[np.subtract.outer(rows, rows), np.subtract.outer(columns, columns)]
    weights = kernel.reshape(len(rows), -1, kernel.shape[-1])
    inside = (weights * np.tensordot(form, weights, 1)).sum((0, 1))
    return inside / np.maximum((weights**2).sum((0, 1)), 1e-30)


def _hints(found: Mapping[str, Any], filters: int) -> Iterator[str]:
    for name, share in HINT_FROM.items():
        value = found[name]
        if value is None or (name == "aliased" and min(found["kernel"]) < SMALLEST):
            continue
        if (value if name == "aliased" else value / filters) >= share:
            yield HINTS[name].format(
                count=value, filters=filters, stride=found["stride"], share=value
            )
