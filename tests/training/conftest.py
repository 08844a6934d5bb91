"""Fixtures for the tests of training."""

import pytest
from devices import without_gpus  # noqa: F401


@pytest.fixture(scope="session")
def small_net():
    """A function that builds a net with every kind of variable."""
    import keras

    from keras_ilsvrc.layers import ResidualUnit

    def small_net():
        """A unit with batch normalisation, one without, and a head."""
        image = keras.Input((8, 8, 1), name="image")
        x = keras.layers.Conv2D(4, 3, activation="relu", name="conv1")(image)
        x = ResidualUnit("conv3-4 conv3-4", batch_norm={"momentum": 0.9}, name="conv2_1")(x)
        x = ResidualUnit("conv3/2-8 conv3-8", name="conv3_1")(x)
        x = keras.layers.Flatten(name="flatten")(x)
        return keras.Model(
            image, keras.layers.Dense(10, activation="softmax", name="predictions")(x)
        )

    return small_net


@pytest.fixture(scope="module")
def uninterrupted():
    """The state and the epochs' logs of a toy training that nothing stopped."""
    from toy_runs import run

    return run()[:2]
