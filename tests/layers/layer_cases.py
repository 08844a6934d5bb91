"""Public layers with all arguments that the tests of the layers use."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from keras import ops

from keras_ilsvrc.layers import (
    BatchNormalization,
    CeilAveragePooling2D,
    GroupedConv2D,
    LocalResponseNormalization,
    RadialBasis,
    ResidualUnit,
    Subsampling2D,
    TableConv2D,
)

BN = {"momentum": 0.9, "epsilon": 1e-5}
TABLE = [[0, 1], [2], [3, 0, 2]]
CODES = [[1, -1, 1], [0.5, 0, -2]]


class Case(NamedTuple):
    """A layer, its arguments, a shape it takes, the shape it gives, and how much it holds."""

    layer: type
    arguments: dict[str, Any]
    shape: tuple[int, ...]
    output: tuple[int, ...]
    trainable: int = 0
    fixed: int = 0
    seeds: int = 0


def unit(convolutions, *rest, **arguments):
    return Case(ResidualUnit, {"convolutions": convolutions, "batch_norm": BN, **arguments}, *rest)


IMAGE = (2, 7, 6, 4)
CASES = {
    "lrn": Case(LocalResponseNormalization, {}, IMAGE, IMAGE),
    "lrn by groups": Case(LocalResponseNormalization, {"size": 3, "groups": 2}, (2, 4), (2, 4)),
    "lrn beta 1": Case(LocalResponseNormalization, {"alpha": 1, "beta": 1}, (2, 3, 4), (2, 3, 4)),
    "norm": Case(BatchNormalization, {"momentum": 0.9}, IMAGE, IMAGE, 2, 2),
    "norm without gamma": Case(BatchNormalization, {"scale": False}, IMAGE, IMAGE, 1, 2),
    "groups": Case(
        GroupedConv2D, {"filters": 6, "kernel_size": 3, "groups": 2}, IMAGE, (2, 5, 4, 6), 2
    ),
    "groups strided": Case(
        GroupedConv2D,
        {"filters": 4, "kernel_size": (1, 2), "strides": 9, "groups": 4, "use_bias": False},
        *(IMAGE, (2, 1, 1, 4), 1),
    ),
    "groups dilated": Case(
        GroupedConv2D,
        {"filters": 4, "kernel_size": 2, "dilation_rate": 3, "groups": 2, "padding": "same"},
        *(IMAGE, (2, 7, 6, 4), 2),
    ),
    "ceil": Case(CeilAveragePooling2D, {"pool_size": 3, "strides": 2}, IMAGE, (2, 3, 3, 4)),
    "ceil whole": Case(CeilAveragePooling2D, {"pool_size": (7, 6)}, IMAGE, (2, 1, 1, 4)),
    "ceil odd": Case(
        CeilAveragePooling2D, {"pool_size": (5, 2), "strides": (3, 1)}, IMAGE, (2, 2, 5, 4)
    ),
    "table": Case(TableConv2D, {"table": TABLE, "kernel_size": 3}, IMAGE, (2, 5, 4, 3), 2),
    "subsampling": Case(Subsampling2D, {"activation": "tanh"}, IMAGE, (2, 3, 3, 4), 2),
    "radial": Case(RadialBasis, {"codes": CODES}, (2, 3), (2, 2), 0, 1),
    "unit": unit("conv3/2-8 conv3-8", IMAGE, (2, 4, 3, 8), 9, 6),
    "unit plain": unit(
        "conv3-4", IMAGE, IMAGE, 4, 2, shortcut="none", use_bias=True, activated=True
    ),
    "unit bare": unit("conv1/9-4 conv1x3-8", IMAGE, (2, 1, 1, 8), 6, batch_norm=None, shortcut="C"),
    "unit option A": unit("conv3/2-5 conv3/3-5", IMAGE, (2, 2, 1, 5), 6, 4, shortcut="A"),
    "unit dropout": unit("conv3-4", IMAGE, IMAGE, 3, 2, 1, shortcut="dropout", seed=3),
    "unit gated": unit(
        *("conv1-2 conv3-2 conv1-8", IMAGE, (2, 7, 6, 8), 11, 6),
        shortcut="exclusive_gating",
        gate_bias=-1,
        order="full_preact",
    ),
    "unit v2": unit(
        *("conv3/2-4 conv3-4", IMAGE, (2, 4, 3, 4), 7, 4),
        shortcut="keras",
        order="full_preact",
        use_bias="bare",
        layer_configs={"bn_1": {"momentum": 0.5}},
    ),
}
# Units whose parts other units have.
ALIKE = ("unit plain", "unit bare", "unit v2")
each_case = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=[pytest.mark.slow] * (name in ALIKE))
        for name, case in CASES.items()
    ],
)


def values(shape, dtype="float32", seed=0):
    return (3 * np.random.default_rng(seed).normal(size=shape)).astype(dtype)


def numpy(x):
    return ops.convert_to_numpy(x).astype("float64")


def built(case, **more):
    layer = case.layer(**{**case.arguments, **more})
    layer.build(case.shape)
    return layer
