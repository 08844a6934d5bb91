"""Tests of gradients and responses by layer, of the rule of CNDS, and of decaying losses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import toy

from keras_ilsvrc import InputError
from keras_ilsvrc.layers import ResidualUnit
from keras_ilsvrc.training.gradient_flow import branch_placement, gradient_flow
from keras_ilsvrc.training.losses import DECAYS, CrossEntropy, Decay

pytestmark = pytest.mark.tensorflow
LABELS = np.array([0, 1, 2, 1])
IMAGES = np.random.default_rng(0).normal(size=(4, 6, 6, 1)).astype("float32")


def by_layer(*given, **options):
    return {row.layer: row for row in gradient_flow(*given, **options)}


@pytest.mark.parametrize("inside", [False, True])
def test_gradients_of_a_softmax_layer_are_those_of_its_formula(inside):
    """For the mean cross-entropy, dL/dz is (p - y) / n, and dL/dW is x^T (p - y) / n."""
    x = keras.Input((5,))
    y = keras.layers.Dense(3, "softmax" if inside else None, name="scores")(x)
    model = keras.Model(x, y if inside else keras.layers.Activation("softmax")(y))
    inputs = np.random.default_rng(1).normal(size=(4, 5)).astype("float32")
    kernel, bias = model.get_weights()
    scores = inputs @ kernel + bias
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    signal = (chances - np.eye(3)[LABELS]) / 4
    (row,) = gradient_flow(model, inputs, LABELS)
    assert row.layer == "scores"
    assert row.weight_gradient == pytest.approx(np.abs(inputs.T @ signal).mean(), rel=1e-5)
    assert row.activation_gradient == pytest.approx(np.abs(signal).mean(), rel=1e-5)
    assert row.response == pytest.approx(scores.std(), rel=1e-5)


def test_responses_come_after_batch_normalisation_by_the_statistics_of_the_batch():
    model = toy.net(dropout=0)
    model.get_layer("bn1").moving_mean.assign(np.full(4, 7.0))  # not used in training
    maps = keras.Model(model.input, model.get_layer("conv1").output)(IMAGES).numpy()
    normed = (maps - maps.mean((0, 1, 2))) / np.sqrt(maps.var((0, 1, 2)) + 1e-3)
    found = by_layer(model, IMAGES, LABELS)
    assert [*found] == ["conv1", "predictions"]
    assert found["conv1"].response == pytest.approx(normed.std(), rel=1e-4)


def test_layers_inside_units_are_measured_in_graph_order():
    image = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(4, 3, padding="same", name="conv1")(image)
    x = ResidualUnit("conv3-4 conv3-4", batch_norm={"momentum": 0.9}, name="conv2_1")(x)
    x = keras.layers.Flatten()(x)
    model = keras.Model(image, keras.layers.Dense(3, "softmax", name="predictions")(x))
    found = by_layer(model, IMAGES, LABELS)
    assert [*found] == ["conv1", "conv2_1/conv_1", "conv2_1/conv_2", "predictions"]
    assert found["conv2_1/conv_2"].response == pytest.approx(1, abs=0.05)  # before the addition
    assert all(row.weight_gradient > 0 and row.activation_gradient > 0 for row in found.values())


def test_a_measurement_changes_nothing_and_repeats_exactly():
    model = toy.net(dropout=0.5)
    before = [x.numpy() for x in model.variables]
    first = gradient_flow(model, IMAGES, LABELS)
    assert gradient_flow(model, IMAGES, LABELS) == first
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value, variable.path)
    model.get_layer("drop1").rate = 0.0  # dropout was on
    changed = gradient_flow(model, IMAGES, LABELS)
    assert changed[1].weight_gradient != first[1].weight_gradient


def test_frozen_layers_run_as_in_inference_and_are_measured_too():
    model = toy.net(dropout=0.5)
    model.trainable = False
    found = by_layer(model, IMAGES, LABELS)
    with tf.GradientTape() as tape:
        kernel = model.get_layer("predictions").kernel.value
        tape.watch(kernel)
        chances = model(IMAGES, training=False)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(LABELS, chances))
    expected = np.abs(tape.gradient(loss, kernel)).mean()
    assert found["predictions"].weight_gradient == pytest.approx(expected, rel=1e-4)
    assert found["conv1"].weight_gradient > 0


def two_outputs():
    x = keras.Input((5,))
    maps = keras.layers.Dense(4, name="maps")(x)
    heads = {name: keras.layers.Dense(3, "softmax", name=name) for name in ("aux", "predictions")}
    return keras.Model(x, {name: head(maps) for name, head in heads.items()})


def test_the_loss_of_each_output_counts_by_its_weight():
    model, inputs = two_outputs(), np.ones((4, 5), "float32")
    found = by_layer(model, inputs, LABELS, CrossEntropy({"aux": 0.0}))
    twice = by_layer(model, inputs, LABELS, CrossEntropy({"predictions": 2.0}))
    assert found["aux"].weight_gradient == 0 < found["predictions"].weight_gradient
    whole = twice["predictions"].weight_gradient
    assert whole == pytest.approx(2 * found["predictions"].weight_gradient, rel=1e-5)


def test_gradients_below_the_range_of_float16_are_measured():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = toy.net(dropout=0)
    finally:
        keras.config.set_dtype_policy("float32")
    # Float16 has no number between 0 and 6e-8; of 4e-6, few digits would be left.
    found = by_layer(model, IMAGES, LABELS, CrossEntropy({"predictions": 1e-6}))
    exact = toy.net(dropout=0)
    exact.set_weights(model.get_weights())
    expected = by_layer(exact, IMAGES, LABELS, CrossEntropy({"predictions": 1e-6}))
    for name, row in found.items():
        assert row.weight_gradient == pytest.approx(expected[name].weight_gradient, rel=0.1)


class Own(keras.Model):
    """A model that is not functional."""


def bare():
    image = keras.Input((6, 6, 1))
    return keras.Model(image, keras.layers.Flatten()(image), name="bare")


@pytest.mark.parametrize(
    ("make", "labels", "message"),
    [
        (lambda: Own(name="own"), LABELS, "own is not a functional model"),
        (bare, LABELS, "bare has no layer with weights"),
        (toy.net, LABELS[:2], r"images and labels have lengths \[2, 4\]"),
    ],
)
def test_what_cannot_be_measured_is_refused(make, labels, message):
    with pytest.raises(InputError, match=message):
        gradient_flow(make(), IMAGES, labels)


def rows(*table):
    """Rows of (step, gradients of the weights of a, b, c, d)."""
    return [
        {"step": step, "layer": layer, "weight_gradient": value}
        for step, *values in table
        for layer, value in zip("abcd", values)
    ]


@pytest.mark.parametrize(
    ("table", "options", "layer"),
    [
        (rows((0, 1e-3, 1e-3, 1e-3, 1e-3)), {}, None),
        (rows((0, 1e-9, 1e-8, 1e-3, 1e-2)), {}, "b"),
        (rows((0, 1e-3, 1e-3, 1e-3, 1e-2), (50, 1e-8, 9e-8, 1e-6, 1)), {}, "b"),
        (rows((10, 1e-8, 1e-3, 9e-8, 1), (20, 1e-3, 1e-3, 1e-3, 1)), {}, "c"),
        (rows((10, 1e-3, 1e-3, 1e-3, 1), (51, 1e-8, 1e-8, 1e-8, 1)), {}, None),
        (rows((10, 1e-3, 1e-3, 1e-3, 1), (51, 1e-8, 1e-8, 1, 1)), {"iterations": 60}, "b"),
        (rows((10, 1e-4, 1e-5, 1e-3, 1)), {"below": 1e-4}, "b"),
        (rows((10, 1e-8, None, 1e-3, 1)), {}, "a"),
        (rows((10, 1e-7, 1e-3, 1e-3, 1)), {}, None),
    ],
)
def test_a_branch_stands_behind_the_deepest_layer_whose_gradient_vanishes(table, options, layer):
    assert branch_placement(table, **options) == layer


def test_weights_of_branches_decay_as_in_the_paper():
    """a_(t+1) = a_t * (1 - t / N) for N = 5, by hand: 1, 1, 4/5, 4/5 * 3/5, 4/5 * 3/5 * 2/5."""
    assert DECAYS["cnds"](5) == pytest.approx([1, 1, 0.8, 0.48, 0.192])
    assert DECAYS["linear"](5) == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])
    assert DECAYS["cnds"](1) == DECAYS["linear"](1) == [1]
    decay = Decay(tuple(DECAYS["cnds"](5)), 10)
    steps = {0: 1, 19: 1, 20: 0.8, 29: 0.8, 30: 0.48, 49: 0.192, 50: 0.192}
    for step, factor in steps.items():
        assert float(decay.at(tf.constant(step, tf.int64))) == pytest.approx(factor)


def test_only_the_losses_of_auxiliary_outputs_decay():
    chances = {"predictions": tf.constant([[0.5, 0.5]]), "aux": tf.constant([[0.25, 0.75]])}
    loss = CrossEntropy({"aux": 0.3}, decay=Decay((1.0, 0.5), 10))
    for step, factor in ((0, 1), (9, 1), (10, 0.5), (99, 0.5)):
        found, _ = loss(chances, tf.constant([0]), step)
        assert float(found) == pytest.approx(np.log(2) + factor * 0.3 * np.log(4))


def test_a_decay_is_a_function_of_the_step_in_training():
    """Also if several steps are one graph call."""
    losses = {}
    for calls in ((1, 1, 1, 1), (4,)):
        keras.utils.set_random_seed(0)
        image = keras.Input((6, 6, 1))
        maps = keras.layers.Flatten()(image)
        heads = ("predictions", "aux")
        outputs = {x: keras.layers.Dense(3, "softmax", name=x)(maps) for x in heads}
        optimizer = keras.optimizers.SGD(0.0)
        loss = CrossEntropy({"predictions": 0.0, "aux": 1.0}, decay=Decay((1.0, 0.5, 0.25), 1))
        update = toy.Update(keras.Model(image, outputs), optimizer, loss, 8, 0)
        images = np.tile(IMAGES, (2, 1, 1, 1)), np.tile(LABELS, 2)
        batches = tf.data.Dataset.from_tensors(images).repeat()
        iterator, step = iter(update.strategy.experimental_distribute_dataset(batches)), 0
        losses[calls] = []
        for count in calls:
            losses[calls] += [row.loss for row in update.take(iterator, step, count)]
            step += count
    single, together = losses.values()
    assert single == together
    assert np.array(single) / single[0] == pytest.approx([1, 0.5, 0.25, 0.25])
