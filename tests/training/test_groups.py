"""Tests of layers by name: what a name means, which layers are frozen, and learning rates."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import toy

import keras_ilsvrc
from keras_ilsvrc import InputError
from keras_ilsvrc.layers import ResidualUnit
from keras_ilsvrc.layers.graph import batch_norms
from keras_ilsvrc.training.groups import freeze, heads, named, rates_by_weight, unit_of
from keras_ilsvrc.training.optimizers import SGD

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def googlenet():
    return keras_ilsvrc.build("googlenet", auxiliary=True, classes=7)


def small(dropout=0.5):
    """A chain with a unit, a tenth layer, and dropout before and between the dense layers."""
    x = image = keras.Input((8, 8, 3), name="image")
    for name in ("conv4_1", "conv4_2", "conv4_10"):
        x = keras.layers.Conv2D(4, 3, padding="same", name=name)(x)
        x = keras.layers.BatchNormalization(name=f"{name}_bn")(x)
    x = ResidualUnit("conv3-4 conv3-4", shortcut="none", name="conv5_1")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dropout(dropout, name="drop6")(x)
    x = keras.layers.Dense(16, name="fc7")(x)
    x = keras.layers.Dropout(dropout, name="drop7")(x)
    return keras.Model(image, keras.layers.Dense(3, "softmax", name="fc8")(x))


def names(layers):
    return [layer.name for layer in layers]


def test_the_unit_of_a_layer_means_this_layer(googlenet):
    for model in (small(), googlenet):
        for layer in model.layers:
            assert layer in named(model, unit_of(layer.name))
    units = map(unit_of, ("conv4_10_bn", "conv5_1", "inception_4a_pool_proj_bn", "mixed_6b_1x1"))
    assert [*units] == ["conv4_10", "conv5_1", "inception_4a", "mixed_6b"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("conv4_1", ["conv4_1", "conv4_1_bn"]),
        ("conv4", ["conv4_1", "conv4_1_bn", "conv4_2", "conv4_2_bn", "conv4_10", "conv4_10_bn"]),
        ("conv4_1_bn", ["conv4_1_bn"]),
        ("head", ["fc8"]),
        ("conv", []),
        ("con", []),
        ("conv4_", []),
        ("fc", []),
    ],
)
def test_a_name_means_a_layer_or_all_that_begin_with_it(name, expected):
    assert names(named(small(), name)) == expected


def test_a_module_consists_of_its_branches_and_each_output_has_a_head(googlenet):
    assert len(named(googlenet, "inception_4b")) == 8  # with the pool and the concatenation
    assert len(named(googlenet, "inception_4")) == 5 * 8
    assert sorted(names(heads(googlenet))) == ["aux1_logits", "aux2_logits", "logits"]
    assert names(heads(keras_ilsvrc.build("nin", classes=7))) == ["cccp8"]


def test_a_module_is_frozen_with_all_before_it_but_not_the_branches_beside(googlenet):
    frozen = set(freeze(googlenet, "inception_4b"))
    trained = {x.name for x in googlenet.layers if x.trainable and x.weights}
    assert {"conv1", "inception_4a_1x1", "inception_4b_pool_proj"} <= frozen
    assert {"inception_4c_1x1", "aux1_logits", "logits"} <= trained
    assert not any(name < "inception_4c" for name in trained if name.startswith("inception"))


@pytest.mark.parametrize("bn", ["inference", "train"])
def test_frozen_batch_normalisation_runs_in_inference_or_is_trained(bn):
    model = small()
    frozen = keras_ilsvrc.freeze(model, "conv5_1", bn)
    assert frozen[-1] == "conv5_1"
    trained = {weight.name for weight in model.trainable_weights}
    assert trained == {"kernel", "bias"} | ({"gamma", "beta"} if bn == "train" else set())
    kernels = [x.path for x in model.trainable_weights if x.name == "kernel"]
    assert kernels == ["fc7/kernel", "fc8/kernel"]
    norms = batch_norms(model)
    before = [x.moving_mean.numpy() for x in norms]
    model(np.random.default_rng(0).normal(3, 2, (4, 8, 8, 3)).astype("float32"), training=True)
    changed = [(x.moving_mean.numpy() != y).any() for x, y in zip(norms, before, strict=True)]
    assert changed == [bn == "train"] * len(norms)


def test_a_frozen_part_runs_without_dropout():
    model = small(0.9)
    freeze(model, "fc7")
    update = toy.update_of(model, average=None)
    inside = keras.Model(model.input, model.get_layer("fc7").output)
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
    with update._frozen_dropout_off():
        found = inside(images, training=True)
        assert [model.get_layer(x).rate for x in ("drop6", "drop7")] == [0, 0.9]
    np.testing.assert_allclose(found, inside(images, training=False), rtol=1e-5, atol=1e-6)
    assert model.get_layer("drop6").rate == 0.9


@pytest.mark.parametrize(("until", "convolutions"), [("conv5_1", 0), ("conv4_10", 2)])
def test_no_gradients_are_computed_for_a_frozen_part(until, convolutions):
    model = small()
    freeze(model, until)
    update = toy.update_of(model, average=None)
    inputs = tf.zeros((8, 8, 8, 3)), tf.zeros(8, tf.int32), tf.constant(1.0), tf.constant(0)
    graph = tf.function(update._gradients).get_concrete_function(*inputs).graph
    kinds = [x.type for x in graph.get_operations()]
    assert kinds.count("Conv2DBackpropFilter") == convolutions
    assert not any("BatchNormGrad" in kind for kind in kinds) or convolutions


def test_a_step_changes_only_what_is_not_frozen():
    model = toy.net()
    freeze(model, "bn1")
    update = toy.update_of(model)
    before = {x.path: x.numpy() for x in model.weights}
    update.take(iter(toy.batches(0, tf.distribute.InputContext())), 0, 1)
    changed = {x.path for x in model.weights if (x.numpy() != before[x.path]).any()}
    assert changed == {"predictions/kernel", "predictions/bias"}


def test_rates_of_weights_and_of_layers_multiply_and_the_longest_name_counts():
    model = small()
    rates = {"bias": 2.0, "conv4": 0.1, "conv4_2": 0.5, "fc8": 3.0, "head": 10.0}
    found = rates_by_weight("rates", model, rates)
    some = {"conv4_1/kernel": 0.1, "conv4_1/bias": 0.2, "conv4_10/kernel": 0.1}
    some |= {"conv4_2/kernel": 0.5, "conv4_2_bn/gamma": 0.5, "fc7/kernel": 1.0}
    some |= {"fc7/bias": 2.0, "fc8/kernel": 10.0, "fc8/bias": 20.0}
    assert {path: found[path] for path in some} == pytest.approx(some)
    assert found.keys() == {x.path for x in model.weights}
    assert rates_by_weight("rates", model, {"bias": 2.0}) == {"bias": 2.0}


def test_a_rate_by_path_has_precedence_over_that_of_the_name():
    bias, kernel = (keras.Variable(np.ones(2), name=name) for name in ("bias", "kernel"))
    optimizer = SGD(0.1, rates={"bias": 2.0, bias.path: 3.0})
    optimizer.build([bias, kernel])
    for variable in (bias, kernel):
        optimizer.update_step(np.ones(2, "float32"), variable, optimizer.learning_rate)
    np.testing.assert_allclose(kernel.numpy(), 0.9)
    np.testing.assert_allclose(bias.numpy(), 0.7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: freeze(x, "conv4_11"), "has no layer 'conv4_11'; did you mean 'conv4_1'"),
        (lambda x: freeze(x, "nosuch"), "'nosuch'; `keras-ilsvrc info NET --account` and model.su"),
        (lambda x: freeze(x, "conv4_1", "yes"), "bn is 'yes'; expected 'inference' or 'train'"),
        (
            lambda x: rates_by_weight("optimizer.rates", x, {"fc9": 2.0}),
            r"optimizer.rates.fc9: .* has no layer 'fc9'; did you mean 'fc[78]'",
        ),
    ],
)
def test_what_a_model_does_not_have_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call(small())
