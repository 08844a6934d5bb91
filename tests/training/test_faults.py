"""Tests of faults in training: values that are not finite, bad images, full disks, damage."""

import errno
import os

import numpy as np
import pytest
import tensorflow as tf
import toy
from toy_runs import STEPS, Log, StopAt, run, untrained

from keras_ilsvrc.training import trainer as loop
from keras_ilsvrc.training.checkpoint import Checkpoints
from keras_ilsvrc.training.replicas import values_of
from keras_ilsvrc.utils.errors import InputError


def poisoned(*poison):
    return lambda first, context: toy.batches(first, context, poison)


def test_a_step_that_is_not_finite_is_left_out(tmp_path):
    lines = []
    update = untrained()
    trainer = toy.trainer_of(
        update, STEPS, tmp_path, feed=poisoned(7), checkpoint_steps=3, log=lines.append
    )
    trainer.train()
    assert trainer.skipped == [7]
    assert len(lines) == 1
    assert lines[0].startswith("step 7: loss or gradient is not finite: loss nan")
    assert "returning to step 6" in lines[0]
    assert all(np.isfinite(x).all() for x in values_of(update).values())


@pytest.mark.parametrize(
    "stop_after", [6, 8, *(pytest.param(x, marks=pytest.mark.slow) for x in (5, 10))]
)
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
        return {"7": "a fault"} if self.known else {}

    def set_state(self, state):
        self.known = self.known or bool(state)


@pytest.mark.parametrize("per_call", [1, 4])
def test_goes_back_and_on_without_images_that_cannot_be_read(tmp_path, uninterrupted, per_call):
    bad, lines, update = Unreadable(7), [], untrained()
    options = {"checkpoint_steps": 3, "steps_per_call": per_call, "log": lines.append}
    callbacks = [Log(), StopAt(None, None)]
    toy.trainer_of(update, STEPS, tmp_path, callbacks, bad.batches, left_out=bad, **options).train()
    assert lines == ["a line; returning to step 6 to continue without unreadable images"]
    assert toy.state_hash(update) == uninterrupted[0]
    assert Checkpoints(tmp_path).latest()[0].facts["left_out"] == {"7": "a fault"}


def test_what_was_left_out_is_known_when_training_goes_on(tmp_path):
    bad = Unreadable(1)
    run(tmp_path, 5, feed=bad.batches, left_out=bad)
    other = Unreadable(1)
    run(tmp_path, feed=other.batches, left_out=other)
    assert other.known


def test_an_error_of_no_image_ends_training():
    bad = Unreadable(1)
    with pytest.raises(tf.errors.InvalidArgumentError):
        toy.trainer_of(untrained(), STEPS, feed=bad.batches).train()


@pytest.mark.parametrize("per_call", [1, 4])
def test_diverges_after_two_rollbacks(tmp_path, per_call):
    trainer = toy.trainer_of(
        untrained(),
        STEPS,
        tmp_path,
        feed=poisoned(4, 6, 9),
        log=lambda line: None,
        steps_per_call=per_call,
    )
    with pytest.raises(loop.Diverged, match=r"step 9: .* is not finite.* after 2 rollbacks"):
        trainer.train()
    held = Checkpoints(tmp_path).latest()[0]
    assert all(np.isfinite(x).all() for x in held.arrays.values())


def test_diverges_at_once_without_checkpoints():
    trainer = toy.trainer_of(untrained(), STEPS, feed=poisoned(2))
    with pytest.raises(loop.Diverged, match="step 2: loss or gradient is not finite"):
        trainer.train()


def full_disk(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_ends_no_training(tmp_path, uninterrupted, monkeypatch):
    lines = []
    update = untrained()
    trainer = toy.trainer_of(update, STEPS, tmp_path, [StopAt(None, None)], log=lines.append)
    save = trainer.checkpoints.save
    monkeypatch.setattr(
        trainer.checkpoints, "save", lambda step, x: (full_disk if step > 5 else save)(step, x)
    )
    trainer.train()
    assert toy.state_hash(update) == uninterrupted[0]
    assert len(lines) == 2
    assert "no checkpoint was written after step 10: No space left on device; the" in lines[0]
    assert Checkpoints(tmp_path).latest()[0].facts["step"] == 5


def test_a_disk_that_is_full_from_the_start_is_refused(tmp_path, monkeypatch):
    trainer = toy.trainer_of(untrained(), STEPS, tmp_path)
    monkeypatch.setattr(trainer.checkpoints, "save", full_disk)
    with pytest.raises(InputError, match="cannot write a checkpoint: No space left"):
        trainer.train()
    assert trainer.step == 0


def test_a_damaged_checkpoint_is_named_with_the_one_that_is_used(tmp_path, uninterrupted):
    run(tmp_path, 7, checkpoint_steps=3)
    newest = Checkpoints(tmp_path).paths()[0]
    newest.write_bytes(newest.read_bytes()[:-1])
    lines = []
    update = untrained()
    toy.trainer_of(update, STEPS, tmp_path, [Log(), StopAt(None, None)], log=lines.append).train()
    assert len(lines) == 1
    assert str(newest) in lines[0]
    assert "resuming from step 6" in lines[0]
    assert toy.state_hash(update) == uninterrupted[0]


def test_another_number_of_threads_is_told(tmp_path, monkeypatch):
    run(tmp_path, 3)
    monkeypatch.setattr(loop, "threads", lambda: 99)
    lines = []
    toy.trainer_of(
        untrained(), STEPS, tmp_path, [Log(), StopAt(None, None)], log=lines.append
    ).train()
    assert [line for line in lines if "99; sums are rounded differently" in line] == lines != []
