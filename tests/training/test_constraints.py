"""Tests of the constraint that limits the filters' root mean square."""

import keras
import numpy as np

from keras_ilsvrc.training.constraints import FilterRMS, hold_filters


def test_filters_above_the_limit_are_scaled_to_it_and_others_kept():
    random = np.random.default_rng(0)
    kernel = random.normal(size=(3, 5, 4, 6)).astype("float32")
    wanted = np.array([0.01, 0.05, 0.0999, 0.2, 1.0, 30.0])  # of each filter
    kernel *= wanted / np.sqrt((kernel**2).mean(axis=(0, 1, 2)))
    held = np.asarray(FilterRMS(0.1)(kernel))
    rms = np.sqrt((held**2).mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(rms, np.minimum(wanted, 0.1), rtol=1e-5)
    np.testing.assert_array_equal(held[..., :3], kernel[..., :3])
    np.testing.assert_allclose(held[..., 3:] * wanted[3:] / 0.1, kernel[..., 3:], rtol=1e-5)


def test_a_filter_of_zeros_stays_zero():
    assert not np.asarray(FilterRMS(0.1)(np.zeros((3, 3, 2, 2), "float32"))).any()


def test_convolutions_alone_are_held():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv1")(image)
    model = keras.Model(image, keras.layers.Dense(2, name="fc2")(keras.layers.Flatten()(x)))
    hold_filters(model, 0.1)
    held = {weight.path for weight in model.trainable_weights if weight.constraint is not None}
    assert held == {"conv1/kernel"}
