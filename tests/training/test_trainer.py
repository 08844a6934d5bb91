"""Tests of the training loop and step on one device: exact, also after resuming."""

import keras
import numpy as np
import pytest
import toy
from toy_runs import STEPS, Log, StopAt, run, untrained

from keras_ilsvrc.training.checkpoint import Checkpoints
from keras_ilsvrc.training.replicas import as_tested, set_values, values_of
from keras_ilsvrc.training.stopping import Stopped, StopRequest
from keras_ilsvrc.utils.errors import InputError


def test_the_same_training_ends_in_the_same_state_also_of_a_net_that_is_built_anew(uninterrupted):
    assert run()[:2] == uninterrupted
    update = toy.fresh()
    toy.trainer_of(update, STEPS).train()
    assert toy.state_hash(update) == uninterrupted[0]


@pytest.mark.parametrize(
    "stop_after",
    [x if x in (1, 5, 7) else pytest.param(x, marks=pytest.mark.slow) for x in range(1, STEPS - 1)],
)
def test_goes_on_exactly_from_every_step(tmp_path, uninterrupted, stop_after):
    _, _, stopped = run(tmp_path, stop_after)
    assert stopped.step == stop_after + 1
    assert run(tmp_path)[:2] == uninterrupted


def test_goes_on_exactly_from_stop_to_stop(tmp_path, uninterrupted):
    for step in (2, 4, 5, 8):
        run(tmp_path, step)
    assert run(tmp_path)[:2] == uninterrupted


def test_goes_on_with_what_callbacks_remember(tmp_path):
    expected = run(rate_falls=True)[:2]
    run(tmp_path, 5, rate_falls=True)
    run(tmp_path, 7, rate_falls=True)
    assert run(tmp_path, rate_falls=True)[:2] == expected


@pytest.mark.parametrize(
    "per_call",
    [pytest.param(2, marks=pytest.mark.slow), 5, pytest.param(100, marks=pytest.mark.slow)],
)
def test_several_steps_a_call_are_the_same_steps(tmp_path, uninterrupted, per_call):
    assert run(steps_per_call=per_call)[:2] == uninterrupted
    run(tmp_path, 5, steps_per_call=per_call)
    assert run(tmp_path, steps_per_call=per_call)[:2] == uninterrupted


def test_ends_within_an_epoch_and_closes_it(uninterrupted):
    assert [x["epoch"] for x in uninterrupted[1]] == [0, 1, 2]


def test_an_epoch_that_was_not_ended_is_ended_first(tmp_path, uninterrupted):
    """A stop between the last step of an epoch and its end."""
    _, epochs, stopped = run(tmp_path, toy.PER_EPOCH - 1)
    assert stopped.step == toy.PER_EPOCH
    assert not epochs
    assert run(tmp_path)[:2] == uninterrupted


def test_a_stop_in_validation_is_taken_up_before_it(tmp_path, uninterrupted):
    class Validation(Log):
        def on_epoch_end(self, epoch, logs=None):
            raise Stopped

    update = untrained()
    trainer = toy.trainer_of(update, STEPS, tmp_path, [Validation(), StopAt(None, None)])
    with pytest.raises(Stopped):
        trainer.train()
    assert trainer.step == toy.PER_EPOCH
    assert run(tmp_path)[:2] == uninterrupted


def test_early_stopping_is_heard_and_kept(tmp_path):
    class Enough(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    for _ in range(2):
        trainer = toy.trainer_of(untrained(), STEPS, tmp_path, [Enough()])
        trainer.train()
        assert trainer.step == toy.PER_EPOCH


def test_a_checkpoint_of_another_net_is_refused():
    values = values_of(toy.fresh())
    with pytest.raises(ValueError, match="model/bn1/beta is not a variable that this run"):
        set_values(toy.fresh(batch_norm=False), values)
    del values["model/conv1/bias"]
    with pytest.raises(ValueError, match="model/conv1/bias is missing"):
        set_values(toy.fresh(), values)


def test_a_checkpoint_of_more_replicas_is_refused(tmp_path):
    run(tmp_path, 3)
    checkpoints = Checkpoints(tmp_path)
    held = checkpoints.latest()[0]
    held.facts["replicas"] = 2
    checkpoints.save(held.facts["step"], held)
    with pytest.raises(InputError, match="with 2 replicas, but this run has 1; resume"):
        run(tmp_path)


def test_is_tested_with_averages_and_trained_without():
    update = untrained()
    trainer = toy.trainer_of(update, 4)
    trainer.train()
    before = toy.state_hash(update)
    weights = [x.numpy() for x in update.model.trainable_weights]
    with as_tested(update):
        for weight, average, own in zip(update.model.trainable_weights, update.averages, weights):
            np.testing.assert_array_equal(weight.numpy(), average.numpy())
            assert not np.array_equal(weight.numpy(), own)
    assert toy.state_hash(update) == before


def test_signals_are_noted_and_given_back():
    import signal

    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert not stop
        signal.raise_signal(signal.SIGTERM)
        assert stop
        assert stop.name == "SIGTERM"
        with pytest.raises(Stopped):
            stop.check()
        signal.raise_signal(signal.SIGINT)  # the first
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before
