"""Training loop that calls Keras callbacks and can be resumed after any step.

Keras' `fit` is not used. With several machines `fit` fails in two private functions of Keras, and
it cannot resume training that stopped after the last batch of an epoch, but before the epoch's end.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_ilsvrc.data.pipeline import of_an_image
from keras_ilsvrc.training.callbacks import get_state, set_state
from keras_ilsvrc.training.checkpoint import Checkpoints, Facts, NotFinite, State
from keras_ilsvrc.training.cluster import Log, log_stderr
from keras_ilsvrc.training.forward import iterate
from keras_ilsvrc.training.plan import Feed, Plan
from keras_ilsvrc.training.replicas import from_chief, set_values, values_of
from keras_ilsvrc.training.stopping import Diverged, Stopped, StopRequest
from keras_ilsvrc.training.strategy import threads
from keras_ilsvrc.training.update import StepResult, Update
from keras_ilsvrc.utils.errors import InputError, counted

ROLLBACKS = 2  # maximum number of rollbacks to a checkpoint, before training counts as diverged
NEVER = StopRequest()


class Trainer:
    """Training loop that can be stopped at any time and resumed with exactly the same results.

    It starts from the last checkpoint in `checkpoints`, if there is one. After a step whose
    loss or gradient is not finite, it returns to the last checkpoint and continues without that
    step.
    Every worker runs the same loop; only the chief has a directory for checkpoints, and only
    the chief's callbacks need to write files.

    Args:
        update: Training step of the model.
        feed: Training images.
        plan: Length of training, and the intervals between checkpoints.
        callbacks: Keras callbacks, called in this order. Checkpoints contain the state of each
            callback, from its `get_state` if it has one, or else its `REMEMBERED` attributes.
        checkpoints: Checkpoints to resume from and to write, or None.
        initial: Function that sets the initial weights if there is no checkpoint; None to start
            from the model's current weights.
        stop: Request to stop, which is checked before every graph call.
        log: Function that prints a message.
    """

    def __init__(
        self,
        update: Update,
        feed: Feed,
        plan: Plan,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        checkpoints: Checkpoints | None = None,
        initial: Callable[[], object] | None = None,
        stop: StopRequest = NEVER,
        log: Log = log_stderr,
    ):
        self.update, self.feed, self.plan = update, feed, plan
        self.callbacks, self.checkpoints = list(callbacks), checkpoints
        self.initial, self.stop, self.log = initial, stop, log
        self.step = self.epochs = self.saved = 0
        self.sums = {"loss": 0.0, "accuracy": 0.0, "waited": 0.0, "steps": 0}
        self.skipped: list[int] = []

    def train(self) -> None:
        """Train until the last step of the plan.

        Raises:
            Stopped: If a stop was requested, or after the plan's `stop_epoch`; a checkpoint of the
                current step is written first.
            Diverged: If a loss or gradient is not finite again after `ROLLBACKS` rollbacks.
            InputError: If no checkpoint can be written at the start, or the last checkpoint does
                not match this training, for example in its number of replicas.
        """
        model = self.update.model
        model.optimizer = self.update.optimizer  # Keras callbacks read this attribute
        model.stop_training = False
        calls = keras.callbacks.CallbackList(self.callbacks, model=model, add_history=False)
        calls.on_train_begin()
        self._begin()
        plan = self.plan
        while not model.stop_training and self.epochs * plan.steps_per_epoch < plan.steps:
            if plan.stop_epoch and self.epochs >= plan.stop_epoch:
                raise Stopped(f"stopped after {counted(self.epochs, 'epoch')}")
            calls.on_epoch_begin(self.epochs)
            while self.step < plan.end_of_epoch(self.epochs):
                self._call(calls)
            self._end_epoch(calls)
        calls.on_train_end()

    def _begin(self) -> None:
        state, damaged = self._latest()
        for line in damaged:
            used = (
                f"resuming from step {state.facts['step']}"
                if state
                else "no other checkpoint is left, so training starts at step 0"
            )
            self.log(f"{line}; {used}")
        if state:
            self._restore(state)
        else:
            self._start()
        self.saved_at = time.monotonic()
        self._open()

    def _start(self) -> None:
        if self.initial:
            with self.update.strategy.scope():
                self.initial()
            self.update.reset_averages()
        try:
            self._save()
        except OSError as error:
            raise InputError(
                f"{self._directory}: cannot write a checkpoint: {error.strerror}"
            ) from error
        except NotFinite as error:
            raise InputError(f"training cannot start: {error}") from error

    def _latest(self) -> tuple[State | None, list[str]]:
        """Return the chief's newest undamaged state, or None, and a message per damaged file."""
        state, damaged = self.checkpoints.latest() if self.checkpoints else (None, [])
        return from_chief(self.update.strategy, state), damaged

    def _open(self) -> None:
        self.iterator = iterate(
            self.update.strategy, lambda context: self.feed.from_step(self.step, context)
        )

    def _call(self, calls: keras.callbacks.CallbackList) -> None:
        try:
            if self.step in self.skipped:
                self._skip_step()
            else:
                self._take_steps(calls)
        except tf.errors.OpError as error:
            if not (of_an_image(error) and self._leave_out()):
                raise

    def _skip_step(self) -> None:
        next(self.iterator)
        self.update.optimizer.iterations.assign_add(1)
        self.step += 1

    def _take_steps(self, calls: keras.callbacks.CallbackList) -> None:
        """Run one graph call. It ends early at a checkpoint, the epoch's end or a skipped step."""
        skipped = [step for step in self.skipped if step > self.step]
        count = min([self.plan.next_border(self.step, self.epochs), *skipped]) - self.step
        first = self.step - self.epochs * self.plan.steps_per_epoch
        calls.on_train_batch_begin(first)
        late = time.monotonic() - self.saved_at > self.plan.checkpoint_seconds
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
        due = self.plan.checkpoint_due(self.step) or results[-1].save
        if due and self.step < self.plan.end_of_epoch(self.epochs):
            self._try_to_save()

    def _means(self) -> dict[str, float]:
        count = self.sums["steps"] or 1
        means = {name: self.sums[name] / count for name in ("loss", "accuracy")}
        return means | {"waited": self.sums["waited"], "step": self.step}

    def _end_epoch(self, calls: keras.callbacks.CallbackList) -> None:
        try:
            calls.on_epoch_end(self.epochs, self._means())
        except Stopped:
            self._save_and_stop()
        self.epochs += 1
        self.sums = dict.fromkeys(self.sums, 0.0) | {"steps": 0}
        self._try_to_save()

    def _leave_out(self) -> bool:
        """Return to the last checkpoint to leave out unreadable images. Return False on failure."""
        left_out = self.feed.left_out
        line = left_out and left_out.find(self.step, self.plan.steps_per_call)
        state, _ = self._latest() if line else (None, [])
        if state is None:
            return False
        self._restore(state)
        self.log(f"{line}; returning to step {self.step} to continue without unreadable images")
        self._open()
        return True

    def _roll_back(self, result: StepResult) -> None:
        facts = f"loss {result.loss:.4g}, gradient norm {result.gradient_norm:.4g}"
        what = f"{self.feed.describe(self.step)}: loss or gradient is not finite: {facts}"
        state, _ = self._latest()
        if state is None or len(self.skipped) >= ROLLBACKS:
            raise Diverged(f"{what}; stopped after {len(self.skipped)} rollbacks")
        skipped = [*self.skipped, self.step]
        self._restore(state)
        self.skipped = skipped
        self.log(f"{what}; returning to step {self.step} to continue without the failed step")
        self._open()

    def _save_and_stop(self) -> None:
        self._try_to_save()
        name = self.stop.name or "another worker's signal"
        raise Stopped(f"stopped by {name} after step {self.step}")

    def _try_to_save(self) -> None:
        """Save a checkpoint. If it cannot be written, keep the previous checkpoint and continue."""
        try:
            self._save()
        except OSError as error:
            self.log(
                f"{self._directory}: no checkpoint was written after step {self.step}: "
                f"{error.strerror}; the checkpoint of step {self.saved} is kept"
            )
        except NotFinite as error:
            raise Diverged(f"step {self.step}: {error}") from error

    def _save(self) -> None:
        if not self.checkpoints:
            return
        facts: dict[str, Any] = {
            "step": self.step,
            "replicas": self.update.strategy.num_replicas_in_sync,
            "threads": threads(),
            "epochs": self.epochs,
            "sums": self.sums,
            "skipped": self.skipped,
            "left_out": self.feed.left_out.get_state() if self.feed.left_out else None,
            "stop_training": bool(self.update.model.stop_training),
            "callbacks": [get_state(callback) for callback in self.callbacks],
        }
        self.checkpoints.save(self.step, State(values_of(self.update), facts))
        self.saved, self.saved_at = self.step, time.monotonic()

    @property
    def _directory(self) -> Path | None:
        return self.checkpoints.directory if self.checkpoints else None

    def _restore(self, state: State) -> None:
        facts = Facts.of(state, self.update.strategy.num_replicas_in_sync)
        if facts.threads != threads():
            self.log(
                f"the checkpoints were written with {facts.threads} threads per operation, but "
                f"this run uses {threads()}; sums are rounded differently, so the weights will "
                "differ in their last digits"
            )
        try:
            set_values(self.update, state.arrays)
        except InputError as error:
            raise InputError(f"the checkpoint of step {facts.step}: {error}") from error
        self.step, self.epochs, self.saved = facts.step, facts.epochs, facts.step
        self.sums, self.skipped = dict(facts.sums), list(facts.skipped)
        if self.feed.left_out and facts.left_out is not None:
            self.feed.left_out.set_state(facts.left_out)
        self.update.model.stop_training = facts.stop_training
        for callback, kept in zip(self.callbacks, facts.callbacks, strict=True):
            set_state(callback, kept)
