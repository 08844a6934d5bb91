"""Tests that every class that a saved file may contain is registered with Keras."""

import importlib
import pkgutil

import keras
import pytest

import keras_ilsvrc

KINDS = (
    keras.layers.Layer,
    keras.optimizers.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule,
    keras.constraints.Constraint,
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
    keras.losses.Loss,
    keras.metrics.Metric,
)


def subclasses(kind):
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


@pytest.mark.tensorflow
def test_every_class_in_a_saved_file_is_registered():
    for module in pkgutil.walk_packages(keras_ilsvrc.__path__, "keras_ilsvrc."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    ours = {
        each
        for kind in KINDS
        for each in subclasses(kind)
        if each.__module__.startswith("keras_ilsvrc.")
        if not issubclass(each, keras.Model)  # evaluation wraps a model in one, which is not saved
    }
    names = {each.__name__ for each in ours}
    assert {"BatchNormalization", "ResidualUnit", "SGD", "WarmUp", "FilterRMS"} <= names
    for each in ours:
        assert keras.saving.get_registered_name(each) == f"keras_ilsvrc>{each.__name__}"


def test_configurations_of_optimizers_are_independent():
    from keras_ilsvrc.training import optimizers

    for kind in (optimizers.SGD, optimizers.RMSprop):
        optimizer = kind(0.1, rates={"bias": 2.0})
        optimizer.get_config()["rates"]["bias"] = 5.0
        assert kind.from_config(optimizer.get_config()).rates == {"bias": 2.0}
