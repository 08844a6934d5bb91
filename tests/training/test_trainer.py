"""The loop and the step on one device: exact, and going on exactly."""

import errno
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
import toy

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.training import trainer as loop
from keras_ilsvrc.training.checkpoint import Checkpoints
from keras_ilsvrc.training.replicas import as_tested, set_values, values_of
from keras_ilsvrc.training.stopping import Stopped, StopRequest

STEPS = 12


class Plateau(keras.callbacks.ReduceLROnPlateau):
    """On the training loss, and impatient."""

    def __init__(self):
        super().__init__("loss", factor=0.5, patience=1, min_delta=10.0)


class Log(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.epochs, self.batches = [], []

    def get_state(self):
        return {"epochs": self.epochs}

    def set_state(self, state):
        self.epochs = state["epochs"]

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append((batch, logs["loss"]))

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append({"epoch": epoch, "loss": logs["loss"], "accuracy": logs["accuracy"]})


class StopAt(keras.callbacks.Callback):
    """Asks to stop while step `step` is taken, counted from 1; the next call sees it."""

    def __init__(self, stop, step):
        super().__init__()
        self.stop, self.step = stop, step

    def get_state(self):
        return {}

    def set_state(self, state):
        pass

    def on_train_batch_end(self, batch, logs=None):
        if logs["step"] == self.step:
            self.stop.name = "SIGTERM"


def optimizer():
    return keras.optimizers.SGD(0.05, 0.9)


def run(directory=None, stop_after=None, rate_falls=False, feed=toy.batches, **options):
    """Trains a new toy net, or goes on with it; its hash, and the epochs' logs."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    update = toy.update_of(toy.net(), optimizer() if rate_falls else None)
    log, stop = Log(), StopRequest()
    callbacks = [log, *([Plateau()] if rate_falls else []), StopAt(stop, stop_after)]
    trainer = toy.trainer_of(
        update, STEPS, directory, callbacks, feed, stop=stop, tell=lambda line: None, **options
    )
    try:
        trainer.train()
    except Stopped:
        assert stop_after is not None
    return toy.state_hash(update), log.epochs, trainer


@pytest.fixture(scope="module")
def uninterrupted():
    return run()[:2]


def test_the_same_training_ends_in_the_same_state(uninterrupted):
    assert run()[:2] == uninterrupted


@pytest.mark.parametrize("stop_after", range(1, STEPS - 1))
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


@pytest.mark.parametrize("per_call", [2, 5, 100])
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

    update = toy.fresh()
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
        trainer = toy.trainer_of(toy.fresh(), STEPS, tmp_path, [Enough()])
        trainer.train()
        assert trainer.step == toy.PER_EPOCH


def poisoned(*poison):
    return lambda first, context: toy.batches(first, context, poison)


def test_a_step_that_is_not_finite_is_left_out(tmp_path):
    lines = []
    update = toy.fresh()
    trainer = toy.trainer_of(
        update, STEPS, tmp_path, feed=poisoned(7), checkpoint_steps=3, tell=lines.append
    )
    trainer.train()
    assert trainer.skipped == [7]
    assert len(lines) == 1
    assert lines[0].startswith("step 7: not finite: loss nan")
    assert "back to step 6" in lines[0]
    assert all(np.isfinite(x).all() for x in values_of(update).values())


@pytest.mark.parametrize("stop_after", [5, 6, 8, 10])
def test_goes_on_exactly_around_a_step_that_was_left_out(tmp_path, stop_after):
    options = {"feed": poisoned(7), "checkpoint_steps": 3}
    expected = run(tmp_path / "whole", **options)[:2]
    run(tmp_path / "parts", stop_after, **options)
    assert run(tmp_path / "parts", **options)[:2] == expected


class Unreadable:
    """The images of one step, until it is known that they cannot be read."""

    def __init__(self, step):
        self.step, self.known = step, False

    def batches(self, first, context):
        def check(number, batch):
            tf.debugging.assert_none_equal(number, tf.constant(self.step, tf.int64))
            return batch

        feed = toy.batches(first, context)
        return feed if self.known else feed.enumerate(first).map(check)

    def find(self, step, count):
        if self.known or not step <= self.step < step + count:
            return None
        self.known = True
        return "a line"

    def get_state(self):
        return self.known

    def set_state(self, state):
        self.known = state


@pytest.mark.parametrize("per_call", [1, 4])
def test_goes_back_and_on_without_images_that_cannot_be_read(tmp_path, uninterrupted, per_call):
    bad, lines, update = Unreadable(7), [], toy.fresh()
    options = {"checkpoint_steps": 3, "steps_per_call": per_call, "tell": lines.append}
    callbacks = [Log(), StopAt(None, None)]
    toy.trainer_of(update, STEPS, tmp_path, callbacks, bad.batches, left_out=bad, **options).train()
    assert lines == ["a line; back to step 6, and on without it"]
    assert toy.state_hash(update) == uninterrupted[0]
    assert Checkpoints(tmp_path).latest()[0].facts["left_out"] is True


def test_what_was_left_out_is_known_when_training_goes_on(tmp_path):
    bad = Unreadable(1)
    run(tmp_path, 5, feed=bad.batches, left_out=bad)
    other = Unreadable(1)
    run(tmp_path, feed=other.batches, left_out=other)
    assert other.known


def test_an_error_of_no_image_ends_training():
    bad = Unreadable(1)
    with pytest.raises(tf.errors.InvalidArgumentError):
        toy.trainer_of(toy.fresh(), STEPS, feed=bad.batches).train()


@pytest.mark.parametrize("per_call", [1, 4])
def test_diverges_after_two_rollbacks(tmp_path, per_call):
    trainer = toy.trainer_of(
        toy.fresh(),
        STEPS,
        tmp_path,
        feed=poisoned(4, 6, 9),
        tell=lambda line: None,
        steps_per_call=per_call,
    )
    with pytest.raises(loop.Diverged, match=r"step 9: not finite.* after 2 rollbacks"):
        trainer.train()
    held = Checkpoints(tmp_path).latest()[0]
    assert all(np.isfinite(x).all() for x in held.arrays.values())


def test_diverges_at_once_without_checkpoints():
    trainer = toy.trainer_of(toy.fresh(), STEPS, feed=poisoned(2))
    with pytest.raises(loop.Diverged, match="step 2: not finite"):
        trainer.train()


def full_disk(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_ends_no_training(tmp_path, uninterrupted, monkeypatch):
    lines = []
    update = toy.fresh()
    trainer = toy.trainer_of(update, STEPS, tmp_path, [StopAt(None, None)], tell=lines.append)
    save = trainer.checkpoints.save
    monkeypatch.setattr(
        trainer.checkpoints, "save", lambda step, x: (full_disk if step > 5 else save)(step, x)
    )
    trainer.train()
    assert toy.state_hash(update) == uninterrupted[0]
    assert len(lines) == 2
    assert "no checkpoint after step 10: No space left on device; the one of step 5" in lines[0]
    assert Checkpoints(tmp_path).latest()[0].facts["step"] == 5


def test_a_disk_that_is_full_from_the_start_is_refused(tmp_path, monkeypatch):
    trainer = toy.trainer_of(toy.fresh(), STEPS, tmp_path)
    monkeypatch.setattr(trainer.checkpoints, "save", full_disk)
    with pytest.raises(InputError, match="no checkpoint can be written: No space left"):
        trainer.train()
    assert trainer.step == 0


def test_a_damaged_checkpoint_is_named_with_the_one_that_is_used(tmp_path, uninterrupted):
    run(tmp_path, 7, checkpoint_steps=3)
    newest = Checkpoints(tmp_path).paths()[0]
    newest.write_bytes(newest.read_bytes()[:-1])
    lines = []
    update = toy.fresh()
    toy.trainer_of(update, STEPS, tmp_path, [Log(), StopAt(None, None)], tell=lines.append).train()
    assert len(lines) == 1
    assert str(newest) in lines[0]
    assert "going on from step 6" in lines[0]
    assert toy.state_hash(update) == uninterrupted[0]


def test_a_checkpoint_of_another_net_is_refused():
    values = values_of(toy.fresh())
    with pytest.raises(ValueError, match="model/bn1/beta has no place"):
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
    with pytest.raises(InputError, match="on 2 replicas, not 1; give --replicas 2"):
        run(tmp_path)


def test_is_tested_with_averages_and_trained_without():
    update = toy.fresh()
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
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before
