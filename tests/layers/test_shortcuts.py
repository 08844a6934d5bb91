"""Tests of scaled and gated shortcuts (He et al., arXiv:1603.05027, table 1)."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ilsvrc.layers import ResidualUnit

BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}
SAME, CHANGING = "conv3-4 conv3-4", "conv3/2-8 conv3-8"
TABLE_1 = ("constant_0.5", "constant_0.5_0.5", "exclusive_gating", "shortcut_gating", "dropout")
GATED = ("exclusive_gating", "shortcut_gating")
BIASES = [
    (row, bias) for row in TABLE_1 for bias in ((-6.0, -0.5, 0.0) if row in GATED else (-6.0,))
]
each_row = pytest.mark.parametrize("shortcut", TABLE_1)
each_size = pytest.mark.parametrize("convolutions", [SAME, CHANGING])


def image():
    return np.random.default_rng(0).normal(size=(2, 6, 7, 4)).astype("float32")


def numpy(x):
    return ops.convert_to_numpy(x)


def built(convolutions, shortcut, **options):
    unit = ResidualUnit(convolutions, shortcut, **{"batch_norm": BATCH_NORM, **options})
    unit.build((None, 6, 7, 4))
    return unit


def parts_of(unit, x):
    """h(x) of option A, F(x), and x as a gate sees it; with the unit's own layers for F."""
    inner = {layer.name: layer for layer in unit.body.layers}
    f = numpy(keras.Model(unit.body.input, inner["bn_2"].output)(x))
    stride = x.shape[1] // f.shape[1]
    seen = x[:, ::stride, ::stride]
    h = np.pad(seen, [(0, 0)] * 3 + [(0, f.shape[-1] - x.shape[-1])])
    return h, f, seen


def gate(unit, seen):
    """Sigmoid of a 1x1 convolution with bias, in NumPy."""
    layer = next(layer for layer in unit.body.layers if layer.name == "gate")
    kernel, bias = map(numpy, layer.weights)
    assert kernel.shape[:2] == (1, 1)
    return 1 / (1 + np.exp(-(seen @ kernel[0, 0] + bias)))


FORMULAS = {
    "constant_0.5": lambda h, f, g: 0.5 * h + f,
    "constant_0.5_0.5": lambda h, f, g: 0.5 * h + 0.5 * f,
    "exclusive_gating": lambda h, f, g: (1 - g) * h + g * f,
    "shortcut_gating": lambda h, f, g: (1 - g) * h + f,
    "dropout": lambda h, f, g: h + f,  # as at the test
}


@each_size
@pytest.mark.parametrize(("shortcut", "bias"), BIASES)
def test_sums_what_table_1_says(convolutions, shortcut, bias):
    unit, x = built(convolutions, shortcut, gate_bias=bias), image()
    h, f, seen = parts_of(unit, x)
    g = gate(unit, seen) if "gating" in shortcut else None
    expected = np.maximum(FORMULAS[shortcut](h, f, g), 0)
    np.testing.assert_allclose(numpy(unit(x)), expected, rtol=1e-5, atol=1e-5)


def test_gate_starts_at_its_bias():
    unit = built(SAME, "exclusive_gating", gate_bias=-7)
    layer = next(layer for layer in unit.body.layers if layer.name == "gate")
    np.testing.assert_array_equal(numpy(layer.bias), -7)
    assert numpy(layer.kernel).std() > 0.1


def test_dropout_drops_half_of_the_shortcut_in_training_alone():
    unit = built("conv3-4 conv3-4", "dropout", order="full_preact", activated=True)
    for layer in unit.body.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(np.zeros(layer.kernel.shape))  # F(x) is zero
    x = np.ones((8, 6, 7, 4), "float32")
    y = numpy(unit(x, training=True))
    assert set(np.unique(y)) == {0, 2}
    assert 0.4 < (y == 0).mean() < 0.6
    np.testing.assert_array_equal(numpy(unit(x)), x)


@each_row
def test_other_rows_add_no_parameters_to_option_a_but_gates(shortcut):
    count, plain = built(CHANGING, shortcut).count_params(), built(CHANGING, "A").count_params()
    assert count - plain == (4 * 8 + 8 if "gating" in shortcut else 0)


def biased(unit):
    return [x.name for x in unit.body.layers if hasattr(x, "kernel") and x.bias is not None]


@pytest.mark.parametrize(
    ("use_bias", "order", "expected"),
    [
        (None, "original", []),
        (True, "original", ["conv_1", "conv_2", "conv_shortcut"]),
        ("bare", "original", []),
        (None, "full_preact", []),
        ("bare", "full_preact", ["conv_2", "conv_shortcut"]),
        ("bare", "bn_after_add", ["conv_2"]),
    ],
)
def test_biases_stand_where_they_are_asked_for(use_bias, order, expected):
    unit = built(CHANGING, "B", order=order, use_bias=use_bias)
    assert sorted(biased(unit)) == expected


def test_without_bn_every_convolution_has_a_bias():
    assert len(biased(built(CHANGING, "B", batch_norm=None))) == 3


def test_keras_projects_new_maps_and_drops_pixels_elsewhere():
    """ResNet50V2: the shortcut of a unit that only halves the size sees no activation."""
    options = {"order": "full_preact"}
    names = [layer.name for layer in built("conv3-8 conv3-8", "keras", **options).body.layers]
    assert "conv_shortcut" in names
    unit = built("conv3/2-4 conv3-4", "keras", **options)
    assert "conv_shortcut" not in [layer.name for layer in unit.body.layers]
    for layer in unit.body.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(np.zeros(layer.kernel.shape))
    np.testing.assert_array_equal(numpy(unit(image())), image()[:, ::2, ::2])


@each_row
def test_file_gives_the_same_unit(shortcut, tmp_path):
    gate_bias = -2.0 if shortcut in GATED else -6.0
    unit = built(CHANGING, shortcut, gate_bias=gate_bias, use_bias=True, name="conv3_1")
    model = keras.Sequential([keras.Input((6, 7, 4)), unit])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_layer("conv3_1").get_config() == unit.get_config()
    np.testing.assert_array_equal(numpy(again(image())), numpy(model(image())))
