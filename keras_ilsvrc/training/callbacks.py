"""What happens beside the steps: statistics, validation, the history file, progress."""

import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from keras_ilsvrc.layers.graph import batch_norms

COLUMNS = (
    "epoch",
    "step",
    "loss",
    "error",
    "validation_loss",
    "validation_error",
    "learning_rate",
    "images_per_second",
)


class AverageStatistics(keras.callbacks.Callback):
    """Gives all replicas the mean of their batch-normalisation statistics, after every epoch.

    For statistics that each replica keeps of its own images, as in the papers: they differ
    until they are averaged, and files would hold those of the first replica.
    """

    def on_epoch_end(self, epoch, logs=None):
        strategy = self.model.distribute_strategy or tf.distribute.get_strategy()
        for layer in batch_norms(self.model):
            for variable in (layer.moving_mean, layer.moving_variance):
                values = strategy.experimental_local_results(variable.value)
                with strategy.scope():
                    variable.assign(np.mean([value.numpy() for value in values], axis=0))


class Validation(keras.callbacks.Callback):
    """Adds what `measure` finds after every epoch to the epoch's logs."""

    def __init__(self, measure: Callable[[keras.Model], dict[str, float]]):
        super().__init__()
        self.measure = measure

    def on_epoch_end(self, epoch, logs=None):
        for name, value in self.measure(self.model).items():
            logs[f"validation_{name}"] = value


class History(keras.callbacks.Callback):
    """Writes `history.csv`, a row an epoch, as training goes.

    The learning rate is that of the epoch's first step; images/s leave out the very first step of
    training, which makes the graph.

    Args:
        path: The file; written anew.
        images_per_step: The global batch size.
    """

    def __init__(self, path: Path, images_per_step: int):
        super().__init__()
        self.path, self.images_per_step = path, images_per_step
        self.rows: list[dict[str, Any]] = []
        self.steps = 0

    def on_train_begin(self, logs=None):
        with open(self.path, "w", newline="") as file:
            csv.writer(file).writerow(COLUMNS)

    def on_epoch_begin(self, epoch, logs=None):
        self.started, self.first_step = time.perf_counter(), self.steps
        self.rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps == 1:
            self.started, self.first_step = time.perf_counter(), 1
        self.seconds = time.perf_counter() - self.started

    def on_epoch_end(self, epoch, logs=None):
        images = (self.steps - self.first_step) * self.images_per_step
        row = {
            "epoch": epoch + 1,
            "step": self.steps,
            "loss": logs["loss"],
            "error": error(logs),
            "validation_loss": logs.get("validation_loss"),
            "validation_error": logs.get("validation_error"),
            "learning_rate": self.rate,
            "images_per_second": images / self.seconds if images else None,
        }
        self.rows.append(row)
        with open(self.path, "a", newline="") as file:
            csv.writer(file).writerow("" if x is None else x for x in row.values())


class ProgressBar(keras.callbacks.Callback):
    """One bar over all steps with loss, error, images/s and time left; in a log, a line an epoch.

    As a context it gives the terminal back, cursor and all, however training ends.

    Args:
        steps: All steps of the training.
        steps_per_epoch: Of one epoch.
        images_per_step: The global batch size.
    """

    def __init__(self, steps: int, steps_per_epoch: int, images_per_step: int):
        super().__init__()
        self.steps, self.images_per_step = steps, images_per_step
        self.epochs = -(-steps // steps_per_epoch)
        self.console = Console(stderr=True)
        columns = ("{task.description}", BarColumn(), "{task.fields[state]}", TimeRemainingColumn())
        self.bar = Progress(
            *(TextColumn(x) if isinstance(x, str) else x for x in columns),
            console=self.console,
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.bar.stop()

    def on_train_begin(self, logs=None):
        self.done, self.started = 0, time.perf_counter()
        self.task = self.bar.add_task("first step", total=self.steps, state="")
        self.bar.start()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        self.done += 1
        if self.done == 1:  # the first step makes the graph; it says nothing about speed
            self.started = time.perf_counter()
            self.speed = 0.0
        else:
            passed = time.perf_counter() - self.started
            self.speed = (self.done - 1) * self.images_per_step / passed
        description = f"epoch {self.epoch}/{self.epochs}"
        self.bar.update(
            self.task, completed=self.done, description=description, state=self.state(logs)
        )

    def on_epoch_end(self, epoch, logs=None):
        if not self.console.is_terminal:
            line = f"epoch {epoch + 1}/{self.epochs}  {self.state(logs)}"
            print(line, file=sys.stderr, flush=True)

    def on_train_end(self, logs=None):
        self.bar.stop()

    def state(self, logs) -> str:
        """Loss, errors and speed in a few words."""
        words = f"loss {logs['loss']:.4f}  error {error(logs):.2f} %"
        if "validation_error" in logs:
            words += f"  validation {logs['validation_error']:.2f} %"
        return f"{words}  {self.speed:.0f} images/s"


def error(logs: dict[str, float]) -> float:
    """Training error in % from Keras' logs."""
    name = "predictions_accuracy" if "predictions_accuracy" in logs else "accuracy"
    return 100 * (1 - float(logs[name]))
