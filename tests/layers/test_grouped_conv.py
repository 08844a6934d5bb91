"""Tests of grouped convolution: compared with Keras' grouped convolution."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ilsvrc.layers import GroupedConv2D

CASES = [
    {"groups": 1},
    {"groups": 2, "padding": "same"},
    {"groups": 2, "strides": 2},
    {"groups": 2, "strides": (2, 1), "padding": "same"},
    {"groups": 2, "dilation_rate": 2},
    {"groups": 2, "use_bias": False, "activation": "relu"},
    {"groups": 4, "padding": "same", "activation": "tanh"},
    {"groups": 8},
]


def image(dtype="float32"):
    return np.random.default_rng(0).normal(size=(2, 9, 8, 8)).astype(dtype)


def float64(x):
    return ops.convert_to_numpy(x).astype("float64")


def pair(dtype="float32", filters=16, kernel=3, **arguments):
    """Our layer and that of Keras with the same weights, biases away from zero."""
    layers = []
    for kind in (GroupedConv2D, keras.layers.Conv2D):
        layer = kind(filters, kernel, bias_initializer="normal", dtype=dtype, **arguments)
        layer.build((None, 9, 8, 8))
        layers.append(layer)
    layers[1].set_weights(layers[0].get_weights())
    return layers


@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_the_convolution_of_keras(case):
    ours, theirs = pair(**case)
    expected = ops.convert_to_numpy(theirs(image()))
    result = ops.convert_to_numpy(ours(image()))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernel", [1, 5, (3, 2)])
def test_equals_the_convolution_of_keras_for_every_kernel(kernel):
    ours, theirs = pair(kernel=kernel, groups=2, padding="same")
    expected = ops.convert_to_numpy(theirs(image()))
    result = ops.convert_to_numpy(ours(image()))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_has_the_weights_of_keras(groups):
    ours, theirs = pair(groups=groups)
    assert ours.kernel.shape == (3, 3, 8 // groups, 16)
    assert [(w.name, w.shape) for w in ours.weights] == [(w.name, w.shape) for w in theirs.weights]


def test_each_group_sees_its_own_channels_alone():
    ours, _ = pair(groups=2)
    first, blind = image(), image()
    blind[..., 4:] = 0
    whole, half = (ops.convert_to_numpy(ours(x)) for x in (first, blind))
    np.testing.assert_allclose(whole[..., :8], half[..., :8], rtol=1e-6)
    assert abs(whole[..., 8:] - half[..., 8:]).max() > 0.1


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [
        ("float16", 5e-3),
        ("bfloat16", 5e-2),
        ("float32", 1e-5),
        pytest.param("float64", 1e-12, marks=pytest.mark.tensorflow),
    ],
)
def test_computes_under_every_dtype(dtype, tolerance):
    ours, _ = pair(dtype, groups=2)
    x = ops.cast(image("float64"), dtype)
    result = ours(x)
    assert keras.backend.standardize_dtype(result.dtype) == dtype
    kernel, bias = (float64(weight) for weight in ours.weights)
    expected = np.zeros((2, 7, 6, 16)) + bias
    for group in range(2):
        maps, filters = slice(4 * group, 4 * group + 4), slice(8 * group, 8 * group + 8)
        for i, j in np.ndindex(3, 3):
            seen = float64(x)[:, i : i + 7, j : j + 6, maps]
            expected[..., filters] += seen @ kernel[i, j, :, filters]
    np.testing.assert_allclose(float64(result), expected, rtol=tolerance, atol=tolerance)


def test_symbolic_output_is_that_of_keras():
    ours, theirs = pair(groups=2, strides=2, padding="same")
    x = keras.Input((9, 8, 8))
    assert ours(x).shape == theirs(x).shape == (None, 5, 4, 16)


def test_file_gives_the_same_layer(tmp_path):
    layer = GroupedConv2D(16, 3, groups=2, padding="same", name="conv2")
    model = keras.Sequential([keras.Input((9, 8, 8)), layer])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.get_layer("conv2")) is GroupedConv2D
    assert again.get_layer("conv2").groups == 2
    first, second = (ops.convert_to_numpy(each(image())) for each in (model, again))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("groups", "filters"), [(3, 15), (3, 16), (5, 15), (2, 15)])
def test_groups_must_divide_channels_and_filters(groups, filters):
    with pytest.raises(ValueError, match="groups"):
        GroupedConv2D(filters, 3, groups=groups)(image())


@pytest.mark.tensorflow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_equal_those_of_keras(case):
    import tensorflow as tf

    x = tf.constant(image())
    gradients = []
    for layer in pair(**case):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x) ** 2)
        values = [weight.value for weight in layer.trainable_weights]
        gradients.append(tape.gradient(loss, [x, *values]))
    for ours, theirs in zip(*gradients, strict=True):
        scale = abs(theirs.numpy()).max()
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.tensorflow
def test_compiled_result_is_the_same():
    import tensorflow as tf

    ours, _ = pair(groups=2, strides=2)
    compiled = tf.function(ours, jit_compile=True)
    np.testing.assert_allclose(compiled(image()), ours(image()), rtol=1e-5, atol=1e-5)
