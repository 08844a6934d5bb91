"""Training loop over steps and epochs with Keras' callbacks, which can resume after any step.

Keras' `fit` is not used: on several machines it fails in two private functions of Keras, and
it cannot resume between the end of a batch and the end of its epoch.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from pydantic import ValidationError

from keras_ilsvrc.data.left_out import LeftOut
from keras_ilsvrc.data.pipeline import of_an_image
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.training.callbacks import get_state, set_state
from keras_ilsvrc.training.checkpoint import Checkpoints, Facts, State
from keras_ilsvrc.training.cluster import Log, log_stderr
from keras_ilsvrc.training.forward import iterate
from keras_ilsvrc.training.replicas import from_chief, set_values, values_of
from keras_ilsvrc.training.stopping import Diverged, Stopped, StopRequest
from keras_ilsvrc.training.strategy import threads
from keras_ilsvrc.training.update import StepResult, Update

ROLLBACKS = 2  # maximum number; if one more is needed, training has diverged
NEVER = StopRequest()
Batches = Callable[[int, tf.distribute.InputContext], tf.data.Dataset]


class Trainer:
    """Training loop that can be stopped at any time and resumes exactly.

    It starts from the last checkpoint in `checkpoints`, if there is one. After a step whose
    gradient is not finite, it returns to the last checkpoint and continues without that step.
    Every worker runs the same loop; only the first worker has a directory for checkpoints, and
    only its callbacks need to write files.

    Args:
        update: Training step of the model.
        batches: Function of (first step, input context) that returns one worker's dataset from
            that step on. Each batch is one replica's share, for its replicas in turn.
        steps: Total number of steps; the last epoch may be shorter than the others.
        steps_per_epoch: Number of steps between calls of the callbacks' `on_epoch_end`.
        callbacks: Keras callbacks, called in this order. Checkpoints contain their state: that of
            `get_state` and `set_state` if they have them, else their `REMEMBERED` attributes.
        checkpoints: Checkpoints to resume from and to write; None for none.
        initial: Function that sets the initial weights if there is no checkpoint; None to start
            from the model's current weights.
        steps_per_call: Number of steps in one graph call.
        checkpoint_steps: Steps between checkpoints within an epoch; every epoch ends with one.
        checkpoint_seconds: Seconds after which a checkpoint is written at any step.
        stop: Request to stop, which is checked in every call.
        left_out: Images that `batches` leaves out. If an image cannot be read, it finds those to
            leave out; training returns to the last checkpoint and continues without them.
        describe: Function that returns the images of a step as text, for the message about a
            gradient that is not finite.
        log: Function that prints a message.
    """

    def __init__(
        self,
        update: Update,
        batches: Batches,
        steps: int,
        steps_per_epoch: int,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        checkpoints: Checkpoints | None = None,
        *,
        initial: Callable[[], object] | None = None,
        steps_per_call: int = 1,
        checkpoint_steps: int | None = None,
        checkpoint_seconds: float = 600,
        stop: StopRequest = NEVER,
        left_out: LeftOut | None = None,
        describe: Callable[[int], str] = "step {}".format,
        log: Log = log_stderr,
    ):
        self.update, self.batches, self.checkpoints = update, batches, checkpoints
        self.steps, self.steps_per_epoch = steps, steps_per_epoch
        self.initial, self.steps_per_call = initial, steps_per_call
        self.checkpoint_steps, self.checkpoint_seconds = checkpoint_steps, checkpoint_seconds
        self.stop, self.left_out, self.describe, self.log = stop, left_out, describe, log
        self.callbacks = list(callbacks)
        self.step = self.epochs = self.saved = 0
        self.sums = {"loss": 0.0, "accuracy": 0.0, "waited": 0.0, "steps": 0}
        self.skipped: list[int] = []

    def train(self) -> None:
        """Take the remaining steps.

        Raises:
            Stopped: If a stop was requested; a checkpoint of the last step is written first.
            Diverged: If a gradient is not finite again after `ROLLBACKS` rollbacks.
            InputError: If no checkpoint can be written at the start, or the last one does not
                match this training, for example in its number of replicas.
        """
        model = self.update.model
        model.optimizer = self.update.optimizer  # where callbacks look for it
        model.stop_training = False
        calls = keras.callbacks.CallbackList(self.callbacks, model=model, add_history=False)
        calls.on_train_begin()
        self._begin()
        while not model.stop_training and self.epochs * self.steps_per_epoch < self.steps:
            calls.on_epoch_begin(self.epochs)
            while self.step < self._end_of_epoch():
                self._call(calls)
            self._end_epoch(calls)
        calls.on_train_end()

    def _begin(self):
        state, damaged = self._latest()
        for line in damaged:
            used = (
                f"resuming from step {state.facts['step']}"
                if state
                else "no other is left, starting at step 0"
            )
            self.log(f"{line}; {used}")
        if state:
            self._restore(state)
        else:
            self._start()
        self.saved_at = time.monotonic()
        self._open()

    def _start(self):
        if self.initial:
            with self.update.strategy.scope():
                self.initial()
            self.update.reset_averages()
        try:
            self._save()
        except OSError as error:
            raise InputError(
                f"{self.checkpoints.directory}: no checkpoint can be written: {error.strerror}"
            ) from error
        except ValueError as error:
            raise InputError(f"training cannot start: {error}") from error

    def _latest(self):
        """Return the first worker's newest state, and a message for each damaged file."""
        state, damaged = self.checkpoints.latest() if self.checkpoints else (None, [])
        return from_chief(self.update.strategy, state), damaged

    def _open(self):
        self.iterator = iterate(
            self.update.strategy, lambda context: self.batches(self.step, context)
        )

    def _end_of_epoch(self):
        return min((self.epochs + 1) * self.steps_per_epoch, self.steps)

    def _call(self, calls):
        try:
            if self.step in self.skipped:
                self._pass_over()
            else:
                self._take_steps(calls)
        except tf.errors.OpError as error:
            if not (of_an_image(error) and self._leave_out()):
                raise

    def _pass_over(self):
        next(self.iterator)
        self.update.optimizer.iterations.assign_add(1)
        self.step += 1

    def _take_steps(self, calls):
        """Take steps until the end of the epoch, a checkpoint or a step to skip."""
        borders = [self._end_of_epoch(), self.step + self.steps_per_call]
        borders += [step for step in self.skipped if step > self.step]
        if self.checkpoint_steps:
            borders.append((self.step // self.checkpoint_steps + 1) * self.checkpoint_steps)
        count = min(borders) - self.step
        first = self.step - self.epochs * self.steps_per_epoch
        calls.on_train_batch_begin(first)
        late = time.monotonic() - self.saved_at > self.checkpoint_seconds
        results = self.update.take(self.iterator, self.step, count, bool(self.stop), late)
        for result in results:
            if not result.finite:
                self._roll_back(result)
                return
            self.step += 1
            self.sums["steps"] += 1
            for name in ("loss", "accuracy", "waited"):
                self.sums[name] += getattr(result, name)
        calls.on_train_batch_end(first + count - 1, self._means())
        if any(result.stop for result in results):
            self._save_and_stop()
        due = self.checkpoint_steps and self.step % self.checkpoint_steps == 0
        if (due or results[-1].save) and self.step < self._end_of_epoch():
            self._save_if_it_can_be()

    def _means(self):
        count = self.sums["steps"] or 1
        means = {name: self.sums[name] / count for name in ("loss", "accuracy")}
        return means | {"waited": self.sums["waited"], "step": self.step}

    def _end_epoch(self, calls):
        try:
            calls.on_epoch_end(self.epochs, self._means())
        except Stopped:
            self._save_and_stop()
        self.epochs += 1
        self.sums = dict.fromkeys(self.sums, 0.0) | {"steps": 0}
        self._save_if_it_can_be()

    def _leave_out(self):
        """Find images that cannot be read; if any, go back and continue without them."""
        line = self.left_out and self.left_out.find(self.step, self.steps_per_call)
        state, _ = self._latest() if line else (None, [])
        if state is None:
            return False
        self._restore(state)
        self.log(f"{line}; returning to step {self.step} to continue without it")
        self._open()
        return True

    def _roll_back(self, result: StepResult):
        facts = f"loss {result.loss:.4g}, gradient norm {result.gradient_norm:.4g}"
        what = f"{self.describe(self.step)}: not finite: {facts}"
        state, _ = self._latest()
        if state is None or len(self.skipped) >= ROLLBACKS:
            raise Diverged(f"{what}; stopped after {len(self.skipped)} rollbacks")
        skipped = [*self.skipped, self.step]
        self._restore(state)
        self.skipped = skipped
        self.log(f"{what}; returning to step {self.step} to continue without it")
        self._open()

    def _save_and_stop(self):
        self._save_if_it_can_be()
        name = self.stop.name or "another worker's signal"
        raise Stopped(f"stopped by {name} after step {self.step}")

    def _save_if_it_can_be(self):
        """Save a checkpoint; if the disk is full, keep the previous one and continue."""
        try:
            self._save()
        except OSError as error:
            self.log(
                f"{self.checkpoints.directory}: no checkpoint after step {self.step}: "
                f"{error.strerror}; the one of step {self.saved} is kept"
            )
        except ValueError as error:
            raise Diverged(f"step {self.step}: {error}") from error

    def _save(self):
        if not self.checkpoints:
            return
        facts: dict[str, Any] = {
            "step": self.step,
            "replicas": self.update.strategy.num_replicas_in_sync,
            "threads": threads(),
            "epochs": self.epochs,
            "sums": self.sums,
            "skipped": self.skipped,
            "left_out": self.left_out.get_state() if self.left_out else None,
            "stop_training": bool(self.update.model.stop_training),
            "callbacks": [get_state(callback) for callback in self.callbacks],
        }
        self.checkpoints.save(self.step, State(values_of(self.update), facts))
        self.saved, self.saved_at = self.step, time.monotonic()

    def _restore(self, state: State):
        try:
            facts = Facts.model_validate(state.facts)
        except ValidationError as error:
            raise InputError(
                "the checkpoints are from another version of the package; choose another --out"
            ) from error
        replicas = self.update.strategy.num_replicas_in_sync
        if facts.replicas != replicas:
            raise InputError(
                f"the checkpoints are from training on {facts.replicas} replicas, "
                f"not {replicas}; give --replicas {facts.replicas}, or as many workers"
            )
        if facts.threads != threads():
            self.log(
                f"the checkpoints were written with {facts.threads} threads per operation, but "
                f"this run uses {threads()}; sums are rounded differently, so the weights will "
                "differ in their last digits"
            )
        try:
            set_values(self.update, state.arrays)
        except ValueError as error:
            raise InputError(f"the checkpoint of step {facts.step}: {error}") from error
        self.step, self.epochs, self.saved = facts.step, facts.epochs, facts.step
        self.sums, self.skipped = dict(facts.sums), list(facts.skipped)
        if self.left_out and facts.left_out is not None:
            self.left_out.set_state(facts.left_out)
        self.update.model.stop_training = facts.stop_training
        for callback, kept in zip(self.callbacks, facts.callbacks, strict=True):
            set_state(callback, kept)
