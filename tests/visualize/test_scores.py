"""Tests of the scores and probabilities of classifiers with different last layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_ilsvrc
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.backward import (
    grad_cam,
    saliency,
)
from keras_ilsvrc.visualize.occlusion import occlusion
from keras_ilsvrc.visualize.probe import Probe


def noise(*shape):
    return np.random.default_rng(0).normal(0, 50, shape).astype("float32")


def test_of_several_outputs_the_predictions_are_looked_into():
    """In Keras' order, by the alphabet, an auxiliary output stands in front."""
    inputs = keras.Input((12, 12, 2))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu", name="conv1")(inputs))
    outputs = {
        "predictions": layers.Dense(4, activation="softmax", name="predictions")(x),
        "aux1": layers.Dense(7, activation="softmax", name="aux1")(x),
    }
    model = keras.Model(inputs, outputs)
    alone = keras.Model(inputs, outputs["predictions"])
    images = noise(2, 12, 12, 2) / 50
    assert Probe(model).shape == (4,)
    np.testing.assert_allclose(saliency(model, images), saliency(alone, images), rtol=1e-5)
    found = occlusion(model, images[0], square=12)
    assert found.whole[0] == pytest.approx(alone(images[:1]).numpy().max(), rel=1e-5)
    assert Probe(keras_ilsvrc.build("googlenet", classes=5, width=0.1)).shape == (5,)


def averaged(x):
    heads = [layers.Dense(3, activation="softmax")(x) for _ in range(2)]
    return layers.Average()(heads)


@pytest.mark.parametrize(
    "head",
    [
        layers.Dense(3, activation="softmax"),
        layers.Dense(3, activation=tf.nn.softmax),
        layers.Dense(3, activation="sigmoid"),
        lambda x: layers.Softmax()(layers.Dense(3)(x)),
        lambda x: layers.Reshape((3,))(layers.Dense(3, activation="softmax")(x)),
        lambda x: keras.ops.softmax(layers.Dense(3)(x)),
        lambda x: keras.ops.exp(layers.Dense(3, activation="log_softmax")(x)),
        averaged,
    ],
    ids=["softmax", "tf", "sigmoid", "layer", "reshape", "operation", "exp", "average"],
)
def test_probabilities_are_those_of_the_model(head):
    inputs = keras.Input((12, 12, 2))
    model = keras.Model(inputs, head(layers.Flatten()(layers.Conv2D(4, 3)(inputs))))
    image = noise(12, 12, 2) / 50
    found = occlusion(model, image, 1, fill=image)
    assert found.whole[0] == pytest.approx(model(image[None]).numpy()[0, 1], rel=1e-4)


@pytest.mark.parametrize("activation", [None, "log_softmax"])
def test_of_logits_probabilities_are_the_softmax(activation):
    inputs = keras.Input((12, 12, 2))
    x = layers.Flatten()(layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, layers.Dense(3, activation=activation)(x))
    image = noise(12, 12, 2) / 50
    expected = tf.nn.softmax(model(image[None])).numpy()[0, 1]
    assert occlusion(model, image, 1, fill=image).whole[0] == pytest.approx(expected, rel=1e-4)


def test_of_one_logit_the_probability_is_the_sigmoid():
    inputs = keras.Input((12, 12, 2))
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(layers.Conv2D(4, 3)(inputs))))
    image = noise(12, 12, 2) / 50
    expected = tf.sigmoid(model(image[None])).numpy()[0, 0]
    assert occlusion(model, image, 0, fill=image).whole[0] == pytest.approx(expected, rel=1e-4)


def test_images_are_not_augmented():
    inputs = keras.Input((12, 12, 2))
    x = layers.RandomTranslation(0.4, 0.4, seed=1)(inputs)
    x = layers.Conv2D(4, 3, activation="relu", name="conv1")(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    images = noise(2, 12, 12, 2)
    found = Probe(model, "conv1").activations(images)
    np.testing.assert_allclose(found, model.get_layer("conv1")(images), rtol=1e-4, atol=1e-4)


def test_scores_with_places_are_refused():
    inputs = keras.Input((12, 12, 2))
    model = keras.Model(inputs, layers.Conv2D(3, 3, name="scores")(inputs), name="swept")
    for function in (saliency, grad_cam, lambda m, x: occlusion(m, x[0])):
        with pytest.raises(InputError, match=r"swept returns .*; expected \(batch, classes\)"):
            function(model, noise(1, 12, 12, 2))


def test_an_output_that_is_not_called_predictions_is_refused():
    inputs = keras.Input((12, 12, 2))
    model = keras.Model(inputs, {"prediction": layers.Dense(3)(layers.Flatten()(inputs))})
    with pytest.raises(InputError, match="did you mean 'prediction'"):
        saliency(model, noise(1, 12, 12, 2))
