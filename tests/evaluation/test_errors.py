"""Tests of errors in %: compared with slow loops and NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import binomtest
from sklearn.datasets import load_digits

from keras_ilsvrc import InputError
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.evaluation.averages import ensemble
from keras_ilsvrc.evaluation.baseline import svm
from keras_ilsvrc.evaluation.errors import (
    confidence_interval,
    cross_entropy,
    squared_error,
    top_k_error,
)
from keras_ilsvrc.evaluation.evaluate import evaluate
from keras_ilsvrc.training.losses import SquaredError


def softmax(count, classes, seed=0):
    """Random probabilities, without ties."""
    logits = np.random.default_rng(seed).normal(size=(count, classes))
    powers = np.exp(logits)
    return (powers / powers.sum(axis=1, keepdims=True)).astype("float32")


def slow_error(probabilities, labels, k):
    wrong = 0
    for row, label in zip(probabilities, labels, strict=True):
        best = sorted(range(len(row)), key=lambda index: row[index], reverse=True)[:k]
        wrong += label not in best
    return 100 * wrong / len(labels)


@pytest.mark.parametrize("k", [1, 2, 5, 9])
@pytest.mark.parametrize(("count", "classes"), [(200, 10), (1, 12), (333, 100)])
def test_top_k_error_is_that_of_a_slow_loop(count, classes, k):
    probabilities = softmax(count, classes)
    labels = np.random.default_rng(1).integers(classes, size=count)
    expected = slow_error(probabilities, labels, k)
    assert top_k_error(probabilities, labels, k) == pytest.approx(expected, abs=1e-9)


def test_all_classes_hold_the_right_one():
    assert top_k_error(softmax(50, 7), np.arange(50) % 7, 7) == 0


def test_errors_fall_with_k():
    probabilities, labels = softmax(300, 20), np.arange(300) % 20
    errors = [top_k_error(probabilities, labels, k) for k in range(1, 21)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > errors[-1]


def test_a_tie_counts_as_an_error():
    uniform = np.full((4, 10), 0.1, "float32")
    labels = np.array([0, 3, 9, 5])
    assert top_k_error(uniform, labels, 1) == 100
    assert top_k_error(uniform, labels, 9) == 100
    assert top_k_error(uniform, labels, 10) == 0


def test_a_tie_below_the_right_class_does_not_matter():
    row = np.array([[0.5, 0.2, 0.2, 0.1]], "float32")
    assert [top_k_error(row, np.array([0]), k) for k in (1, 2)] == [0, 0]
    assert [top_k_error(row, np.array([1]), k) for k in (1, 2, 3)] == [100, 100, 0]


@pytest.mark.parametrize("k", [1, 5, 10])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_an_error(k, value):
    whole = np.full((3, 10), value, "float32")
    labels = np.array([0, 4, 9])
    assert top_k_error(whole, labels, k) == 100
    own = softmax(3, 10)
    own[np.arange(3), labels] = value
    assert top_k_error(own, labels, k) == 100


def test_a_nan_beside_the_right_class_is_an_error():
    row = np.array([[0.9, np.nan, 0.1]], "float32")
    assert top_k_error(row, np.array([0]), 1) == 100


def test_cross_entropy_is_that_of_numpy():
    probabilities, labels = softmax(200, 10), np.arange(200) % 10
    expected = -np.mean(
        [np.log(row[label]) for row, label in zip(probabilities, labels, strict=True)]
    )
    assert cross_entropy(probabilities, labels) == pytest.approx(expected, rel=1e-6)


def test_squared_error_of_validation_is_that_of_training():
    probabilities, labels = softmax(200, 10), np.arange(200) % 10
    loss, _ = SquaredError()(tf.constant(probabilities), tf.constant(labels))
    assert squared_error(probabilities, labels) == pytest.approx(float(loss) / 200, rel=1e-5)


def test_cross_entropy_of_a_guess_is_the_log_of_the_classes():
    uniform = np.full((6, 10), 0.1, "float32")
    assert cross_entropy(uniform, np.arange(6)) == pytest.approx(np.log(10), rel=1e-6)


def test_cross_entropy_of_a_probability_of_zero_is_finite():
    sure = np.eye(3, dtype="float32")
    assert cross_entropy(sure, np.arange(3)) == 0
    assert 80 < cross_entropy(sure, np.array([1, 2, 0])) < 100


def predict(model, batches, after_step):
    return model.predict(batches(tf.distribute.InputContext()), verbose=0)


@pytest.mark.parametrize("several", [False, True], ids=["one output", "a dict"])
@pytest.mark.parametrize("batch_size", [1, 4, 7, 13, 32])
def test_single_view_has_every_image_once_in_order_whatever_the_batch(batch_size, several):
    pixels = np.round(load_digits().images[:13] * 15.9375).astype("uint8")[..., None]
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(image)
    heads = {
        name: keras.layers.Dense(10, "softmax", name=name)(x) for name in ("predictions", "aux1")
    }
    model = keras.Model(image, heads if several else heads["predictions"])
    split = Split(np.arange(13, dtype="int32"), pixels, channels=1)
    rows = [{"op": "normalise", "mean": [128.0], "std": [64.0]}]
    found = evaluate(model, split, rows, {}, "single_view", batch_size, predict)
    layer = model.get_layer("predictions")
    flat = (pixels.reshape(13, 64).astype("float32") - 128) / 64
    powers = np.exp(flat @ layer.kernel.numpy() + layer.bias.numpy())
    expected = powers / powers.sum(axis=1, keepdims=True)
    assert found.shape == (13, 10)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_the_svm_learns_digits_and_nothing_from_shuffled_labels():
    data = load_digits()
    images, labels = data.images[..., None] * 15.9375, data.target
    good = svm(images[:1000], labels[:1000], images[1000:], labels[1000:])
    assert good < 5
    shuffled = np.random.default_rng(0).permutation(labels[:1000])
    bad = svm(images[:1000], shuffled, images[1000:], labels[1000:])
    assert bad > 70


@pytest.mark.parametrize("level", [0.68, 0.9, 0.95, 0.99])
@pytest.mark.parametrize(("wrong", "images"), [(0, 7), (1, 1), (3, 10), (250, 1000), (7500, 50000)])
def test_the_interval_of_an_error_is_wilsons(wrong, images, level):
    found = confidence_interval(100 * wrong / images, images, level)
    expected = binomtest(wrong, images).proportion_ci(level, method="wilson")
    assert found == pytest.approx((100 * expected.low, 100 * expected.high), abs=1e-9)


def test_an_error_of_7_percent_on_the_validation_images_is_known_to_a_quarter_of_a_percent():
    low, high = confidence_interval(7.0, 50_000)
    assert low < 7 < high
    assert high - low == pytest.approx(0.4475, abs=0.001)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((101, 10), "error is 101; expected a percentage"),
        ((-0.1, 10), "error is -0.1; expected a percentage"),
        ((float("nan"), 10), "error is nan; expected a percentage"),
        ((5, 0), "images is 0; expected at least 1"),
        ((5, 10, 1), "level is 1; expected a number between 0 and 1"),
        ((5, 10, 95), "level is 95; expected a number between 0 and 1"),
    ],
)
def test_what_has_no_interval_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        confidence_interval(*arguments)


def test_an_ensemble_is_the_mean_of_its_nets():
    members = [softmax(20, 7, seed) for seed in range(5)]
    found = ensemble(members)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, np.mean(members, axis=0, dtype="float64"), rtol=1e-7)
    np.testing.assert_array_equal(ensemble(members[:1]), members[0])


def test_an_ensemble_is_as_exact_as_float64_whatever_its_order():
    members = [np.full((2, 3), value, "float32") for value in (1, 1e-9, 1e-9)]
    expected = np.float32((1 + 2e-9) / 3)
    assert (ensemble(iter(members)) == expected).all()
    many = [softmax(3, 4, seed) for seed in range(1000)]
    np.testing.assert_array_equal(ensemble(many), ensemble(many[::-1]))


def test_nets_with_other_classes_or_images_make_no_ensemble():
    with pytest.raises(InputError, match=r"shapes \(4, 3\) and \(5, 3\); use"):
        ensemble([softmax(4, 3), softmax(5, 3)])
    with pytest.raises(InputError, match="the ensemble is empty"):
        ensemble([])


def test_the_error_of_the_baseline_is_in_percent():
    images = np.repeat(np.uint8([0, 255]), 4).reshape(8, 1, 1, 1)
    labels = np.repeat([0, 1], 4)
    assert svm(images, labels, images, labels) == 0
    assert svm(images, labels, images[[0, 7, 0, 7]], np.array([0, 1, 1, 1])) == 25
