"""Settings of a training loop: its images, its length and its checkpoints."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from keras_ilsvrc.data.left_out import LeftOut


class Feed(NamedTuple):
    """Training images, with a function that reads them from any given step on.

    Attributes:
        from_step: Function of (first step, input context) that returns one worker's dataset from
            that step on. Successive batches go to successive replicas of this worker.
        describe: Function that returns the names of a step's images as text, for messages.
        left_out: Images that `from_step` leaves out; None for none. If an image cannot be read
            in training, it is added, and training resumes from the last checkpoint without it.
    """

    from_step: Callable[[int, tf.distribute.InputContext], tf.data.Dataset]
    describe: Callable[[int], str] = "step {}".format
    left_out: LeftOut | None = None


class Plan(NamedTuple):
    """Length of training and of its epochs, and the intervals between checkpoints.

    Attributes:
        steps: Total number of steps; the last epoch may be shorter than the others.
        steps_per_epoch: Number of steps per epoch.
        steps_per_call: Number of steps in one graph call.
        checkpoint_steps: Number of steps between checkpoints within an epoch; None for no such
            checkpoints. The end of an epoch always writes one.
        checkpoint_seconds: Seconds after a checkpoint until another is written within the epoch.
    """

    steps: int
    steps_per_epoch: int
    steps_per_call: int = 1
    checkpoint_steps: int | None = None
    checkpoint_seconds: float = 600

    def end_of_epoch(self, epoch: int) -> int:
        """Return the total number of steps at the end of an epoch. The first epoch is 0."""
        return min((epoch + 1) * self.steps_per_epoch, self.steps)

    def next_border(self, step: int, epoch: int) -> int:
        """Return the total number of steps at the end of the graph call that begins at `step`."""
        borders = [self.end_of_epoch(epoch), step + self.steps_per_call]
        if self.checkpoint_steps:
            borders.append((step // self.checkpoint_steps + 1) * self.checkpoint_steps)
        return min(borders)

    def checkpoint_due(self, step: int) -> bool:
        """Return whether `checkpoint_steps` requires a checkpoint after `step` steps."""
        return self.checkpoint_steps is not None and step % self.checkpoint_steps == 0
