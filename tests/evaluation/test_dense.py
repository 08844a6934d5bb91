"""Tests of nets applied densely to whole images: compared with the nets on each window."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_ilsvrc import build
from keras_ilsvrc.evaluation.dense import fully_convolutional
from keras_ilsvrc.nets import NETS

HEADS = {name: {} for name, net in NETS.items() if net.needs_size}
HEADS |= {"nin_cifar10[head=dense]": {}, "nin_cifar10[head=dense_dropout]": {}}
# Of columns that differ in their convolutions only, one is tried whenever the tests run.
SAME_HEAD = ("zfnet_512", "zfnet512_onnx", "vgg11_lrn", "vgg13", "vgg13_5x5", "vgg16_1x1")
SAME_HEAD += ("vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn")
AVERAGED = {  # arguments, size of training, two larger ones of which one is odd
    "resnet18": ({"width": 0.1}, 64, (97, 126)),
    "resnet50_v1_5": ({"width": 0.05}, 64, (95, 70)),
    "resnet50_v2_keras": ({"width": 0.05}, 64, (97, 131)),
    "resnet20_v2_cifar": ({}, 32, (33, 45)),
    "googlenet": ({"width": 0.1}, 64, (95, 130)),
    "nin_cifar10": ({}, 32, (41, 55)),
    "bn_inception": ({}, 32, (64, 96)),
}
# Of nets whose ends are alike, one is tried whenever the tests run.
SAME_END = ("resnet18", "resnet50_v1_5", "resnet20_v2_cifar", "bn_inception")


pytestmark = pytest.mark.usefixtures("quick_values")


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def scores(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def assert_close(found, expected, tolerance=1e-5):
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def copy_weights(source, target):
    for layer in target.layers:
        if layer.weights:
            layer.set_weights(source.get_layer(layer.name).get_weights())


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=[pytest.mark.slow] * (x in SAME_HEAD)) for x in HEADS]
)
def test_at_the_size_of_training_it_is_the_net_itself(name):
    net = NETS.get(name, NETS["nin_cifar10"])
    classes = 10 if name == "lenet5" else 7
    side = 32 if net.input_shape[0] == 32 else net.minimum + 32
    shape = (side, side, net.input_shape[2])
    model = build(name, input_shape=shape, classes=classes, classifier_activation=None)
    x = images(2, *shape)
    expected = scores(model, x)
    assert np.abs(expected[0] - expected[1]).max() > 1e-3
    assert_close(scores(fully_convolutional(model), x), expected)


@pytest.mark.parametrize("name", ["lenet5", "lenet5_modern"])
def test_a_larger_image_has_the_mean_of_the_scores_of_its_windows(name):
    """No convolution of LeNet is padded: the net sees every fourth 32x32 window of the image."""
    model = build(name, classifier_activation=None)
    x = images(2, 40, 44, 1)
    rows = [(y, x) for y in (0, 4, 8) for x in (0, 4, 8, 12)]
    each = [scores(model, x[:, top : top + 32, left : left + 32]) for top, left in rows]
    assert_close(scores(fully_convolutional(model), x), np.mean(each, axis=0))


@pytest.mark.parametrize(
    ("name", "arguments", "side", "larger"),
    [
        ("alexnet", {"width": 0.1}, 128, (160, 224)),
        pytest.param("alexnet_owt", {}, 95, (127, 159), marks=pytest.mark.slow),
        ("zfnet", {}, 96, (128, 160)),
        pytest.param("vgg11", {}, 64, (96, 160), marks=pytest.mark.slow),
        pytest.param("cnds8", {}, 131, (195, 259), marks=pytest.mark.slow),
    ],
)
def test_the_head_sees_every_window_of_the_maps(name, arguments, side, larger):
    """NumPy's head on the maps that the net without its top makes of the larger image."""
    options = {"classes": 5, "classifier_activation": None, **arguments}
    model = build(name, input_shape=(side, side, 3), **options)
    body = build(name, input_shape=(*larger, 3), include_top=False, **arguments)
    copy_weights(model, body)
    x = images(1, *larger, 3)
    maps = scores(body, x)[0]
    size = model.get_layer("flatten").input.shape[1]
    each = []
    for top in range(maps.shape[0] - size + 1):
        for left in range(maps.shape[1] - size + 1):
            values = maps[top : top + size, left : left + size].reshape(-1)
            for layer in ("fc6", "fc7", "fc8"):
                kernel, bias = model.get_layer(layer).get_weights()
                values = values @ kernel + bias
                values = values if layer == "fc8" else np.maximum(values, 0)
            each.append(values)
    assert len(each) > 4
    assert size > 1
    assert_close(scores(fully_convolutional(model), x), np.mean(each, axis=0)[None], 1e-4)


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=[pytest.mark.slow] * (x in SAME_END)) for x in AVERAGED]
)
def test_behind_an_average_it_is_the_net_built_for_the_larger_image(name):
    arguments, side, larger = AVERAGED[name]
    options = {"classes": 7, "classifier_activation": None, **arguments}
    model = build(name, input_shape=(side, side, 3), **options)
    built = build(name, input_shape=(*larger, 3), **options)
    copy_weights(model, built)
    x = images(2, *larger, 3)
    assert_close(scores(fully_convolutional(model), x), scores(built, x))


def test_scores_are_averaged_before_the_softmax():
    model = build("lenet5_modern")
    logits = build("lenet5_modern", classifier_activation=None)
    logits.set_weights(model.get_weights())
    x = 5 * images(3, 36, 36, 1)
    expected = keras.ops.softmax(scores(fully_convolutional(logits), x))
    assert_close(scores(fully_convolutional(model), x), keras.ops.convert_to_numpy(expected))


def test_a_dense_layer_with_a_softmax_of_its_own_is_averaged_before_it_too():
    image = keras.Input((6, 6, 2))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    model = keras.Model(image, layers.Dense(3, "softmax", name="predictions")(x))
    kernel, bias = model.get_layer("predictions").get_weights()
    before = keras.Model(image, x)
    x = images(2, 7, 8, 2)
    windows = [x[:, top : top + 6, left : left + 6] for top in (0, 1) for left in (0, 1, 2)]
    logits = np.mean([scores(before, window) @ kernel + bias for window in windows], axis=0)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert_close(scores(fully_convolutional(model), x), expected)


@pytest.mark.parametrize(
    ("name", "arguments", "side"),
    [("cnds8", {}, 64), ("googlenet", {"width": 0.1}, 96)],
)
def test_of_several_outputs_it_takes_the_predictions(name, arguments, side):
    model = build(name, input_shape=(side, side, 3), classes=5, auxiliary=True, **arguments)
    x = images(2, side, side, 3)
    expected = keras.ops.convert_to_numpy(model(x)["predictions"])
    assert_close(scores(fully_convolutional(model), x), expected)


@pytest.mark.parametrize("name", ["nin_cifar10[head=dense]", "resnet20_cifar"])
def test_a_model_within_a_model_is_swept_as_the_model_alone(name):
    inner = build(name, classifier_activation=None)
    image = keras.Input((32, 32, 3))
    scaled = layers.Rescaling(0.5)(image)
    outer = keras.Model(image, layers.Softmax()(inner(scaled)))
    x = images(2, 43, 38, 3)
    expected = keras.ops.softmax(scores(fully_convolutional(inner), 0.5 * x))
    assert_close(scores(fully_convolutional(outer), x), keras.ops.convert_to_numpy(expected))


def test_a_sequential_model_is_swept_as_the_functional_one():
    model = keras.Sequential(
        [
            keras.Input((12, 12, 2)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    expected = fully_convolutional(keras.Model(model.inputs, model.outputs[0]))
    larger = images(2, 15, 14, 2)
    np.testing.assert_allclose(fully_convolutional(model)(larger), expected(larger), rtol=1e-5)


def test_it_has_the_values_of_the_net_also_when_they_change():
    model = build("lenet5_modern", classifier_activation=None)
    swept = fully_convolutional(model)
    x = images(1, 36, 36, 1)
    before = scores(swept, x)
    assert {id(weight) for weight in swept.weights} == {id(weight) for weight in model.weights}
    model.set_weights([2 * weight for weight in model.get_weights()])
    assert np.abs(scores(swept, x) - before).max() > 0.1
    assert_close(scores(swept, x), scores(fully_convolutional(model), x))


def test_the_net_itself_is_left_as_it_was():
    model = build("resnet_cifar", depth=8, input_shape=(8, 8, 3))
    x = images(1, 8, 8, 3)
    before, config = scores(model, x), model.get_config()
    fully_convolutional(model)(images(1, 13, 9, 3))
    np.testing.assert_array_equal(scores(model, x), before)
    assert model.get_config() == config


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("side", [8, 9, 11])
def test_a_strided_max_pool_keeps_its_windows_at_every_size(padding, side):
    """What a window of the image gives at its own size, it gives within a larger image too."""
    image = keras.Input((side, side, 1))
    pooled = layers.MaxPooling2D(3, 2, padding)(image)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(pooled)))
    x = images(1, side + 3, side + 4, 1) - 10  # zeros as borders would win
    model.layers[-1].set_weights([np.ones_like(w) for w in model.layers[-1].get_weights()])
    start = max(0, -(-side // 2) * 2 - 2 + 3 - side) // 2 if padding == "same" else 0
    size = pooled.shape[1]
    whole = np.pad(x[0, :, :, 0], ((start, 3), (start, 3)), constant_values=-np.inf)
    tops, lefts = (len(range(0, n - 2 + start + (padding == "same") * 1, 2)) for n in x.shape[1:3])
    maxima = np.array(
        [
            [whole[2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max() for j in range(lefts)]
            for i in range(tops)
        ]
    )
    each = [
        maxima[i : i + size, j : j + size].sum() + 1
        for i in range(tops - size + 1)
        for j in range(lefts - size + 1)
    ]
    assert len(each) > 1
    assert_close(scores(fully_convolutional(model), x), np.full((1, 2), np.mean(each)))


def test_probabilities_are_float32_under_every_policy(set_policy):
    set_policy("mixed_float16")
    model = build("nin_cifar10", head="dense", input_shape=(16, 16, 3))
    x = images(2, 16, 16, 3)
    swept = fully_convolutional(model)
    assert keras.backend.standardize_dtype(swept(x).dtype) == "float32"
    assert_close(scores(swept, x), scores(model, x), 1e-3)
