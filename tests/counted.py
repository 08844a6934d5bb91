"""Accounting of nets that are built without values, once for all tests and processes of xdist."""

import functools
import hashlib
import math
import pickle
from typing import NamedTuple

import keras
from cells import cells_of
from filelock import FileLock

from keras_ilsvrc import build
from keras_ilsvrc.accounting import account
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


def facts_of(model):
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


@functools.cache  # of numbers, not of models, which may be freed
def counted(folder, name, **arguments):
    """The facts of a net and its accounts, closed and opened.

    The processes of xdist share what they have counted, in a folder.
    """
    key = hashlib.sha256(repr((name, sorted(arguments.items()))).encode()).hexdigest()[:16]
    path = folder / f"counted-{key}"
    with FileLock(f"{path}.lock"):
        if not path.exists():
            model = build_without_values(name, **arguments)
            found = facts_of(model), account(model), account(model, opened=True)
            path.write_bytes(pickle.dumps(found))
    return pickle.loads(path.read_bytes())
