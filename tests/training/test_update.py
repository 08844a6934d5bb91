"""Tests of one step: pieces, clipping, averages, values that are not finite, half precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import toy

from keras_ilsvrc.training.losses import CrossEntropy
from keras_ilsvrc.training.update import FLOAT16_SCALE, Update

slow = pytest.mark.slow


def one_step(batch=toy.BATCH, **options):
    """Gradients' work: the weights after one step of a net without BN and dropout."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    update = Update(
        toy.net(0, False), keras.optimizers.SGD(0.1), CrossEntropy(), toy.BATCH, 0, **options
    )
    iterator = iter(toy.batches(0, tf.distribute.InputContext()))
    (result,) = update.take(iterator, 0, 1)
    return result, [x.numpy() for x in update.model.trainable_weights], update


@pytest.mark.parametrize("pieces", [pytest.param(2, marks=slow), 4, pytest.param(8, marks=slow)])
def test_pieces_add_up_to_the_batch(pieces):
    expected, weights, _ = one_step()
    result, others, _ = one_step(accumulate=pieces)
    assert result.loss == pytest.approx(expected.loss, rel=1e-5)
    assert result.gradient_norm == pytest.approx(expected.gradient_norm, rel=1e-5)
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)


def test_pieces_must_be_equally_large():
    with pytest.raises(
        ValueError, match=r"expected a multiple of \d+ \(\d replicas, accumulate = 3\)"
    ):
        one_step(accumulate=3)


def test_clips_the_global_norm():
    start = [x.numpy() for x in toy.fresh(dropout=0, batch_norm=False).model.trainable_weights]
    free, weights, _ = one_step()
    limit = free.gradient_norm / 4
    clipped, others, _ = one_step(clip_norm=limit)
    assert clipped.gradient_norm == pytest.approx(free.gradient_norm)
    for before, one, other in zip(start, weights, others, strict=True):
        np.testing.assert_allclose(other - before, (one - before) / 4, rtol=1e-3, atol=1e-7)


def test_xla_takes_the_same_step():
    expected, weights, _ = one_step()
    result, others, _ = one_step(xla=True)
    assert result.loss == pytest.approx(expected.loss, rel=1e-5)
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)


def test_averages_follow_the_weights():
    """min(momentum, (1 + step) / (10 + step)), by hand."""
    update = toy.fresh()
    iterator = iter(toy.batches(0, tf.distribute.InputContext()))
    weight, average = update.model.trainable_weights[0], update.averages[0]
    expected = weight.numpy()
    for step in range(4):
        update.take(iterator, step, 1)
        momentum = min(0.99, (1 + step) / (10 + step))
        expected = momentum * expected + (1 - momentum) * weight.numpy()
        np.testing.assert_allclose(average.numpy(), expected, rtol=1e-5)


def test_one_step_is_that_of_fit():
    """Stock `fit` with the same batch, optimizer and initial values."""
    result, weights, _update = one_step()
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    model = toy.net(0, False)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=False)
    stock = model.fit(
        toy.batches(0, tf.distribute.InputContext()), steps_per_epoch=1, shuffle=False, verbose=0
    )
    assert result.loss == pytest.approx(stock.history["loss"][0], rel=1e-6)
    for one, other in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_weights_do_not_change_in_a_step_that_is_not_finite():
    update = toy.fresh()
    before = {weight.path: weight.numpy() for weight in update.model.trainable_weights}
    iterator = iter(toy.batches(0, tf.distribute.InputContext(), poison=[0]))
    (result,) = update.take(iterator, 0, 1)
    assert not result.finite
    for weight in update.model.trainable_weights:
        np.testing.assert_array_equal(weight.numpy(), before[weight.path])


@pytest.mark.parametrize("precision", [pytest.param("mixed_bfloat16", marks=slow), "mixed_float16"])
def test_half_precision_learns_as_float32_does(precision):
    found = {}
    for policy in ("float32", precision):
        keras.config.set_dtype_policy(policy)
        try:
            update = toy.fresh(dropout=0)
        finally:
            keras.config.set_dtype_policy("float32")
        if update.scale is not None:
            update.scale.assign(256.0)  # lower than at first, so that no step overflows
        iterator = iter(toy.batches(0, tf.distribute.InputContext()))
        found[policy] = [update.take(iterator, step, 1)[0].loss for step in range(20)]
    assert found["float32"][-1] < found["float32"][0]
    np.testing.assert_allclose(found[precision], found["float32"], rtol=0.05, atol=0.02)


@pytest.fixture
def half():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        yield toy.fresh(dropout=0, batch_norm=False)
    finally:
        keras.config.set_dtype_policy("float32")


def test_an_overflow_in_float16_halves_the_scale_and_changes_no_weight(half):
    half.scale.assign(2.0**40)
    before = [weight.numpy() for weight in half.model.trainable_weights]
    iterator = iter(toy.batches(0, tf.distribute.InputContext()))
    (result,) = half.take(iterator, 0, 1)
    assert result.finite
    assert not np.isfinite(result.gradient_norm)
    assert float(half.scale) == 2.0**39
    for weight, old in zip(half.model.trainable_weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)


def test_the_scale_doubles_after_two_thousand_good_steps(half):
    half.good.assign(1999)
    iterator = iter(toy.batches(0, tf.distribute.InputContext()))
    half.take(iterator, 0, 1)
    assert (float(half.scale), int(half.good)) == (2 * FLOAT16_SCALE, 0)
    half.take(iterator, 1, 1)
    assert (float(half.scale), int(half.good)) == (2 * FLOAT16_SCALE, 1)


def test_at_scale_one_an_overflow_is_not_finite(half):
    half.scale.assign(1.0)
    iterator = iter(toy.batches(0, tf.distribute.InputContext(), poison=[0]))
    (result,) = half.take(iterator, 0, 1)
    assert not result.finite


def test_label_smoothing_is_that_of_szegedy_et_al():
    random = np.random.default_rng(0)
    outputs = random.dirichlet(np.ones(5), 6).astype("float32")
    labels = random.integers(0, 5, 6)
    wanted = 0.9 * np.eye(5)[labels] + 0.1 / 5
    expected = -(wanted * np.log(outputs)).sum()
    loss, right = CrossEntropy(label_smoothing=0.1)(tf.constant(outputs), tf.constant(labels))
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert float(right) == (outputs.argmax(1) == labels).sum()
