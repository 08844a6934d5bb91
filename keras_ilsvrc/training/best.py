"""Callback that keeps the weights of the epoch with the lowest validation error."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_ilsvrc.training.checkpoint import NAME, Checkpoints, NotFinite, State, read
from keras_ilsvrc.training.replicas import from_chief, set_values, values_of
from keras_ilsvrc.training.update import Update
from keras_ilsvrc.utils.errors import InputError


class KeepBest(keras.callbacks.Callback):
    """Callback that saves all variables after an epoch with a new lowest validation error.

    The newest two files are kept, because training may resume from the second newest checkpoint.

    Args:
        update: Training step of the model.
        checkpoints: Checkpoint files to write, in a directory with no other files. On workers
            other than the chief, the directory is None and nothing is written.
        log: Function called with a message if a file cannot be written.
    """

    def __init__(
        self, update: Update, checkpoints: Checkpoints, log: Callable[[str], object] = print
    ):
        super().__init__()
        self.update, self.checkpoints, self.log = update, checkpoints, log
        self.state: dict[str, Any] = {"error": None, "epoch": None, "step": 0}

    def get_state(self) -> dict[str, Any]:
        return dict(self.state)

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.state = dict(state)

    @property
    def epoch(self) -> int | None:
        """Number of the epoch whose weights are kept, counted from 1; None if there is none."""
        return self.state["epoch"]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        error, step = float(logs["validation_error"]), int(logs["step"])
        if self.state["error"] is not None and error >= self.state["error"]:
            return
        # Record the error even if the chief fails to save: all workers must have the same value.
        self.state["error"] = error
        values = values_of(self.update)  # uses collective operations, so every worker must call it
        try:
            self.checkpoints.save(step, State(values))
        except NotFinite:  # the trainer also detects these values, and ends training
            return
        except OSError as error_:
            lost = f"best weights (epoch {epoch + 1}) not saved: {error_.strerror}"
            self.log(f"{self.checkpoints.directory}: {lost}; training continues")
            return
        self.state |= {"epoch": epoch + 1, "step": step}

    def restore(self) -> None:
        """Set all variables to those of the best epoch. Every worker must call this.

        Raises:
            InputError: If the file of the best epoch is missing or damaged.
        """
        state, directory = None, self.checkpoints.directory
        if directory and self.epoch:
            try:
                state = read(directory / NAME.format(self.state["step"]))
            except InputError as error:
                raise InputError(
                    f"{error}; this file contains the best weights (epoch {self.epoch}); restore "
                    "it from a copy, or train again"
                ) from error
        state = from_chief(self.update.strategy, state)
        if state:
            set_values(self.update, state.arrays)
