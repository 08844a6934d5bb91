"""Filters, their health and correspondence, against kernels set by hand and NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_ilsvrc
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.visualize.correspondence import correspondence, random_boxes
from keras_ilsvrc.visualize.filters import filters, tile
from keras_ilsvrc.visualize.health import health
from keras_ilsvrc.visualize.probe import Probe

BOARD = (-1.0) ** np.add.outer(np.arange(7), np.arange(7))  # changes from pixel to pixel
MEAN = np.ones((7, 7))
WAVE = np.tile(np.cos(2 * np.pi * np.arange(7) / 7), (7, 1))  # one cycle across


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
    found = row([MEAN, BOARD, WAVE, -2 * MEAN])
    assert (found.filters, found.low, found.high) == (4, 2, 1)
    assert found.kernel == (7, 7)


def test_small_kernels_have_no_bands():
    found = row([MEAN[:3, :3], BOARD[:3, :3]])
    assert found.low is None
    assert found.high is None


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
    folded = row([kernel], stride=stride).aliased
    inside = np.mean(np.abs(np.fft.fftfreq(32)) <= 0.5 / stride)
    assert folded == pytest.approx(1 - inside**2, abs=1e-6)


def test_a_large_stride_gets_zeiler_and_fergus_hint_and_smooth_filters_do_not():
    sharp = row([noise(11, 11, seed=n) for n in range(8)], stride=4)
    assert sharp.aliased > 0.8
    assert any("11x11/4 to 7x7/2" in hint for hint in sharp.hints)
    places = np.exp(-((np.arange(7) - 3) ** 2) / 6)
    bell = np.outer(places, places)
    smooth = row([bell * np.cos(0.9 * np.arange(7) + 0.8 * n) for n in range(4)], stride=2)
    assert smooth.aliased < 0.1
    assert smooth.hints == ()


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
        found = health(one_layer(kernel), given, batch_size=4, tell=told.append)
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


def test_filters_are_scaled_by_their_own_largest_weight():
    found = filters(one_layer([MEAN, -2 * BOARD, np.zeros((7, 7))], channels=3))
    assert found.shape == (3, 7, 7, 3)
    np.testing.assert_allclose(found[0], 1)
    np.testing.assert_allclose(found[1, ..., 0], 0.5 - BOARD / 2)
    np.testing.assert_allclose(found[2], 0.5)


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
        ("conv2", "have 2 input maps"),
        ("dense", "has no kernel of rows and columns"),
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
    with pytest.raises(InputError, match="flat has no kernel"):
        filters(net)


def test_correspondence_is_the_share_of_signs_that_differ():
    net = one_layer([noise(7, 7, seed=n) for n in range(3)])
    images = noise(4, 30, 30, 1)
    boxes = np.array([[0, 0, 5, 6], [24, 25, 6, 5], [10, 3, 1, 1], [2, 2, 28, 28]])
    found = correspondence(net, images, boxes, "conv1", fill=0.25)
    probe, changes = Probe(net, "conv1"), []
    for image, (top, left, height, width) in zip(images, boxes):
        covered = image.copy()
        covered[top : top + height, left : left + width] = 0.25
        one, other = probe.activations(np.stack([image, covered])).numpy()
        changes.append(np.sign(one - other).reshape(-1))
    shares = [np.mean(changes[i] != changes[j]) for i in range(4) for j in range(i)]
    assert found.mean == pytest.approx(np.mean(shares), abs=1e-3)  # rounding can turn a sign
    assert found.std == pytest.approx(np.std(shares), abs=1e-3)
    assert found.pairs == 6


def test_the_same_part_of_the_same_image_corresponds_wholly():
    net = one_layer([noise(7, 7)])
    images = np.repeat(noise(1, 30, 30, 1), 3, 0)
    assert correspondence(net, images, [[3, 4, 8, 8]] * 3, "conv1").mean == 0


def test_random_boxes_lie_inside_and_reach_the_borders():
    boxes = random_boxes(2000, (4, 3), (8, 9), seed=1)
    assert boxes[:, 2:].tolist() == [[4, 3]] * 2000
    assert set(boxes[:, 0]) == set(range(5))
    assert set(boxes[:, 1]) == set(range(7))


@pytest.mark.parametrize(
    ("images", "boxes", "said"),
    [
        (1, [[0, 0, 2, 2]], "at least two"),
        (2, [[0, 0, 2, 2]], "for each of 2 images"),
        (2, [[0, 0, 2, 2], [29, 0, 2, 2]], "not inside an image of 30x30"),
        (2, [[0, 0, 2, 2], [0, -1, 2, 2]], "not inside"),
        (2, [[0, 0, 2, 2], [0, 0, 2, 0]], "not inside"),
        (2, [[0, 0, 2, 2.5], [0, 0, 2, 2]], "whole numbers"),
    ],
)
def test_boxes_that_are_none_are_refused(images, boxes, said):
    with pytest.raises(InputError, match=said):
        correspondence(one_layer([MEAN]), noise(images, 30, 30, 1), boxes, "conv1")


def test_health_refuses_images_of_another_size():
    with pytest.raises(InputError, match="images are 8x8x1"):
        health(one_layer([MEAN]), noise(2, 8, 8, 1))
