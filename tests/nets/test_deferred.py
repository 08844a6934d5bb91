"""Tests that models built with weights draw initial values only for a new classifier."""

import keras
import numpy as np
import pytest

from keras_ilsvrc import InputError, build
from keras_ilsvrc.nets.deferred import Deferred

pytestmark = pytest.mark.tensorflow
NET = "nin_cifar10"


@pytest.fixture
def drawn(monkeypatch):
    """Shapes of the initial values that are drawn."""
    shapes, draw = [], keras.initializers.VarianceScaling.__call__

    def record(self, shape, *arguments, **keywords):
        shapes.append(tuple(shape))
        return draw(self, shape, *arguments, **keywords)

    monkeypatch.setattr(keras.initializers.VarianceScaling, "__call__", record)
    return shapes


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("deferred") / "net.weights.h5"
    build(NET).save_weights(path)
    return path


def test_only_a_new_classifier_has_initial_values_drawn(path, drawn):
    model = build(NET, weights=path)
    assert drawn == []
    other = build(NET, weights=path, classes=5)
    assert drawn == [(1, 1, 192, 5)]
    assert np.array(other.get_layer("cccp6").kernel).std() == pytest.approx(
        (2 / 192) ** 0.5, rel=0.1
    )
    plain = build(NET)
    assert model.get_config() == plain.get_config()
    assert model.count_params() == plain.count_params()


def test_a_model_with_weights_trains_and_is_copied_like_another(tmp_path):
    net, path = "lenet5_modern", tmp_path / "lenet.weights.h5"
    build(net).save_weights(path)
    model = build(net, weights=path)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    images = np.random.default_rng(0).normal(size=(4, *model.input_shape[1:])).astype("float32")
    for one in (model, copy):
        one.compile("sgd", "sparse_categorical_crossentropy")
        one.fit(images, np.arange(4), epochs=1, verbose=0)
    for ours, theirs in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    again = build(net, weights=path)  # the values of the file are not those trained
    assert not np.array_equal(again.get_weights()[0], model.get_weights()[0])


def test_after_an_error_nothing_is_left_behind(path, tmp_path):
    model = build(NET)
    model.weights[4].assign(model.weights[4] * np.nan)
    model.save_weights(tmp_path / "infinite.weights.h5")
    with pytest.raises(InputError, match=r"infinite.weights.h5: a value of .* is not finite"):
        build(NET, weights=tmp_path / "infinite.weights.h5")
    assert np.isfinite(build(NET).get_weights()[4]).all()


def test_a_variable_from_before_is_refused():
    variable = keras.Variable([1.0])
    with pytest.raises(ValueError, match="already has a value; assign it outside"), Deferred():
        variable.assign([2.0])
