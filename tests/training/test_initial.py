"""Tests of initial values: kernels by rule, biases by name, all drawn from the seed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_ilsvrc.layers import (
    GroupedConv2D,
    RadialBasis,
    ResidualUnit,
    Subsampling2D,
    TableConv2D,
)
from keras_ilsvrc.layers.graph import leaves
from keras_ilsvrc.training.initial import RULES, set_initial_values


def test_kernels_are_drawn_with_the_deviation_given():
    image = keras.Input((8, 8, 64))
    x = ResidualUnit("conv3-128 conv3-128")(image)
    model = keras.Model(image, keras.layers.Dense(512, name="fc6")(keras.layers.Flatten()(x)))
    set_initial_values(model, {"kernel": ("normal", 0.01), "bias": {}}, seed=3)
    kernels = [layer.kernel.numpy() for layer in leaves(model) if hasattr(layer, "kernel")]
    assert len(kernels) == 4
    for kernel in kernels:
        assert abs(kernel.std() / 0.01 - 1) < 0.02
        assert abs(kernel.mean()) < 5 * 0.01 / np.sqrt(kernel.size)
        assert np.abs(kernel).max() < 0.07


def test_biases_are_set_by_name_and_are_zero_elsewhere(small_net):
    model = small_net()
    for layer in leaves(model):
        if getattr(layer, "bias", None) is not None:
            layer.bias.assign(tf.fill(layer.bias.shape, 9.0))
    table = {"kernel": ("normal", 0.1), "bias": {"conv1": 1.0, "conv_2": 0.5}}
    set_initial_values(model, table, seed=0)
    biases = {
        layer.name: set(layer.bias.numpy().tolist())
        for layer in leaves(model)
        if getattr(layer, "bias", None) is not None
    }
    assert biases == {
        "conv1": {1.0},
        "conv_1": {0.0},
        "conv_2": {0.5},  # inside a unit
        "conv_shortcut": {0.0},
        "predictions": {0.0},
    }


def test_a_bias_that_is_not_named_starts_where_its_layer_starts_it():
    image = keras.Input((8, 8, 1))
    gate = keras.layers.Conv2D(4, 1, bias_initializer=keras.initializers.Constant(-6.0))
    bare = keras.layers.Conv2D(4, 1, use_bias=False)
    plain = keras.layers.Conv2D(4, 1, bias_initializer="ones", name="plain")
    model = keras.Model(image, plain(bare(gate(image))))
    for layer in (gate, plain):
        layer.bias.assign(tf.fill((4,), 9.0))
    set_initial_values(model, {"kernel": ("normal", 0.1), "bias": {"plain": 0.5}}, seed=0)
    np.testing.assert_array_equal(gate.bias.numpy(), -6)
    np.testing.assert_array_equal(plain.bias.numpy(), 0.5)
    set_initial_values(model, RULES["he"], seed=0)
    np.testing.assert_array_equal(plain.bias.numpy(), 1)


def test_values_by_fan_in_fill_the_range_of_every_unit():
    """LeCun et al. 1998, appendix A: uniform within 2.4 / fan-in on both sides."""
    table = [list(range(maps)) for maps in (1, 2, 4, 8, 16)]
    image = keras.Input((11, 11, 16))
    x = keras.layers.Conv2D(64, 3, name="conv")(image)
    x = GroupedConv2D(16, 3, groups=4, name="grouped")(x)
    x = Subsampling2D(name="subsampling")(TableConv2D(table, 5, name="table")(x))
    x = keras.layers.Dense(64, name="dense")(keras.layers.Flatten()(x))
    model = keras.Model(image, RadialBasis(np.ones((3, 64)), name="codes")(x))
    set_initial_values(model, {"kernel": ("fan_in", 2.4), "bias": {}}, seed=1)

    found = {name: model.get_layer(name).kernel.numpy() for name in ("conv", "grouped", "dense")}
    limits = {"conv": 2.4 / (9 * 16), "grouped": 2.4 / (9 * 16), "dense": 2.4 / 5}
    kernels = np.split(model.get_layer("table").kernel.numpy(), np.cumsum([1, 2, 4, 8]), -1)
    for maps, kernel in zip((1, 2, 4, 8, 16), kernels, strict=True):
        found[f"table_{maps}"], limits[f"table_{maps}"] = kernel, 2.4 / (25 * maps)
    for name, kernel in found.items():
        assert limits[name] * 0.85 < abs(kernel).max() <= limits[name]
        assert kernel.std() == pytest.approx(limits[name] / np.sqrt(3), rel=0.25)
    coefficients = model.get_layer("subsampling").coefficient.numpy()
    assert 0 < abs(coefficients).min() <= abs(coefficients).max() <= 2.4 / 4
    assert len(np.unique(coefficients)) == 5
    np.testing.assert_array_equal(model.get_layer("codes").codes.numpy(), 1)


@pytest.mark.parametrize(
    "table",
    [
        {"kernel": ("normal", 0.1), "bias": {}},
        {"kernel": ("fan_in", 2.4), "bias": {}},
        *RULES.values(),
    ],
)
def test_the_same_seed_gives_the_same_values_and_another_seed_others(table, small_net):
    drawn = []
    for seed in (1, 1, 2):
        model = small_net()
        set_initial_values(model, table, seed)
        drawn.append([x.numpy() for x in model.trainable_variables if x.name == "kernel"])
    for first, second, other in zip(*drawn, strict=True):
        np.testing.assert_array_equal(first, second)
        assert (first == other).mean() < 0.01


def test_layers_of_one_shape_get_values_of_their_own():
    image = keras.Input((8, 8, 4))
    model = keras.Model(image, ResidualUnit("conv3-4 conv3-4 conv3-4", shortcut="none")(image))
    set_initial_values(model, RULES["he"], seed=0)
    one, two, three = (x.numpy() for x in model.trainable_variables if x.name == "kernel")
    for pair in ((one, two), (two, three), (one, three)):
        assert np.abs(np.corrcoef(pair[0].ravel(), pair[1].ravel())[0, 1]) < 0.3


def test_batch_normalisation_keeps_its_values(small_net):
    model = small_net()
    set_initial_values(model, RULES["glorot"], seed=0)
    for variable in model.variables:
        if variable.name in ("gamma", "moving_variance"):
            np.testing.assert_array_equal(variable.numpy(), 1)
        elif variable.name in ("beta", "moving_mean"):
            np.testing.assert_array_equal(variable.numpy(), 0)
