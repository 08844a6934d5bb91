"""Settings of a training loop: source of images, number of steps, and checkpoints."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from keras_ilsvrc.data.left_out import LeftOut


class Feed(NamedTuple):
    """Source of training images that can start at any training step.

    Attributes:
        from_step: Function of (first step, input context). It returns one worker's dataset, which
            begins at that step. Successive batches go to successive replicas of this worker.
        describe: Function that returns the names of a step's images as text, for messages.
        left_out: Record of the images that `from_step` leaves out, or None. If an image cannot be
            read during training, it is added to this record, and training resumes from the last
            checkpoint without this image.
    """

    from_step: Callable[[int, tf.distribute.InputContext], tf.data.Dataset]
    describe: Callable[[int], str] = "step {}".format
    left_out: LeftOut | None = None


class Plan(NamedTuple):
    """Length of a training run and of its epochs, and the intervals between checkpoints.

    Attributes:
        steps: Total number of steps; the last epoch may be shorter than the others.
        steps_per_epoch: Number of steps per epoch.
        steps_per_call: Number of steps in one graph call.
        checkpoint_steps: Number of steps between checkpoints within an epoch, or None. At the end
            of an epoch, a checkpoint is always written.
        checkpoint_seconds: Seconds after which another checkpoint is written within an epoch.
        stop_epoch: Number of epochs after which training stops as it does after a signal, or None.
    """

    steps: int
    steps_per_epoch: int
    steps_per_call: int = 1
    checkpoint_steps: int | None = None
    checkpoint_seconds: float = 600
    stop_epoch: int | None = None

    def end_of_epoch(self, epoch: int) -> int:
        """Return the number of steps taken by the end of an epoch. Epochs are counted from 0."""
        return min((epoch + 1) * self.steps_per_epoch, self.steps)

    def next_border(self, step: int, epoch: int) -> int:
        """Return the step at which a graph call that begins at `step` must end at the latest."""
        borders = [self.end_of_epoch(epoch), step + self.steps_per_call]
        if self.checkpoint_steps:
            borders.append((step // self.checkpoint_steps + 1) * self.checkpoint_steps)
        return min(borders)

    def checkpoint_due(self, step: int) -> bool:
        """Return whether `checkpoint_steps` requires a checkpoint after `step` steps."""
        return self.checkpoint_steps is not None and step % self.checkpoint_steps == 0
