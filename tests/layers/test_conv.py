"""Tests of the convolution: same outputs and gradients as Keras' convolution."""

import keras
import numpy as np
import pytest

from keras_ilsvrc.layers.conv import Conv2D

pytestmark = pytest.mark.tensorflow

MULTIPLIED = [
    {"kernel_size": 1},
    {"kernel_size": 1, "padding": "same", "use_bias": False},
    {"kernel_size": 1, "activation": "tanh"},
]
LEFT = [
    {"kernel_size": 3},
    {"kernel_size": (1, 7), "padding": "same"},
    {"kernel_size": 3, "padding": "same", "strides": 2},
    {"kernel_size": 1, "strides": 2},
    {"kernel_size": 3, "padding": "same", "dilation_rate": 2},
    {"kernel_size": 1, "groups": 2},
]


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(2, 7, 6, 4)).astype("float32")


def pair(case, dtype="float32"):
    """Our layer and that of Keras with the same weights, biases away from zero."""
    made = []
    for kind in (Conv2D, keras.layers.Conv2D):
        layer = kind(6, bias_initializer="normal", dtype=dtype, **case)
        layer.build((None, 7, 6, 4))
        made.append(layer)
    made[1].set_weights(made[0].get_weights())
    return made


def outputs_and_gradients(layer, images):
    import tensorflow as tf

    images = tf.constant(images)

    @tf.function
    def step(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            y = layer(images)
            loss = tf.reduce_sum(tf.cast(y, "float32") ** 3)
        weights = [weight.value for weight in layer.trainable_weights]
        return [y, *tape.gradient(loss, [images, *weights])]

    operations = [op.type for op in step.get_concrete_function(images).graph.get_operations()]
    return [x.numpy().astype("float32") for x in step(images)], operations


@pytest.mark.parametrize("case", MULTIPLIED + LEFT, ids=str)
def test_outputs_and_gradients_are_those_of_keras(case, images):
    ours, theirs = pair(case)
    for mine, expected in zip(
        outputs_and_gradients(ours, images)[0],
        outputs_and_gradients(theirs, images)[0],
        strict=True,
    ):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("case", MULTIPLIED, ids=str)
def test_the_gradient_of_the_kernel_is_a_matrix_product(case, images):
    ours, theirs = pair(case)
    assert "Conv2DBackpropFilter" not in outputs_and_gradients(ours, images)[1]
    assert "Conv2DBackpropFilter" in outputs_and_gradients(theirs, images)[1]


@pytest.mark.parametrize("case", LEFT, ids=str)
def test_other_convolutions_are_left_to_keras(case):
    assert not Conv2D(6, **case).multiplies()


def test_a_gpu_is_left_to_keras(monkeypatch):
    layer = Conv2D(6, 1)
    assert layer.multiplies()
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind: ["gpu:0"])
    assert not layer.multiplies()


def test_half_precision_keeps_its_type(images):
    ours, theirs = pair(MULTIPLIED[0], dtype="mixed_bfloat16")
    mine, expected = ours(images), theirs(images)
    assert mine.dtype == expected.dtype == "bfloat16"
    for one, other in zip(
        outputs_and_gradients(ours, images)[0], outputs_and_gradients(theirs, images)[0]
    ):
        np.testing.assert_allclose(one, other, rtol=0.05, atol=0.05 * np.abs(other).max())


def test_has_a_second_derivative(images):
    import tensorflow as tf

    found = []
    for layer in pair(MULTIPLIED[0]):
        x = tf.constant(images)
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(layer(x) ** 3)
            slope = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        found.append(outer.gradient(slope, [x, layer.kernel.value]))
    for mine, expected in zip(*found):
        expected = expected.numpy()
        np.testing.assert_allclose(mine, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
