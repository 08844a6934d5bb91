"""Settings of a training loop: its images, its length and its checkpoints."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from keras_ilsvrc.data.left_out import LeftOut


class Feed(NamedTuple):
    """Training images, from any step on.

    Attributes:
        from_step: Function of (first step, input context) that returns one worker's dataset from
            that step on. Each batch is one replica's share, for its replicas in turn.
        describe: Function that returns the images of a step as text, for messages.
        left_out: Images that `from_step` leaves out. If an image cannot be read, it finds those
            to leave out; training returns to the last checkpoint and continues without them.
    """

    from_step: Callable[[int, tf.distribute.InputContext], tf.data.Dataset]
    describe: Callable[[int], str] = "step {}".format
    left_out: LeftOut | None = None


class Plan(NamedTuple):
    """Length of training, and the steps at which it calls back or saves.

    Attributes:
        steps: Total number of steps; the last epoch may be shorter than the others.
        steps_per_epoch: Number of steps between calls of the callbacks' `on_epoch_end`.
        steps_per_call: Number of steps in one graph call.
        checkpoint_steps: Steps between checkpoints within an epoch; every epoch ends with one.
        checkpoint_seconds: Seconds after which a checkpoint is written at any step.
    """

    steps: int
    steps_per_epoch: int
    steps_per_call: int = 1
    checkpoint_steps: int | None = None
    checkpoint_seconds: float = 600

    def end_of_epoch(self, epoch: int) -> int:
        """Return the number of steps taken when an epoch, counted from 0, has ended."""
        return min((epoch + 1) * self.steps_per_epoch, self.steps)

    def next_border(self, step: int, epoch: int) -> int:
        """Return the step at which the graph call that begins at a step has to end."""
        borders = [self.end_of_epoch(epoch), step + self.steps_per_call]
        if self.checkpoint_steps:
            borders.append((step // self.checkpoint_steps + 1) * self.checkpoint_steps)
        return min(borders)

    def checkpoint_due(self, step: int) -> bool:
        """Return whether a checkpoint is due after a number of steps within an epoch."""
        return self.checkpoint_steps is not None and step % self.checkpoint_steps == 0
