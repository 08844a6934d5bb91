"""Tests of nets that cannot be applied densely to whole images: each gives a one-line error."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_ilsvrc import InputError, build
from keras_ilsvrc.evaluation.dense import fully_convolutional


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_an_image_smaller_than_those_of_training_is_refused():
    swept = fully_convolutional(build("lenet5_modern"))
    with pytest.raises(InputError, match="images are 31x40, but lenet5_modern was built for 32x32"):
        swept(images(1, 31, 40, 1))


def headless(image):
    return layers.Conv2D(3, 3)(image)


def reshaped(image):
    return layers.Dense(3)(layers.Reshape((64,))(image))


def two_heads(image):
    flat = layers.Flatten()(image)
    pooled = layers.Flatten()(layers.MaxPooling2D(2)(image))
    return layers.Dense(3)(layers.Concatenate()([flat, pooled]))


def beside_an_average(image):
    flat = layers.Flatten()(image)
    average = layers.GlobalAveragePooling2D()(image)
    return layers.Dense(3)(layers.Concatenate()([flat, average]))


def without_an_end(image):
    return layers.UnitNormalization()(layers.Dense(3)(layers.Flatten()(image)))


@pytest.mark.parametrize(
    "graph", [headless, reshaped, two_heads, beside_an_average, without_an_end]
)
def test_a_model_whose_head_cannot_be_swept_is_refused(graph):
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, graph(image), name="odd")
    with pytest.raises(InputError, match="odd has no head that can be applied to every window"):
        fully_convolutional(model)


def test_a_model_that_is_not_functional_is_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(InputError, match="own is not a functional model; build it from"):
        fully_convolutional(Own(name="own"))


def test_a_model_of_no_single_image_is_refused():
    vector = keras.Input((8,))
    model = keras.Model(vector, layers.Dense(3)(vector), name="odd")
    with pytest.raises(InputError, match=r"odd has inputs of shapes \[\(None, 8\)\]; expected"):
        fully_convolutional(model)


def test_outputs_without_predictions_are_refused_with_the_nearest_name():
    image = keras.Input((8, 8, 1))
    x = layers.Dense(3)(layers.Flatten()(image))
    model = keras.Model(image, {"prediction": x}, name="odd")
    with pytest.raises(InputError, match="odd has no output 'predictions'; did you mean 'predicti"):
        fully_convolutional(model)
