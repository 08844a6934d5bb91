"""Tests of `deploy`: the same outputs as the original network, from fewer layers."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_ilsvrc import InputError, build, deploy, info
from keras_ilsvrc.data.preprocessing import Preprocessing, with_preprocessing
from keras_ilsvrc.nets import NETS

pytestmark = pytest.mark.tensorflow
# Small nets, one of each structure, and the layers that are left of their batch normalisation.
SMALL = {
    "resnet_cifar": ({"depth": 8}, 0),
    "resnet_cifar[order=bn_after_add,shortcut=constant_0.5]": ({"depth": 8}, 6),
    "resnet_v2_cifar": ({"depth": 11}, 3),
    "googlenet[width=0.1]": ({}, 0),
    "nin_cifar10": ({}, 0),
    "lenet5": ({}, 0),
}


def randomised(model, gamma=1.0):
    """The model with random biases and batch normalisation, as after training."""
    draw = np.random.default_rng(0)
    for weight in model.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            size = gamma if weight.name == "gamma" else 1.0
            weight.assign(size * draw.uniform(0.5, 1.5, weight.shape))
        elif weight.path.endswith(("beta", "bias", "moving_mean")):
            weight.assign(draw.normal(0, 0.3, weight.shape))
    return model


def images(model, count=3):
    image, draw = model.inputs[0], np.random.default_rng(1)
    shape = (count, *(side or 9 for side in image.shape[1:]))
    if image.dtype == "uint8":
        return draw.integers(0, 256, shape, "uint8")
    return draw.normal(size=shape).astype("float32")


def deployed(model, gamma=1.0):
    """The deployed model, after a check that its outputs are those of the model."""
    made, x = deploy(randomised(model, gamma)), images(model)
    expected = np.asarray(model(x, training=False))
    for found in (made(x), np.asarray(made.model(x))):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * abs(expected).max())
    return made


def kinds(made):
    return [type(layer).__name__ for layer in made.model.layers]


def of(graph, shape=(7, 6, 4), dtype="float32"):
    """A model of layers."""
    image = keras.Input(shape, dtype=dtype)
    return keras.Model(image, graph(image), name="own")


@pytest.mark.parametrize("name", SMALL)
def test_small_nets_have_the_same_outputs_without_batch_normalisation(name):
    arguments, left = SMALL[name]
    shape = info(name).input_shape
    shape = shape if shape[0] <= 32 else (64, 64, 3)
    model = build(name, input_shape=shape, classifier_activation=None, **arguments)
    made = kinds(deployed(model))
    assert made.count("Rescaling") == left
    assert not {"BatchNormalization", "Dropout", "ResidualUnit"} & set(made)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_every_net_has_the_same_outputs(name):
    row = info(name)
    side = min(row.minimum, row.input_shape[0])
    depth = {"depth": 20} if name in ("resnet_cifar", "resnet_v2_cifar") else {}
    shape = (side, side, row.input_shape[2])
    net = build(name, input_shape=shape, classes=10, classifier_activation=None, **depth)
    # In a net of a thousand layers, each unit adds little. Otherwise, its outputs would overflow.
    made = deployed(net, 0.05 if "1001" in name or "1202" in name else 1.0)
    assert not {"Dropout", "ResidualUnit"} & set(kinds(made))


FOLDED = {
    "behind a convolution": lambda x: layers.BatchNormalization()(layers.Conv2D(3, 3)(x)),
    "behind one without bias": lambda x: layers.BatchNormalization(scale=False)(
        layers.Conv2D(3, 3, use_bias=False)(x)
    ),
    "behind a dense layer": lambda x: layers.BatchNormalization(center=False)(layers.Dense(3)(x)),
    "behind dropout": lambda x: layers.BatchNormalization()(
        layers.Dropout(0.5)(layers.Activation("linear")(layers.Conv2D(3, 3, padding="same")(x)))
    ),
    "behind a concatenation": lambda x: layers.BatchNormalization()(
        layers.Concatenate()([layers.Conv2D(2, 1)(x), layers.Conv2D(3, 1)(x)])
    ),
    "before a convolution": lambda x: layers.Conv2D(3, 3)(layers.BatchNormalization()(x)),
    "before one of 1x1": lambda x: layers.Conv2D(3, 1, 2, "same")(layers.BatchNormalization()(x)),
    "twice": lambda x: layers.Conv2D(3, 3)(
        layers.Rescaling(2.0, [1.0, 2.0, 3.0, 4.0])(layers.BatchNormalization()(x))
    ),
    "scales before padding": lambda x: layers.Conv2D(3, 3, padding="same")(
        layers.Rescaling(0.25)(x)
    ),
}


@pytest.mark.parametrize("where", FOLDED)
def test_batch_normalisation_is_folded(where):
    left = set(kinds(deployed(of(FOLDED[where]))))
    assert not {"BatchNormalization", "Rescaling", "Dropout", "Activation"} & left


def padded_pool(activation):
    return lambda x: layers.MaxPooling2D(3, 2)(
        layers.ZeroPadding2D(2)(layers.Conv2D(3, 3, activation=activation)(x))
    )


PADDED = {
    "convolution": lambda x: layers.Conv2D(3, 2, dilation_rate=2, activation="relu")(
        layers.ZeroPadding2D(((0, 2), (1, 3)))(x)
    ),
    "pool behind ReLU": padded_pool("relu"),
    "pool of negative numbers": padded_pool("log_softmax"),
}


@pytest.mark.parametrize("case", PADDED)
def test_zero_padding_becomes_part_of_the_layer_behind(case):
    made = deployed(of(PADDED[case]))
    types = {x.type for x in made.step.graph.get_operations()}
    assert ("Pad" in types) == (case == "pool of negative numbers")


def between(x):
    y = layers.Conv2D(4, 3, padding="same")(x)
    return layers.Add()([layers.BatchNormalization()(y), y])


def mixed(x):
    return layers.BatchNormalization()(layers.Concatenate()([layers.Conv2D(2, 1)(x), x]))


KEPT = {
    "an activation between": lambda x: layers.BatchNormalization()(
        layers.Conv2D(3, 3, activation="relu")(x)
    ),
    "another use of the convolution": between,
    "a concatenation with the input": mixed,
    "grouped convolution behind": lambda x: layers.Conv2D(4, 1, groups=2)(
        layers.BatchNormalization()(x)
    ),
    "zero padding behind": lambda x: layers.Conv2D(3, 3, padding="same")(
        layers.BatchNormalization()(x)
    ),
    "no layer beside": layers.BatchNormalization(),
}


@pytest.mark.parametrize("case", KEPT)
def test_otherwise_it_is_one_multiplication_and_addition(case):
    assert kinds(deployed(of(KEPT[case]))).count("Rescaling") == 1


CAFFE = {"op": "preprocess", "mode": "caffe"}
TORCH = {"op": "preprocess", "mode": "torch"}


@pytest.mark.parametrize(
    ("padding", "left"), [("valid", []), ("same", ["Rescaling"]), ("before", ["Rescaling"])]
)
@pytest.mark.parametrize("row", [CAFFE, TORCH])
def test_preprocessing_becomes_part_of_the_first_layer(row, padding, left):
    def graph(x):
        x = layers.ZeroPadding2D(2)(x) if padding == "before" else x
        return layers.Conv2D(5, 3, padding="valid" if padding == "before" else padding)(x)

    model = with_preprocessing(of(graph, (9, 8, 3)), [row], {})
    found = kinds(deployed(model))
    assert [x for x in found if x in ("Preprocessing", "Rescaling")] == left


def test_ops_that_move_pixels_stay_before_it():
    rows = [{"op": "resize", "size": 8}, TORCH, {"op": "standardise"}]
    statistics = {"channel_mean": np.float32([1, 2, 3]), "channel_std": np.float32([2, 3, 4])}
    net = of(lambda x: layers.Flatten()(layers.Conv2D(5, 3)(x)), (8, 8, 3))
    made = deployed(with_preprocessing(net, rows, statistics))
    (first,) = [x for x in made.model.layers if isinstance(x, Preprocessing)]
    assert first.rows == rows[:1]


def test_the_precision_is_that_of_the_model_whatever_keras_uses_now(set_policy):
    model = with_preprocessing(of(layers.Conv2D(5, 3, padding="same"), (9, 8, 3)), [TORCH], {})
    set_policy("mixed_bfloat16")
    assert {x.compute_dtype for x in deployed(model).model.layers if x.weights} == {"float32"}


def test_a_convolution_that_pads_computes_in_mixed_precision():
    def graph(x):
        padded = layers.ZeroPadding2D(1, dtype="mixed_bfloat16")(x)
        return layers.Conv2D(5, 3, 2, activation="relu", dtype="mixed_bfloat16")(padded)

    model = of(graph, (9, 8, 3), "bfloat16")
    x = np.random.default_rng(0).random((2, 9, 8, 3), "float32")
    found, expected = deploy(model)(x), model(x.astype("bfloat16"), training=False)
    assert found.dtype == "bfloat16"
    np.testing.assert_allclose(found.astype("float32"), np.float32(expected), rtol=0, atol=0.02)


def test_any_number_of_images_of_any_type():
    model = of(lambda x: layers.Dense(3)(layers.Flatten()(x)))
    made = deploy(model)
    x = np.random.default_rng(0).integers(0, 256, (5, 7, 6, 4), "uint8")
    expected = np.asarray(model(x.astype("float32")))
    np.testing.assert_allclose(made.predict(x, batch_size=2), expected, rtol=1e-5)
    np.testing.assert_allclose(made(x.tolist()), expected, rtol=1e-5)
    assert made.predict(x[:0]).shape == (0, 3)
    with pytest.raises(InputError, match=r"images has shape \(5, 7, 6, 3\), expected .* for own"):
        made(x[..., :3])


def test_later_training_of_the_model_has_no_effect():
    model = of(lambda x: layers.Dense(3)(layers.Flatten()(x)))
    made, x = deploy(model), images(model)
    before = made(x), np.asarray(made.model(x))
    for weight in model.weights:
        weight.assign_add(np.ones(weight.shape))
    np.testing.assert_array_equal(before, (made(x), np.asarray(made.model(x))))


def test_auxiliary_classifiers_are_left_out():
    def graph(x):
        y = layers.Conv2D(3, 3)(x)
        outputs = {"aux": layers.Conv2D(2, 1, name="side")(y)}
        return outputs | {"predictions": layers.BatchNormalization()(y)}

    model = randomised(of(graph))
    made, x = deploy(model), images(model)
    np.testing.assert_allclose(made(x), model(x)["predictions"], rtol=0, atol=1e-5)
    assert kinds(made) == ["InputLayer", "Conv2D"]


class Own(keras.Model):
    def call(self, x):
        return x


def refused(model):
    with pytest.raises(InputError) as caught:
        deploy(model)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_other_models_are_refused_in_one_line():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    both = keras.Model([a, b], layers.Add()([a, b]), name="both")
    assert refused(both) == "both has 2 inputs (a, b); expected one"
    assert "own is not a functional model" in refused(Own(name="own"))
    unbuilt = keras.Sequential([layers.Dense(3)], name="plain")
    assert "plain is not a functional model" in refused(unbuilt)
    fork = keras.Model(a, [layers.Dense(2)(a), layers.Dense(3)(a)], name="fork")
    assert "fork has 2 outputs without names" in refused(fork)


class Scale(layers.Layer):
    """A layer that Keras cannot copy."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, x):
        return self.factor * x


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_a_layer_that_cannot_be_copied_is_shared():
    def graph(x):
        x = layers.Activation(lambda x: x - 1.0)(Scale(2.0)(x))
        return layers.Conv2D(3, 3, activation=lambda x: x + 1.0)(x)

    assert kinds(deployed(of(graph))) == ["InputLayer", "Scale", "Activation", "Conv2D"]
