"""Tests of projections to pixels: compared with explicit max-pooling switches and NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_ilsvrc
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.backward import (
    Deconvnet,
    deconvnet,
    grad_cam,
    guided_backpropagation,
    saliency,
)
from keras_ilsvrc.visualize.probe import Probe


@pytest.fixture(scope="module")
def alexnet():
    keras.utils.set_random_seed(0)
    return keras_ilsvrc.build("alexnet", classes=7)


def noise(*shape):
    return np.random.default_rng(0).normal(0, 50, shape).astype("float32")


def small(*behind, image=(12, 12, 2)):
    """Two convolutions with fused and separate ReLUs; biases that leave some units at zero."""
    x = inputs = keras.Input(image)
    x = layers.Conv2D(4, 3, activation="relu", bias_initializer="normal", name="conv1")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    x = layers.Conv2D(5, 3, bias_initializer="normal", name="conv2")(x)
    for layer in behind:
        x = layer(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(3, activation="softmax", name="predictions")(x)
    return keras.Model(inputs, x)


class ByHand:
    """Zeiler and Fergus' section 2.1 as it reads, on AlexNet's layers up to conv3."""

    def __init__(self, model, images):
        self.layers = {layer.name: layer for layer in model.layers}
        self.values, self.switches = {"image": images}, {}
        x = images
        for name in ("conv1_pad", "conv1", "norm1", "pool1", "conv2", "norm2", "pool2", "conv3"):
            if name.startswith("pool"):
                _, switches = tf.nn.max_pool_with_argmax(x, 3, 2, "VALID")
                self.switches[name] = switches.numpy()[0].reshape(-1)
            x = self.layers[name](x)
            self.values[name] = x

    def unpool(self, signal, pool, shape):
        cells = np.zeros(shape, "float64")
        np.add.at(cells.reshape(-1), self.switches[pool], signal.reshape(-1))
        return cells

    def filtered(self, signal, conv, shape):
        """The transposed filters of each group, no bias."""
        layer = self.layers[conv]
        kernels = np.split(np.array(layer.kernel), layer.groups, axis=-1)
        maps = np.split(signal[None], layer.groups, axis=-1)
        size = (1, *shape[:2], shape[2] // layer.groups)
        border = layer.padding.upper()
        made = [
            tf.nn.conv2d_transpose(m.astype("float32"), k, size, layer.strides, border)
            for m, k in zip(maps, kernels)
        ]
        return np.concatenate(made, -1)[0].astype("float64")

    def project(self, layer, map_):
        def shape(name):
            return self.values[name].shape[1:]

        activations = np.array(self.values[layer])[0]
        row, column = np.unravel_index(activations[..., map_].argmax(), activations.shape[:2])
        signal = np.zeros(activations.shape)
        signal[row, column, map_] = activations[row, column, map_]
        if layer == "conv3":
            signal = self.filtered(np.maximum(signal, 0), "conv3", shape("pool2"))
            signal = self.unpool(signal, "pool2", shape("norm2"))
            layer = "conv2"
        if layer == "conv2":
            signal = self.filtered(np.maximum(signal, 0), "conv2", shape("pool1"))
            signal = self.unpool(signal, "pool1", shape("norm1"))
        signal = self.filtered(np.maximum(signal, 0), "conv1", shape("conv1_pad"))
        return signal[:224, :224], (row, column)  # conv1_pad has three more behind


@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3"])
def test_a_projection_is_that_of_switches_and_transposed_filters(alexnet, layer):
    image = noise(1, 224, 224, 3)
    by_hand = ByHand(alexnet, image)
    maps = np.array(by_hand.values[layer])[0].max((0, 1)).argsort()[-2:]  # the two strongest
    projections = Deconvnet(alexnet, layer)(image, maps)
    for number, map_ in enumerate(maps):
        expected, place = by_hand.project(layer, map_)
        assert tuple(projections.places[number]) == place
        scale = np.abs(expected).max()
        assert scale > 0
        np.testing.assert_allclose(projections.images[number] / scale, expected / scale, atol=1e-6)


def test_the_strongest_map_is_taken_where_none_is_named(alexnet):
    images = noise(2, 224, 224, 3)
    activations = Probe(alexnet, "conv5").activations(images).numpy()
    found = deconvnet(alexnet, images, "conv5")
    np.testing.assert_array_equal(found.maps, activations.max((1, 2)).argmax(1))
    np.testing.assert_allclose(found.values, activations.max((1, 2, 3)), rtol=1e-5)


def test_forwards_a_rule_changes_nothing(alexnet):
    images = noise(1, 224, 224, 3)
    expected = alexnet(images).numpy()
    for rule in ("gradient", "deconvnet", "guided"):
        found = Probe(alexnet, "predictions", rule).activations(images)
        np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize(
    "relu",
    [
        layers.ReLU(name="relu2"),
        layers.Activation("relu", name="relu2"),
        layers.Activation(tf.nn.relu, name="relu2"),
        layers.Activation(layers.ReLU(), name="relu2"),
        keras.ops.relu,
        keras.activations.relu,
    ],
    ids=["layer", "activation", "tf", "layer in a layer", "operation", "function"],
)
def test_relu_is_found_in_every_form(relu):
    """Behind conv2 the guided signal is zero where conv2 is, and never negative."""
    model = small(relu)
    images = noise(3, 12, 12, 2)
    probe = Probe(model, None, "guided")
    values = Probe(model, "conv2")

    @tf.function
    def at_conv2(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            found = probe.values(images)
        inner = next(call for call, _ in probe.steps if call.name == "conv2")
        return tape.gradient(found[id(probe.target)], found[id(inner.outputs[0])])

    signal = at_conv2(images).numpy()
    forward = values.activations(images).numpy()
    assert signal.min() >= 0
    assert signal.max() > 0
    assert (signal[forward <= 0] == 0).all()


def test_the_gradient_of_a_score_is_before_the_softmax():
    """Of the same net without its activation, by a tape."""
    model = small(layers.Activation("relu"))
    image = noise(1, 12, 12, 2) / 50
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    twin.layers[-1].activation = keras.activations.linear
    found = saliency(model, image, 1)
    with tf.GradientTape() as tape:
        x = tf.constant(image)
        tape.watch(x)
        score = twin(x)[:, 1]
    expected = np.abs(tape.gradient(score, x).numpy()).max(-1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
    assert model.layers[-1].activation is keras.activations.softmax  # the model is as it was


def test_guided_backpropagation_is_linear_in_nothing_but_the_active_paths():
    """One dense ReLU layer: w2 clipped, times w1, where the unit was active."""
    inputs = keras.Input((1, 1, 2))
    x = layers.Flatten()(inputs)
    hidden = layers.Dense(3, activation="relu")
    outer = layers.Dense(2, activation="softmax")
    model = keras.Model(inputs, outer(hidden(x)))
    image = np.array([[[[1.0, -2.0]]]], "float32")
    first, second = hidden.get_weights()[0], outer.get_weights()[0]
    active = image.reshape(2) @ first > 0
    for label in (0, 1):
        expected = first @ (np.maximum(second[:, label], 0) * active)
        found = guided_backpropagation(model, image, label).reshape(2)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_grad_cam_is_the_equation_of_its_paper():
    model = small(layers.Activation("relu", name="relu2"))
    image = noise(1, 12, 12, 2) / 50
    maps = keras.Model(model.input, model.get_layer("relu2").output)(image).numpy()[0]
    kernel = model.get_layer("predictions").get_weights()[0].reshape(*maps.shape, 3)
    label = int(model(image).numpy().argmax())
    weights = kernel[..., label].mean((0, 1))  # of a linear head the gradient is its kernel
    expected = np.maximum((maps * weights).sum(-1), 0)
    expected = tf.image.resize(expected[None, ..., None], (12, 12))[0, ..., 0]
    np.testing.assert_allclose(grad_cam(model, image, "relu2")[0], expected, rtol=1e-4, atol=1e-6)


def test_units_and_nested_models_are_looked_into():
    net = keras_ilsvrc.build("resnet20_v2_cifar", input_shape=(8, 8, 1))
    outer = keras.Input((8, 8, 1))
    nested = keras.Model(outer, net(outer), name="outer")
    images = noise(2, 8, 8, 1)
    plain = deconvnet(net, images, "conv3_1/relu_2", 4)
    inside = deconvnet(nested, images, f"{net.name}/conv3_1/relu_2", 4)
    assert np.abs(plain.images).max() > 0
    np.testing.assert_allclose(plain.images, inside.images, rtol=1e-4, atol=1e-6)


class Subclassed(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m: deconvnet(m, noise(1, 12, 12, 2), "conv_2"), "did you mean 'conv2'"),
        (lambda m: deconvnet(m, noise(1, 12, 12, 3), "conv2"), "images are 12x12x3, but"),
        (lambda m: deconvnet(m, [["a", "b"]], "conv2"), "images have dtype"),
        (lambda m: deconvnet(m, noise(1, 12, 12, 2), "conv2", 5), "from 0 to 4"),
        (lambda m: deconvnet(m, noise(1, 12, 12, 2), "conv2", -1), "from 0 to 4"),
        (lambda m: deconvnet(m, noise(2, 12, 12, 2), "conv2", [0, 1, 2]), "3 indices for 2 images"),
        (lambda m: deconvnet(m, noise(1, 12, 12, 2), "conv2", rule="gided"), "'guided'"),
        (lambda m: deconvnet(m, noise(1, 12, 12, 2), "conv2", "3"), "from 0 to 4"),
        (lambda m: deconvnet(m, noise(0, 12, 12, 2), "conv2"), "images is empty"),
        (lambda m: deconvnet(m, [[[1]], [[1, 2]]], "conv2"), "rows of different lengths"),
        (lambda m: saliency(m, noise(1, 12, 12, 2), 3), "from 0 to 2"),
        (lambda m: saliency(m, noise(1, 12, 12, 2), 0.5), "from 0 to 2"),
        (lambda m: saliency(m, noise(3, 12, 12, 2), [0, 1]), "2 classes for 3 images"),
        (lambda m: grad_cam(m, noise(1, 12, 12, 2), "flatten"), "flatten returns shape"),
        (
            lambda m: deconvnet(Subclassed(name="own"), noise(1, 2, 2, 1), "x"),
            "own is not a functional model",
        ),
        (lambda m: deconvnet("vgg16", noise(1, 2, 2, 1), "x"), "model is a str"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, said):
    with pytest.raises(InputError) as error:
        call(small())
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_sequential_model_is_looked_into():
    model = keras.Sequential(
        [
            keras.Input((12, 12, 2)),
            layers.Conv2D(4, 3, activation="relu", name="conv1"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    images = noise(2, 12, 12, 2)
    expected = keras.Model(model.inputs, model.outputs[0])
    np.testing.assert_allclose(saliency(model, images), saliency(expected, images), rtol=1e-5)
    assert grad_cam(model, images, "conv1").shape == (2, 12, 12)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_nets_of_every_precision_are_looked_into(policy, set_policy):
    images = noise(2, 12, 12, 2)
    model = small(layers.Activation("relu"))
    set_policy(policy)
    other = small(layers.Activation("relu"))
    other.set_weights(model.get_weights())
    found, expected = (deconvnet(net, images, "conv2", 1) for net in (other, model))
    assert found.images.dtype == found.values.dtype == np.float32
    scale = np.abs(expected.images).max()
    np.testing.assert_allclose(found.images / scale, expected.images / scale, atol=0.05)
    assert saliency(other, images).dtype == np.float32
    assert grad_cam(other, images, "conv2").dtype == np.float32
    guided = guided_backpropagation(other, images)
    assert np.isfinite(guided).all()


def test_a_net_that_takes_whole_numbers_is_looked_into():
    inputs = keras.Input((12, 12, 2), dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(4, 3, activation="relu", name="conv1")(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    images = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 2), "uint8")
    assert np.abs(deconvnet(model, images, "conv1").images).max() > 0
    assert saliency(model, images).max() > 0
