"""Conversion of other frameworks' arrays to Keras' layouts, and assignment to a model."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.layers.graph import walk

# {name of a weight in PyTorch: its name in Keras}, for batch normalisation and for other layers.
BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
OTHERS = {"weight": "kernel", "bias": "bias"}


class Array(NamedTuple):
    """Values of a weight and its name in the source framework."""

    key: str
    values: np.ndarray


Arrays = dict[str, Array]  # {path of a weight, such as `conv2_1/conv_1/kernel`: Array}


def from_keras(weights: Mapping[str, Any]) -> Arrays:
    """Convert the weights of a Keras model, {path: values}, to {path: `Array`}."""
    return {key: Array(key, np.asarray(values)) for key, values in weights.items()}


def from_torch(state: Mapping[str, Any]) -> Arrays:
    """Convert a PyTorch `state_dict` to Keras' layouts and names: `bn1.weight` to `bn1/gamma`.

    Kernels (out, in / groups, rows, columns) become (rows, columns, in / groups, out); matrices
    (out, in) become (in, out). Batch counters are dropped, since Keras has none.
    """
    arrays = {}
    for key, values in state.items():
        layer, _, word = key.rpartition(".")
        if word == "num_batches_tracked":
            continue
        values = np.asarray(values)
        axes = {4: (2, 3, 1, 0), 2: (1, 0)}.get(values.ndim)
        words = BATCH_NORM if f"{layer}.running_mean" in state else OTHERS
        arrays[f"{layer}/{words.get(word, word)}"] = Array(key, values.transpose(axes))
    return arrays


def layers_of(paths: Iterable[str]) -> list[str]:
    """Return the layer names in a list of weight paths, in the order of the paths, each once."""
    return list(dict.fromkeys(path.rpartition("/")[0] for path in paths))


def fold_biases(arrays: Arrays, model: keras.Model) -> Arrays:
    """Remove biases that the model lacks, and subtract them from the moving means of BN instead.

    Batch normalisation computes gamma (w x + b - mean) / s + beta. The result is the same if b is
    subtracted from the mean instead. The normalisation after a layer `conv1` is called `conv1_bn`.
    """
    places = {weight.path for weight in model.weights}
    folded = dict(arrays)
    for path, bias in arrays.items():
        mean = path.removesuffix("/bias") + "_bn/moving_mean"
        if path not in places and mean in folded and mean in places:
            folded[mean] = folded[mean]._replace(values=folded[mean].values - bias.values)
            del folded[path]
    return folded


def reorder(arrays: Arrays, model: keras.Model) -> Arrays:
    """Reorder the rows of dense kernels after Flatten from PyTorch's (C, H, W) to (H, W, C)."""
    ordered = dict(arrays)
    flat: dict[int, tuple[int, ...]] = {}  # {id of a flattened tensor: its (H, W, C)}
    for call in walk(model).inside:
        maps = flat.get(id(call.inputs[0])) if call.inputs else None
        path = f"{call.name}/kernel"
        if isinstance(call.operation, layers.Flatten):
            flat[id(call.outputs[0])] = call.inputs[0].shape[1:]
        elif maps and isinstance(call.operation, layers.Dropout):
            flat[id(call.outputs[0])] = maps
        elif maps and isinstance(call.operation, layers.Dense) and path in ordered:
            height, width, channels = maps
            matrix = ordered[path].values
            # A kernel with another number of rows is left as it is; `fill` then raises an error.
            if matrix.shape[0] == height * width * channels:
                cube = matrix.reshape(channels, height, width, -1).transpose(1, 2, 0, 3)
                ordered[path] = ordered[path]._replace(values=cube.reshape(matrix.shape))
    return ordered


def fill(model: keras.Model, arrays: Arrays) -> None:
    """Set every weight of a model from the array with the weight's path. On an error, set none.

    Raises:
        InputError: If a weight has no array, an array has no weight, or their shapes differ.
    """
    weights = {weight.path: weight for weight in model.weights}
    wrong = {
        "no array for": [path for path in weights if path not in arrays],
        "no weight for": [array.key for path, array in arrays.items() if path not in weights],
        "shapes differ:": [
            f"{array.key} {array.values.shape}, expected {tuple(weights[path].shape)} of {path}"
            for path, array in arrays.items()
            if path in weights and array.values.shape != tuple(weights[path].shape)
        ],
    }
    faults = [f"{what} {_first(named)}" for what, named in wrong.items() if named]
    if faults:
        raise InputError(f"{model.name}: {'; '.join(faults)}")
    for path, weight in weights.items():
        weight.assign(arrays[path].values)


def _first(named: list[str], most: int = 3) -> str:
    """Return a text with the first few names and the number of the remaining names."""
    more = f" and {len(named) - most} more" if len(named) > most else ""
    return ", ".join(named[:most]) + more
