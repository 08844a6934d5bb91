"""Tests that the weights of the best epoch are kept, and restored whatever happens in between."""

import keras
import numpy as np
import pytest
import toy
from toy_runs import StopAt, untrained

from keras_ilsvrc.training.best import KeepBest
from keras_ilsvrc.training.callbacks import Validation
from keras_ilsvrc.training.checkpoint import Checkpoints, State
from keras_ilsvrc.training.replicas import values_of
from keras_ilsvrc.training.stopping import Stopped, StopRequest
from keras_ilsvrc.utils.errors import InputError

ERRORS = [50.0, 30.0, 30.0, 20.0, 40.0, 45.0, 10.0]  # a run that stops early never sees the last


class Killed(Exception):
    """As of kill -9."""


class Seen(keras.callbacks.Callback):
    """Notes all variables at the end of each epoch, and is killed after one of them."""

    def __init__(self, update, killed_after):
        super().__init__()
        self.update, self.values, self.killed_after = update, {}, killed_after

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.killed_after:
            raise Killed

    def on_epoch_end(self, epoch, logs=None):
        self.values[epoch + 1] = values_of(self.update)


def train(directory, stop_after=None, log=print, killed_after=None):
    """Train the toy for seven epochs of two steps, or resume it."""
    update, stop = untrained(), StopRequest()
    best, seen = KeepBest(update, Checkpoints(directory / "best"), log), Seen(update, killed_after)

    def measure():
        return {"error": ERRORS[int(update.optimizer.iterations.numpy()) // 2 - 1]}

    early = keras.callbacks.EarlyStopping("validation_error", 0, 2, mode="min")
    callbacks = [Validation(measure), best, seen, early, StopAt(stop, stop_after)]
    trainer = toy.trainer_of(
        update, 14, directory / "checkpoints", callbacks, per_epoch=2, stop=stop, log=log
    )
    try:
        trainer.train()
    except Stopped:
        assert stop_after
    return best, seen, trainer


def check(best, expected):
    best.restore()
    found = values_of(best.update)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_the_first_epoch_of_the_lowest_error_is_kept(tmp_path):
    best, seen, trainer = train(tmp_path)
    assert (best.epoch, trainer.epochs) == (4, 6)
    assert any((seen.values[6][x] != y).any() for x, y in seen.values[4].items())
    check(best, seen.values[4])
    best, _, trainer = train(tmp_path)  # finished, so that no step is taken
    assert (best.epoch, trainer.epochs) == (4, 6)
    check(best, seen.values[4])


@pytest.mark.parametrize(
    "stop_after", [7, 8, *(pytest.param(x, marks=pytest.mark.slow) for x in (3, 11))]
)
def test_a_resumed_training_keeps_the_same(tmp_path, stop_after):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    _, seen, _ = train(whole)
    train(parts, stop_after)
    best, _, trainer = train(parts)
    assert (best.epoch, trainer.epochs) == (4, 6)
    check(best, seen.values[4])


def test_a_damaged_checkpoint_loses_no_best_epoch(tmp_path):
    """The last checkpoint but one knows only of epoch 2, whose file is still there."""
    with pytest.raises(Killed):
        train(tmp_path, killed_after=4)
    Checkpoints(tmp_path / "checkpoints").paths()[0].write_bytes(b"damaged")
    best, seen, _ = train(tmp_path, 7, log=lambda line: None)
    assert (best.epoch, list(seen.values)) == (2, [])  # stopped before the end of epoch 4
    best.restore()
    best, seen, _ = train(tmp_path, log=lambda line: None)
    assert best.epoch == 4
    check(best, seen.values[4])


def test_damage_to_the_best_weights_is_named(tmp_path):
    best, _, _ = train(tmp_path)
    path = tmp_path / "best" / "step-000000008.ckpt"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        InputError, match=f"^{path}: damaged: .* best weights \\(epoch 4\\); restore"
    ):
        best.restore()


def test_workers_agree_on_the_lowest_error_though_only_the_chief_fails(tmp_path, monkeypatch):
    def full(self, step, state):
        raise OSError(28, "No space left on device")

    chief, other = (KeepBest(untrained(), Checkpoints(x), print) for x in (tmp_path, None))
    for epoch, error in enumerate(ERRORS[:3]):
        for best in (chief, other):
            with monkeypatch.context() as patch:
                if best is chief and epoch == 1:
                    patch.setattr(Checkpoints, "save", full)
                calls = []
                patch.setattr("keras_ilsvrc.training.best.values_of", calls.append)
                patch.setattr("keras_ilsvrc.training.best.State", lambda _: State({}))
                best.on_epoch_end(epoch, {"validation_error": error, "step": 2 * epoch + 2})
            assert len(calls) == (epoch < 2)  # collectives, which all workers must call together
    assert (chief.epoch, other.epoch) == (1, 2)


def test_a_disk_without_room_keeps_the_best_epoch_that_was_saved(tmp_path, monkeypatch):
    save, lines = Checkpoints.save, []

    def full(self, step, state):
        if self.directory.name == "best" and step == 8:
            raise OSError(28, "No space left on device")
        return save(self, step, state)

    monkeypatch.setattr(Checkpoints, "save", full)
    best, seen, _ = train(tmp_path, log=lines.append)
    assert lines == [
        f"{tmp_path / 'best'}: best weights (epoch 4) not saved: No space left on device; "
        "training continues"
    ]
    assert best.epoch == 2
    check(best, seen.values[2])
