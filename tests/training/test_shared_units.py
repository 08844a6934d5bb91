"""Tests of training with shared functions: the same steps with pieces, replicas and resuming."""

import keras
import numpy as np
import pytest
import replica_runs
import toy
from devices import mirrored

from keras_ilsvrc.layers import ResidualUnit, sharing

BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}
SAVED = 2  # the step after which the state is saved


def net(synchronized):
    image = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(4, 3, name="conv1")(image)
    for number in range(3):
        options = {"batch_norm": BATCH_NORM, "synchronized": synchronized}
        x = ResidualUnit("conv3-4 conv3-4", **options, name=f"unit_{number}")(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(image, keras.layers.Dense(3, "softmax", name="predictions")(x))


def values(replicas, synchronized, saved=None, **options):
    """All variables after two more steps than `SAVED`, and their values at `SAVED`."""
    strategy = mirrored(replicas)
    with strategy.scope():
        keras.utils.set_random_seed(3)
        update = toy.update_of(net(synchronized), **options)
        if saved:
            toy.set_values(update, saved)
        iterator = replica_runs.feed(strategy, SAVED if saved else 0)
        for step in range(SAVED if saved else 0, SAVED + 2):
            if step == SAVED and not saved:
                saved = toy.values_of(update)
            update.take(iterator, step, 1)
        return toy.values_of(update), saved


@pytest.mark.parametrize(
    ("replicas", "synchronized", "options"),
    [
        (1, False, {"accumulate": 2}),
        (2, False, {}),
        pytest.param(2, True, {}, marks=pytest.mark.slow),
    ],
)
def test_steps_are_those_of_units_that_share_nothing(replicas, synchronized, options, monkeypatch):
    plain, _ = values(replicas, synchronized, **options)
    monkeypatch.setattr(sharing, "UNSHARED", 0)
    shared, _ = values(replicas, synchronized, **options)
    assert plain.keys() == shared.keys()
    for name, value in plain.items():
        np.testing.assert_allclose(shared[name], value, rtol=0, atol=1e-6, err_msg=name)


def test_resuming_repeats_the_steps_exactly(monkeypatch):
    monkeypatch.setattr(sharing, "UNSHARED", 0)
    whole, saved = values(1, False)
    again, _ = values(1, False, saved)
    assert all(np.array_equal(again[name], value) for name, value in whole.items())
