"""Arrays of other frameworks in the layouts of ours, and into the weights of a model."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.layers.graph import walk

# What torch calls the weights of a batch normalisation, and those of every other layer.
BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
OTHERS = {"weight": "kernel", "bias": "bias"}


class Array(NamedTuple):
    """An array and what its source calls it."""

    key: str
    values: np.ndarray


Arrays = dict[str, Array]  # by layer and weight, as `conv2_1/conv_1/kernel`


def from_keras(weights: Mapping[str, Any]) -> Arrays:
    """Arrays of a Keras model by path, as `block1_conv1/kernel`."""
    return {key: Array(key, np.asarray(values)) for key, values in weights.items()}


def from_torch(state: Mapping[str, Any]) -> Arrays:
    """Arrays of a torch model by name, as `bn1.weight`, in Keras' layouts and words.

    Kernels (out, in / groups, rows, columns) become (rows, columns, in / groups, out); matrices
    (out, in) become (in, out). Counters of batches have no counterpart.
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
    """The layers whose weights have these paths, each once, in order."""
    return list(dict.fromkeys(path.rpartition("/")[0] for path in paths))


def fold_biases(arrays: Arrays, model: keras.Model) -> Arrays:
    """Biases that the model leaves out, taken off the mean of the batch normalisation behind.

    It computes gamma (w x + b - mean) / s + beta, so that b belongs to the mean. Behind a layer
    `conv1` stands `conv1_bn`.
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
    """Matrices behind a flatten layer: torch flattens maps as C, H, W, Keras as H, W, C."""
    ordered = dict(arrays)
    flat: dict[int, tuple[int, ...]] = {}  # tensors that are flattened maps, to (H, W, C)
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
            if matrix.shape[0] == height * width * channels:  # else `fill` names the shapes
                cube = matrix.reshape(channels, height, width, -1).transpose(1, 2, 0, 3)
                ordered[path] = ordered[path]._replace(values=cube.reshape(matrix.shape))
    return ordered


def fill(model: keras.Model, arrays: Arrays) -> None:
    """Sets every weight of a model from the array of its path, or none.

    Raises:
        InputError: If a weight has no array, an array has no weight, or their shapes differ; the
            message names them.
    """
    weights = {weight.path: weight for weight in model.weights}
    wrong = {
        "no array for": [path for path in weights if path not in arrays],
        "no place for": [array.key for path, array in arrays.items() if path not in weights],
        "shapes differ:": [
            f"{array.key} gives {array.values.shape} for {path} of {tuple(weights[path].shape)}"
            for path, array in arrays.items()
            if path in weights and array.values.shape != tuple(weights[path].shape)
        ],
    }
    said = [f"{what} {_first(named)}" for what, named in wrong.items() if named]
    if said:
        raise InputError(f"{model.name}: {'; '.join(said)}")
    for path, weight in weights.items():
        weight.assign(arrays[path].values)


def _first(named: list[str], most: int = 3) -> str:
    """The first few, and how many more."""
    more = f" and {len(named) - most} more" if len(named) > most else ""
    return ", ".join(named[:most]) + more
