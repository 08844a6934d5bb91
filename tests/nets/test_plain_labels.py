"""Tests of Keras' `fit` on nets with auxiliary classifiers: one array of labels for all outputs."""

import keras
import numpy as np
import pytest

from keras_ilsvrc import build, load_model
from keras_ilsvrc.layers.labels import take_plain_labels

IMAGES = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
LABELS = np.array([0, 1, 2, 0])
LOSS = "sparse_categorical_crossentropy"


def two_outputs():
    x = keras.Input((5,))
    maps = keras.layers.Dense(4, "relu", name="maps")(x)
    heads = {name: keras.layers.Dense(3, "softmax", name=name) for name in ("predictions", "aux")}
    return keras.Model(x, {name: head(maps) for name, head in heads.items()}, name="net")


@pytest.fixture
def net():
    return take_plain_labels(two_outputs())


def test_one_array_of_labels_trains_as_a_dict_of_labels_does(net):
    start, ends = net.get_weights(), []
    for labels in (LABELS, dict.fromkeys(net.output, LABELS)):
        net.set_weights(start)
        net.compile("sgd", LOSS)
        history = net.fit(IMAGES, labels, epochs=2, batch_size=2, shuffle=False, verbose=0).history
        ends.append((history, net.get_weights(), net.evaluate(IMAGES, labels, verbose=0)))
    (plain, weights, tested), (named, expected, also) = ends
    assert plain == named
    assert plain["loss"][1] < plain["loss"][0]
    assert tested == also
    for one, other, first in zip(weights, expected, start, strict=True):
        np.testing.assert_array_equal(one, other)
        assert (one != first).any()
    assert plain["loss"][0] == pytest.approx(plain["predictions_loss"][0] + plain["aux_loss"][0])


def test_metrics_and_weights_of_outputs_and_classes_take_them_too(net):
    net.compile(
        "sgd",
        dict.fromkeys(net.output, LOSS),
        loss_weights={"predictions": 1.0, "aux": 0.3},
        metrics={"predictions": ["accuracy"]},
    )
    found = net.evaluate(IMAGES, LABELS, verbose=0, return_dict=True)
    right = net.predict(IMAGES, verbose=0)["predictions"].argmax(-1) == LABELS
    assert found["predictions_accuracy"] == pytest.approx(right.mean())
    weighted = found["predictions_loss"] + 0.3 * found["aux_loss"]
    assert found["loss"] == pytest.approx(weighted, rel=1e-5)
    history = net.fit(IMAGES, LABELS, class_weight=dict.fromkeys(range(3), 0.0), verbose=0).history
    assert history["loss"] == [0.0]


def test_a_model_of_one_output_is_left_as_it_is_and_a_clone_asks_for_it_again(net):
    alone = keras.Model(net.input, net.output["predictions"])
    assert take_plain_labels(alone) is alone
    assert "compute_loss" not in vars(alone)
    clone = keras.models.clone_model(net)
    clone.compile("sgd", LOSS)
    with pytest.raises((KeyError, ValueError)):
        clone.train_on_batch(IMAGES, LABELS)
    again = take_plain_labels(keras.models.clone_model(net))
    again.compile("sgd", LOSS)
    assert again.train_on_batch(IMAGES, LABELS)[0] > 0  # the whole loss, then each


def test_a_model_that_was_saved_takes_them_once_it_is_loaded(net, tmp_path):
    net.compile("sgd", LOSS)
    expected = net.evaluate(IMAGES, LABELS, verbose=0)
    net.save(tmp_path / "net.keras")
    assert load_model(tmp_path / "net.keras").evaluate(IMAGES, LABELS, verbose=0) == expected


def test_nets_with_auxiliary_classifiers_take_them_and_other_nets_are_plain():
    net = build("googlenet", auxiliary=True, input_shape=(79, 79, 3), classes=3, width=0.1)
    net.compile("sgd", LOSS)
    chances = {name: np.full((4, 3), 1 / 3, "float32") for name in net.output}
    assert float(net.compute_loss(y=LABELS, y_pred=chances)) == pytest.approx(3 * np.log(3))
    plain = build("googlenet", input_shape=(79, 79, 3), classes=3, width=0.1)
    assert "compute_loss" not in vars(plain)
