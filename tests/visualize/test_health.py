"""Tests of the health of filters: with kernels set by hand, and compared with NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_ilsvrc
from keras_ilsvrc.layers import TableConv2D
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.health import energy, health

BOARD = (-1.0) ** np.add.outer(np.arange(7), np.arange(7))  # changes from pixel to pixel
MEAN = np.ones((7, 7))
WAVE = np.tile(np.cos(2 * np.pi * np.arange(7) / 7), (7, 1))  # one cycle across
SINE = np.tile(np.sin(2 * np.pi * np.arange(7) / 7), (7, 1))
BELL = np.outer(*[np.exp(-(((np.arange(7) - 3) / 1.75) ** 2) / 2)] * 2)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def one_layer(kernels, stride=1, bias=None, behind=(), channels=1):
    """A net of one convolution with these kernels."""
    kernel = np.stack([np.repeat(k[..., None], channels, -1) for k in kernels], -1)
    rows, columns = kernel.shape[:2]
    x = inputs = keras.Input((30, 30, channels))
    conv = layers.Conv2D(
        len(kernels), (rows, columns), stride, name="conv1", activation=None if behind else "relu"
    )
    x = conv(x)
    for layer in behind:
        x = layer(x)
    conv.set_weights([kernel, np.zeros(len(kernels)) if bias is None else bias])
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)), name="net")


def row(*args, images=None, **kwargs):
    return health(one_layer(*args, **kwargs), images)[0]


def test_what_dominates_a_filter_is_found():
    found = row([MEAN, BOARD, WAVE, -2 * BELL, SINE])
    assert (found.filters, found.low, found.high) == (5, 2, 1)
    assert found.kernel == (7, 7)


def test_small_kernels_have_no_bands():
    found = row([MEAN[:3, :3], BOARD[:3, :3]], stride=2)
    assert found.low is None
    assert found.high is None
    assert found.aliased > 0.4


@pytest.mark.parametrize(("rows", "columns"), [(5, 5), (7, 3), (11, 11), (1, 7)])
def test_the_energy_in_a_band_is_that_of_the_padded_spectrum(rows, columns):
    kernel = noise(rows, columns, 3, 4)
    power = (np.abs(np.fft.fft2(kernel, (64, 64), (0, 1))) ** 2).sum(2)
    frequency = np.abs(np.fft.fftfreq(64))
    for band in (
        np.hypot(*np.meshgrid(frequency, frequency)) < 0.1,
        np.maximum.outer(frequency, frequency) > 0.125,
        np.add.outer(frequency, 0 * frequency) > 0.3,  # of the rows only
    ):
        expected = power[band].sum(0) / power.sum((0, 1))
        np.testing.assert_allclose(energy(kernel, band), expected, atol=1e-5)


@pytest.mark.parametrize("kernel", [BOARD, MEAN])
def test_a_stride_folds_a_chequerboard_and_no_mean(kernel):
    assert row([kernel]).aliased == 0
    assert (row([kernel], stride=2).aliased > 0.95) == (kernel is BOARD)
    assert (row([kernel], stride=2).aliased < 0.25) == (kernel is MEAN)


def test_filters_that_are_alike_are_counted_with_their_negatives():
    random = [noise(7, 7, seed=n) for n in range(3)]
    found = row([*random, -3 * random[1], random[1] + 0.01 * random[2]])
    assert found.duplicates == 3
    assert row(random).duplicates == 0


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_the_folded_share_is_that_of_white_noise(stride):
    """Of a single weight the spectrum is flat: what is folded is the area outside of the band."""
    kernel = np.zeros((7, 7))
    kernel[3, 3] = 1
    assert row([kernel], stride=stride).aliased == pytest.approx(1 - 1 / stride**2, abs=0.015)


def test_a_large_stride_gets_zeiler_and_fergus_hint_and_smooth_filters_do_not():
    sharp = row([noise(11, 11, seed=n) for n in range(8)], stride=4)
    assert sharp.aliased > 0.8
    assert any("11x11/4 to 7x7/2" in hint for hint in sharp.hints)
    places = np.exp(-((np.arange(7) - 3) ** 2) / 6)
    bell = np.outer(places, places)
    smooth = row([bell * np.cos(0.9 * np.arange(7) + 0.8 * n) for n in range(4)], stride=2)
    assert smooth.aliased < 0.1
    assert smooth.hints == ()


def test_a_filter_of_zeros_is_like_no_other_and_dominated_by_nothing():
    found = row([np.zeros((7, 7)), np.zeros((7, 7)), BOARD], stride=2)
    assert (found.duplicates, found.low, found.high) == (0, 0, 1)


@pytest.mark.parametrize(
    ("kernels", "said"),
    [
        ([MEAN, WAVE, SINE], "1 of 3 filters compute little more than a mean"),
        ([BOARD, WAVE, SINE], "1 of 3 filters respond mostly to changes from pixel to pixel"),
        ([WAVE, -WAVE, SINE], "2 of 3 filters are nearly the same as another"),
    ],
)
def test_a_hint_is_one_line_that_counts_the_filters(kernels, said):
    (hint,) = row(kernels).hints
    assert hint.startswith(said)
    assert "\n" not in hint


def test_dead_maps_are_those_that_are_never_above_zero():
    bias = np.array([0, -1e9, 0, -1e9], "float32")
    kernels = [noise(7, 7, seed=n) for n in range(4)]
    found = row(kernels, bias=bias, images=noise(10, 30, 30, 1))
    assert found.dead == 2
    assert any("2 of 4 maps are zero" in hint for hint in found.hints)
    assert row(kernels, bias=bias).dead is None  # without images


def test_a_map_that_is_alive_once_is_not_dead():
    images = np.zeros((9, 30, 30, 1), "float32")
    images[8, 20, 20] = 1
    kernel = [np.ones((3, 3)), -np.ones((3, 3))]
    for given in (images, [images[:4], images[4:]], tf.data.Dataset.from_tensors((images, [0]))):
        told = []
        found = health(one_layer(kernel), given, batch_size=4, progress=told.append)
        assert found[0].dead == 1
        assert told[-1] == 9


@pytest.mark.parametrize(
    ("behind", "dead"),
    [
        ([layers.BatchNormalization(), layers.Activation("relu")], 1),
        ([layers.ReLU()], 1),
        ([layers.BatchNormalization()], None),
        ([layers.MaxPooling2D(2), layers.ReLU()], None),  # a pool sees many units
    ],
)
def test_the_relu_is_found_behind_normalisation(behind, dead):
    net = one_layer([MEAN, -MEAN], behind=behind)
    images = np.abs(noise(4, 30, 30, 1))
    assert health(net, images)[0].dead == dead


def test_every_layer_of_a_net_with_units_has_a_row():
    net = keras_ilsvrc.build("resnet20_cifar", input_shape=(8, 8, 1))
    rows = {row.layer: row for row in health(net, noise(4, 8, 8, 1))}
    assert rows["conv2_1/conv_1"].dead is not None
    assert rows["conv2_1/conv_2"].dead is None  # its ReLU stands behind the sum
    assert sum(row.kernel is not None for row in rows.values()) == 19  # and one dense layer
    assert len(rows) == 20


def test_health_refuses_images_of_another_size():
    with pytest.raises(InputError, match="images are 8x8x1"):
        health(one_layer([MEAN]), noise(2, 8, 8, 1))


def test_health_refuses_no_images():
    with pytest.raises(InputError, match="images is empty"):
        health(one_layer([MEAN]), np.zeros((0, 30, 30, 1), "float32"))


def test_a_filter_of_a_depthwise_or_table_convolution_is_one_of_its_maps():
    x = inputs = keras.Input((12, 12, 2))
    x = layers.DepthwiseConv2D(5, depth_multiplier=3, activation="relu", name="apart")(x)
    x = TableConv2D([[0, 1], [2, 3, 4], [5]], 3, activation="relu", name="table")(x)
    x = layers.Conv2DTranspose(7, 3, name="back")(x)
    net = keras.Model(inputs, x)
    rows = health(net, noise(2, 12, 12, 2))
    assert [(row.layer, row.filters) for row in rows] == [("apart", 6), ("table", 3), ("back", 7)]
    assert [row.kernel for row in rows] == [(5, 5), None, None]
    assert all(row.dead <= row.filters for row in rows[:2])


def test_half_precision_is_looked_at_too():
    inputs = keras.Input((9, 9, 1))
    conv = layers.Conv2D(2, 5, activation="relu", dtype="mixed_bfloat16", name="conv1")
    net = keras.Model(inputs, conv(inputs))
    conv.set_weights([np.stack([MEAN, -MEAN], -1)[:5, :5, None], np.zeros(2)])
    assert health(net, np.ones((2, 9, 9, 1), "float32"))[0].dead == 1
