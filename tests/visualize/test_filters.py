"""Tests of pictures of kernels, with kernels set by hand."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_ilsvrc
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.filters import filters, tile

BOARD = (-1.0) ** np.add.outer(np.arange(7), np.arange(7))


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_filters_are_scaled_by_their_own_largest_weight():
    inputs = keras.Input((30, 30, 3))
    conv = layers.Conv2D(3, 7, name="conv1")
    net = keras.Model(inputs, conv(inputs))
    kernels = [np.ones((7, 7)), -2 * BOARD, np.zeros((7, 7))]
    conv.set_weights([np.stack([np.stack([k] * 3, -1) for k in kernels], -1), np.zeros(3)])
    found = filters(net)
    assert found.shape == (3, 7, 7, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], 1)
    np.testing.assert_allclose(found[1, ..., 0], 0.5 - BOARD / 2)
    np.testing.assert_allclose(found[2], 0.5)


def test_the_first_filters_of_a_net_with_units_are_its_stems():
    net = keras_ilsvrc.build("resnet20_cifar", input_shape=(8, 8, 3))
    found = filters(net)
    assert found.shape == (16, 3, 3, 3)
    stem = next(layer for layer in net.layers if hasattr(layer, "kernel"))
    np.testing.assert_array_equal(filters(net, stem.name), found)
    with pytest.raises(InputError, match="input of conv2_1/conv_1 has 16 channels"):
        filters(net, "conv2_1/conv_1")


@pytest.mark.parametrize("layer", [None, "mix", "apart"])
def test_maps_are_not_taken_for_colours(layer):
    """Neither four channels, nor the single maps that a depthwise convolution sees behind them."""
    x = inputs = keras.Input((9, 9, 4))
    x = layers.Conv2D(3, 1, name="mix")(x)
    x = layers.DepthwiseConv2D(3, name="apart")(x)
    with pytest.raises(InputError, match="expected the image itself, with 1 or 3 channels"):
        filters(keras.Model(inputs, x), layer)


def test_each_filter_of_a_depthwise_convolution_is_a_picture_of_its_own():
    inputs = keras.Input((9, 9, 3))
    conv = layers.DepthwiseConv2D(5, depth_multiplier=2, name="apart")
    net = keras.Model(inputs, conv(inputs))
    found = filters(net)
    assert found.shape == (6, 5, 5, 1)
    own = conv.get_weights()[0][:, :, 1, 0]  # of map 1 the first of two, the third filter
    np.testing.assert_allclose(found[2, ..., 0], 0.5 + own / np.abs(own).max() / 2, rtol=1e-6)


def test_a_mosaic_is_nearly_square():
    assert tile(np.zeros((96, 2, 2, 3))).shape == (10 * 3 - 1, 10 * 3 - 1, 3)
    assert tile(np.zeros((1, 2, 2, 3))).shape == (2, 2, 3)


def test_a_mosaic_holds_every_picture_in_its_place():
    pictures = noise(5, 2, 3, 1)
    made = tile(pictures, columns=2, border=1, fill=9.0)
    assert made.shape == (3 * 2 + 2, 2 * 3 + 1, 1)
    np.testing.assert_array_equal(made[3:5, 4:7], pictures[3])
    np.testing.assert_array_equal(made[6:8, :3], pictures[4])
    assert (made[6:8, 4:7] == 9).all()
    assert (made[2] == 9).all()


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("conv2", "has 2 channels; expected the image"),
        ("dense", "has no convolution kernel"),
        ("convv1", "did you mean"),
    ],
)
def test_layers_whose_filters_are_no_pictures_are_refused(layer, said):
    x = inputs = keras.Input((9, 9, 3))
    x = layers.Conv2D(2, 3, name="conv1")(x)
    x = layers.Conv2D(2, 3, name="conv2")(x)
    x = layers.Dense(2, name="dense")(layers.Flatten()(x))
    with pytest.raises(InputError, match=said):
        filters(keras.Model(inputs, x), layer)


def test_a_net_without_a_convolution_has_no_filters():
    inputs = keras.Input((4, 4, 1))
    net = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(inputs)), name="flat")
    with pytest.raises(InputError, match="flat has no convolution kernel"):
        filters(net)
