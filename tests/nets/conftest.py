"""Fixtures for the tests of nets."""

import functools
import hashlib
import math
import os
import pickle
from typing import NamedTuple

import keras
import numpy as np
import pytest
from cells import cells_of
from filelock import FileLock
from keras import ops

from keras_ilsvrc import build, info
from keras_ilsvrc.layers import ResidualUnit
from keras_ilsvrc.layers.graph import batch_norms, leaves


class Facts(NamedTuple):
    parameters: int
    parameters_of: dict[str, int]
    sizes: dict[str, list[int]]
    units: list[int]
    weight_layers: int
    kernels: int  # values in all kernels of convolutions
    gammas: int
    norms: set[tuple[float, float]]  # momentum and epsilon of batch normalisation
    biased: set[str]
    inside: dict[str, list[str]]  # the layers of each residual unit
    cells: dict[str, list[tuple[str, str]]]  # of each output, in the papers' notation
    starts: dict[str, str]  # what draws kernels, coefficients and biases, and a layer of each


@functools.lru_cache(maxsize=64)
def build_without_values(name, **arguments):
    """A net whose weights have shapes and no values; the same one for every test that asks."""
    with keras.StatelessScope(initialize_variables=False):
        return build(name, **arguments)


def count(weights):
    return sum(math.prod(weight.shape) for weight in weights)


def starts_of(layer):
    """What draws a layer's weights, as text: the initializers of its kernel and its bias."""
    for part in ("kernel", "coefficient", "bias"):
        start = getattr(layer, f"{part}_initializer", None)
        if start is not None and getattr(layer, part, None) is not None:
            config = start.get_config() | {"seed": None}
            yield f"{part} {type(start).__name__} {config}"


@functools.cache
def counted(folder, name, **arguments):
    """The facts of a net, which one process counts for all."""
    key = hashlib.sha256(repr((name, sorted(arguments.items()))).encode()).hexdigest()[:16]
    path = folder / f"facts-{key}.pickle"
    with FileLock(f"{path}.lock"):
        if not path.exists():
            path.write_bytes(pickle.dumps(tuple(facts_of(name, **arguments))))
    return Facts(*pickle.loads(path.read_bytes()))


def facts_of(name, **arguments):
    model = build_without_values(name, **arguments)
    units = [layer for layer in model.layers if isinstance(layer, ResidualUnit)]
    stages = [unit.name.split("_")[0] for unit in units]
    inner = [layer for unit in units for layer in unit.body.layers]
    weighted = [layer for layer in [*model.layers, *inner] if hasattr(layer, "kernel")]
    trained = model.trainable_weights
    return Facts(
        count(trained),
        {layer.name: count(layer.trainable_weights) for layer in model.layers},
        {layer.name: list(layer.output.shape[1:]) for layer in model.layers},
        [stages.count(stage) for stage in dict.fromkeys(stages)],
        sum(layer.name not in ("conv_shortcut", "gate") for layer in weighted),
        count(layer.kernel for layer in weighted if len(layer.kernel.shape) == 4),
        count(weight for weight in trained if weight.name == "gamma"),
        {(norm.momentum, norm.epsilon) for norm in batch_norms(model)},
        {layer.name for layer in weighted if layer.bias is not None},
        {unit.name: [layer.name for layer in unit.body.layers[1:]] for unit in units},
        cells_of(model),
        {start: layer.name for layer in leaves(model) for start in starts_of(layer)},
    )


@pytest.fixture(scope="session")
def facts(tmp_path_factory):
    """What is counted of a net, which is built once, and without allocating its weights.

    The processes of xdist share what they have counted, in files.
    """
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    built = functools.partial(counted, folder)

    def facts(name, **arguments):
        published = {key: value.default for key, value in info(name).variations.items()}
        varied = {k: v for k, v in arguments.items() if k not in published or v != published[k]}
        return built(name, **varied)  # a variation that says what is published varies nothing

    return facts


@pytest.fixture(scope="session")
def unallocated():
    return build_without_values


@pytest.fixture(scope="session")
def digits():
    """16 handwritten digits of scikit-learn, 8x8, enlarged; their mean is zero."""

    def digits(size, channels):
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        images = images[:16].reshape(16, 8, 8, 1).astype("float32") / 16
        images = ops.convert_to_numpy(ops.image.resize(images, (size, size)))
        return np.repeat(images - images.mean(), channels, -1), labels[:16]

    return digits
