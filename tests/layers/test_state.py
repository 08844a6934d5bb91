"""Tests that attributes of layers, also inside residual units, survive every kind of copy."""

import copy
import pickle

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_ilsvrc import build
from keras_ilsvrc.layers import ResidualUnit

BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}
SHAPE = (6, 7, 4)


def saved_and_loaded(model, folder, suffix="keras"):
    model.save(folder / f"model.{suffix}")
    return keras.saving.load_model(folder / f"model.{suffix}")


ROUTES = {
    ".keras": saved_and_loaded,
    "clone_model": lambda model, folder: keras.models.clone_model(model),
    "from_config": lambda model, folder: type(model).from_config(model.get_config()),
    "json": lambda model, folder: keras.models.model_from_json(model.to_json()),
    "deepcopy": lambda model, folder: copy.deepcopy(model),
    "pickle": lambda model, folder: pickle.loads(pickle.dumps(model)),
}
KEEP_VALUES = (".keras", "deepcopy", "pickle")
TWICE = ("one inside thawed", "a regularizer inside")
# What clones goes by configurations, like JSON; what copies goes by pickle.
SLOW = [pytest.mark.slow]
each_route = pytest.mark.parametrize(
    "route", [pytest.param(x, marks=SLOW * (x in ("from_config", "deepcopy"))) for x in ROUTES]
)


def freeze_norms(unit):
    for layer in unit.body.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False


def thaw_one_inside(unit):
    unit.trainable = False
    unit.body.get_layer("conv_2").trainable = True


def freeze_body(unit):
    unit.body.trainable = False


def regularise(unit):
    unit.body.get_layer("conv_1").kernel_regularizer = keras.regularizers.L2(0.25)


def slow_down(unit):
    unit.body.get_layer("bn_1").momentum = 0.5


CHANGES = {
    "nothing": lambda unit: None,
    "frozen": lambda unit: setattr(unit, "trainable", False),
    "frozen norms": freeze_norms,
    "frozen body": freeze_body,
    "one inside thawed": thaw_one_inside,
    "a policy inside": lambda unit: setattr(
        unit.body.get_layer("bn_2"), "dtype_policy", keras.DTypePolicy("mixed_bfloat16")
    ),
    "a regularizer inside": regularise,
    "a momentum inside": slow_down,
}


def model_of(unit):
    image = keras.Input(SHAPE)
    return keras.Model(image, unit(image), name="model")


def facts(model):
    """Return what a copy must have in common with its original."""
    inside = model.layers[1].body.layers[1:]
    return {
        "trainable": [weight.path for weight in model.trainable_weights],
        "weights": [weight.path for weight in model.weights],
        "flags": {layer.name: layer.trainable for layer in [*model.layers[1:], *inside]},
        "policies": {layer.name: layer.dtype_policy.name for layer in [*model.layers[1:], *inside]},
        "momenta": [x.momentum for x in inside if hasattr(x, "momentum")],
        "config": model.layers[1].get_config(),
    }


@each_route
def test_a_copy_of_a_unit_is_set_as_the_unit_is(route, tmp_path):
    failures = []
    for name, change in CHANGES.items():
        unit = ResidualUnit("conv3/2-8 conv3-8", batch_norm=BATCH_NORM, name="conv3_1")
        model = model_of(unit)
        change(unit)
        again = ROUTES[route](model, tmp_path)
        found, expected = facts(again), facts(model)
        failures += [(name, key) for key in expected if found[key] != expected[key]]
        if name in TWICE:  # what was read can be written
            found = facts(ROUTES[route](again, tmp_path))
            failures += [(name, "again", key) for key in expected if found[key] != expected[key]]
    assert not failures


@each_route
def test_a_seed_inside_a_unit_survives(route, tmp_path):
    unit = ResidualUnit("conv3-4 conv3-4", "dropout", batch_norm=BATCH_NORM, seed=3)
    model = model_of(unit)
    again = ROUTES[route](model, tmp_path)
    again.set_weights(model.get_weights())
    x = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    outputs = [ops.convert_to_numpy(each(x, training=True)) for each in (model, again)]
    np.testing.assert_array_equal(*outputs)


@each_route
def test_a_frozen_net_stays_frozen_in_fit(route, tmp_path):
    base = build("resnet_cifar", False, depth=8, input_shape=(8, 8, 3), pooling="avg")
    base.trainable = False
    head = keras.layers.Dense(2, activation="softmax", name="head")
    model = keras.Model(base.input, head(base.output))
    again = ROUTES[route](model, tmp_path)
    paths = ["head/kernel", "head/bias"]
    assert [weight.path for weight in again.trainable_weights] == paths
    assert [weight.path for weight in again.weights] == [weight.path for weight in model.weights]
    again.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    before = {weight.path: ops.convert_to_numpy(weight) for weight in again.weights}
    if route in KEEP_VALUES:
        for weight in model.weights:
            np.testing.assert_array_equal(before[weight.path], ops.convert_to_numpy(weight))
    again.fit(x, np.arange(4) % 2, verbose=0)
    after = {weight.path: ops.convert_to_numpy(weight) for weight in again.weights}
    assert [path for path in before if (before[path] != after[path]).any()] == paths


def test_a_configuration_lists_only_what_was_changed_inside():
    unit = ResidualUnit("conv3-4 conv3-4", batch_norm=BATCH_NORM)
    unit.build((None, *SHAPE))
    assert unit.get_config()["layer_configs"] == {}
    unit.trainable = False  # of the unit, not of a layer inside
    assert unit.get_config()["layer_configs"] == {}
    unit.body.get_layer("bn_1").trainable = True
    assert unit.get_config()["layer_configs"] == {"bn_1": {"trainable": True}}


def test_an_unknown_layer_inside_is_named():
    unit = ResidualUnit("conv3-4 conv3-4", layer_configs={"bn_9": {"trainable": False}})
    with pytest.raises(ValueError, match="layer_configs names layer 'bn_9'; expected one of co"):
        unit.build((None, *SHAPE))


@pytest.mark.parametrize("shortcut", ["A", "B", "dropout", "exclusive_gating"])
def test_the_inside_of_a_unit_is_saved_as_a_model(shortcut, tmp_path):
    unit = ResidualUnit("conv3/2-8 conv3-8", shortcut, batch_norm=BATCH_NORM)
    unit.build((None, *SHAPE))
    x = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    # Keras' .h5 loads no slices, which option A has.
    for suffix, name in (("keras", "add"), ("h5", "bn_2")):
        inside = keras.Model(unit.body.input, unit.body.get_layer(name).output)
        again = saved_and_loaded(inside, tmp_path, suffix)
        np.testing.assert_array_equal(*(ops.convert_to_numpy(each(x)) for each in (inside, again)))


def test_a_net_with_option_a_is_saved_in_h5(tmp_path):
    model = build("resnet_cifar", depth=8, input_shape=(8, 8, 1))
    model.trainable = False
    again = saved_and_loaded(model, tmp_path, "h5")
    assert again.trainable_weights == []
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype("float32")
    np.testing.assert_array_equal(*(ops.convert_to_numpy(each(x)) for each in (model, again)))
