"""Fixtures for the tests of nets."""

import numpy as np
import pytest
from counted import build_without_values, counted
from keras import ops

from keras_ilsvrc import info


@pytest.fixture(scope="session")
def facts(shared):
    """What is counted of a net, which is built once, and without allocating its weights."""

    def facts(name, **arguments):
        published = {key: value.default for key, value in info(name).variations.items()}
        varied = {k: v for k, v in arguments.items() if k not in published or v != published[k]}
        # a variation that says what is published varies nothing
        return counted(shared, name, **varied)[0]

    return facts


@pytest.fixture(scope="session")
def unallocated():
    return build_without_values


@pytest.fixture(scope="session")
def digits():
    """16 handwritten digits of scikit-learn, 8x8, enlarged; their mean is zero."""

    def digits(size, channels):
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        images = images[:16].reshape(16, 8, 8, 1).astype("float32") / 16
        images = ops.convert_to_numpy(ops.image.resize(images, (size, size)))
        return np.repeat(images - images.mean(), channels, -1), labels[:16]

    return digits
