"""Callbacks that write `history.csv`, TensorBoard files and the weights of selected epochs."""

import csv
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_ilsvrc.utils.files import whole

Logs = Any  # dict from names to values; Keras declares it optional, but always passes a dict
COLUMNS = (
    "epoch",
    "step",
    "loss",
    "error",
    "validation_loss",
    "validation_error",
    "learning_rate",
    "images_per_second",
    "input_wait",
)


class History(keras.callbacks.Callback):
    """Callback that writes `history.csv`, one row per epoch.

    The learning rate is that of the epoch's first step. `input_wait` is the share of the time
    spent waiting for images. `input_wait` and images/s exclude the first graph call, which traces
    the graph, and any steps of the epoch that were taken before training was resumed.

    Args:
        path: Path of the file, which is overwritten; None to keep the rows only in memory.
        images_per_step: Global batch size.
        log: Function called with a message if the file cannot be written.
    """

    def __init__(
        self, path: Path | None, images_per_step: int, log: Callable[[str], object] = print
    ):
        super().__init__()
        self.path, self.images_per_step, self.log = path, images_per_step, log
        self.rows: list[dict[str, Any]] = []
        self.first_call = True
        self.epoch: int | None = None
        self.rate: float | None = None
        self.first: int | None = None
        self.timed: tuple[int, float] | None = None
        self.waited: float | None = None

    def get_state(self) -> dict[str, Any]:
        return {"rows": self.rows, "epoch": self.epoch, "rate": self.rate}

    def set_state(self, state: dict[str, Any]) -> None:
        self.rows = state["rows"]
        self.epoch, self.rate = state["epoch"], state["rate"]
        self.first = self.timed = None
        self._write()

    def on_train_begin(self, logs: Logs = None) -> None:
        self._write()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.first = self.timed = None
        if epoch == self.epoch:  # resumed mid-epoch: keep the rate of the epoch's first step
            return
        self.epoch = epoch
        self.rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        if self.first is None and not self.first_call:
            self.started, self.first, self.waited = time.perf_counter(), batch, None

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self.first_call = False
        if self.first is None:
            return
        if self.waited is None:
            self.waited = logs["waited"]
        self.timed = batch + 1 - self.first, time.perf_counter() - self.started

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        speed = share_waiting = None
        if self.timed is not None and self.waited is not None:
            steps, seconds = self.timed
            speed = steps * self.images_per_step / seconds
            share_waiting = (logs["waited"] - self.waited) / seconds
        self.rows.append(
            {
                "epoch": epoch + 1,
                "step": int(logs["step"]),
                "loss": logs["loss"],
                "error": error(logs),
                "validation_loss": logs.get("validation_loss"),
                "validation_error": logs.get("validation_error"),
                "learning_rate": self.rate,
                "images_per_second": speed,
                "input_wait": share_waiting,
            }
        )
        self._write()

    def _write(self) -> None:
        if self.path is not None:
            write_rows(self.path, COLUMNS, [row.values() for row in self.rows], self.log)


class Summaries(keras.callbacks.Callback):
    """Callback that writes each row of a `History` callback to TensorBoard event files.

    Args:
        history: History callback, which must come before this one in the list of callbacks.
        directory: Directory of the event files, to which each resumption of a run adds a file.
            None to write nothing.
    """

    def __init__(self, history: History, directory: Path | None):
        super().__init__()
        self.history, self.directory = history, directory
        self.writer: Any = None

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Do nothing, since the event files already contain the earlier rows."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.directory is None:
            return
        if self.writer is None:
            self.writer = tf.summary.create_file_writer(str(self.directory))
        row = self.history.rows[-1]
        with self.writer.as_default(step=row["step"]):
            for name, value in row.items():
                if name not in ("epoch", "step") and value is not None:
                    tf.summary.scalar(name, value)
        self.writer.flush()


class KeptWeights(keras.callbacks.Callback):
    """Callback that saves the weights after selected epochs, for later inspection.

    Args:
        epochs: Numbers of the epochs, counted from 1.
        save: Function that writes the weights for evaluation to a path. Every worker must call it;
            workers without a directory pass None as the path.
        directory: Directory of the files `epoch-0001.weights.h5` etc.; None to write nothing.
        log: Function called with a message if a file cannot be written.
    """

    def __init__(
        self,
        epochs: Collection[int],
        save: Callable[[Path | None], object],
        directory: Path | None,
        log: Callable[[str], object] = print,
    ):
        super().__init__()
        self.epochs, self.save, self.directory, self.log = epochs, save, directory, log

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if epoch + 1 not in self.epochs:
            return
        if self.directory is None:
            self.save(None)
            return
        try:
            with suppress(OSError):  # do not fail before `save`, which every worker must call
                self.directory.mkdir(exist_ok=True)
            with whole(self.directory / f"epoch-{epoch + 1:04}.weights.h5") as part:
                self.save(part)
        except OSError as error:
            lost = f"weights of epoch {epoch + 1} not saved: {error.strerror or error}"
            self.log(f"{self.directory}: {lost}; training continues")


def error(logs: Mapping[str, Any]) -> float:
    """Return the training error in %, computed from the accuracy in the logs."""
    return 100 * (1 - logs["accuracy"])


def write_rows(
    path: Path,
    columns: Iterable[str],
    rows: Iterable[Iterable[Any]],
    log: Callable[[str], object],
) -> None:
    """Write a CSV file atomically, with an empty cell for None; log a message if this fails."""
    try:
        with whole(path) as part, open(part, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for row in rows:
                writer.writerow("" if x is None else x for x in row)
    except OSError as error:
        log(f"{path}: cannot be written: {error.strerror}; training continues")
