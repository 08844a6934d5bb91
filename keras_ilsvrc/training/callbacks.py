"""Training callbacks for validation, for redrawing plots and for showing progress."""

import sys
import time
from collections.abc import Callable
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from keras_ilsvrc.training.records import Logs, error
from keras_ilsvrc.utils.errors import reason

# Attributes that contain the state of Keras' `ReduceLROnPlateau`, `EarlyStopping` and
# `ModelCheckpoint`. Each value is a number or None.
REMEMBERED = ("best", "wait", "cooldown_counter", "best_epoch", "stopped_epoch")


class Validation(keras.callbacks.Callback):
    """Callback that validates the model after each epoch and adds the results to the logs.

    Args:
        measure: Function that returns the results by name, for example `{"error": 12.5}` in %.
    """

    def __init__(self, measure: Callable[[], dict[str, float]]):
        super().__init__()
        self.measure = measure

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        for name, value in self.measure().items():
            logs[f"validation_{name}"] = value


class Redraw(keras.callbacks.Callback):
    """Callback that redraws a plot after each epoch, but at most once every `seconds` seconds.

    Args:
        draw: Function that writes the plot.
        log: Function called with a message if the plot cannot be written.
        seconds: Minimum seconds between two plots, so that plotting does not slow down training
            with short epochs.
    """

    def __init__(
        self,
        draw: Callable[[], object],
        log: Callable[[str], object] = print,
        seconds: float = 30,
    ):
        super().__init__()
        self.draw, self.log, self.seconds = draw, log, seconds
        self.drawn = -seconds

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if time.monotonic() - self.drawn < self.seconds:
            return
        try:
            self.draw()
        except Exception as error:  # a failed plot must not stop training
            self.log(f"the training curves were not drawn: {reason(error)}; training continues")
        self.drawn = time.monotonic()


class ProgressBar(keras.callbacks.Callback):
    """Progress bar over all training steps. It shows loss, error, images/s and the time left.

    If stderr is not a terminal, it prints one line per epoch instead. Use it as a context
    manager, which restores the terminal even if training fails.

    Args:
        steps: Number of training steps.
        steps_per_epoch: Number of steps per epoch.
        images_per_step: Global batch size.
        shown: Whether to show the bar and print lines.
    """

    def __init__(self, steps: int, steps_per_epoch: int, images_per_step: int, shown: bool = True):
        super().__init__()
        self.steps, self.images_per_step, self.shown = steps, images_per_step, shown
        self.epochs = -(-steps // steps_per_epoch)
        self.console = Console(stderr=True)
        columns = ("{task.description}", BarColumn(), "{task.fields[state]}", TimeRemainingColumn())
        self.bar = Progress(
            *(TextColumn(x) if isinstance(x, str) else x for x in columns),
            console=self.console,
            disable=not (shown and self.console.is_terminal),
        )

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.bar.stop()

    def log(self, line: str) -> None:
        """Print a line above the progress bar."""
        if self.shown:
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Do nothing, since a progress bar has no state to restore."""

    def on_train_begin(self, logs: Logs = None) -> None:
        self.first: int | None = None
        self.speed = 0.0
        self.task = self.bar.add_task("first step", total=self.steps, state="")
        self.bar.start()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        done = int(logs["step"])
        if self.first is None:  # leave out the first graph call, which includes tracing
            self.first, self.started = done, time.perf_counter()
        elif done > self.first:
            passed = time.perf_counter() - self.started
            self.speed = (done - self.first) * self.images_per_step / passed
        description = f"epoch {self.epoch + 1}/{self.epochs}"
        self.bar.update(self.task, completed=done, description=description, state=self.state(logs))

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.shown and not self.console.is_terminal:
            line = f"epoch {epoch + 1}/{self.epochs}  {self.state(logs)}"
            print(line, file=sys.stderr, flush=True)

    def on_train_end(self, logs: Logs = None) -> None:
        self.bar.stop()

    def state(self, logs: Logs) -> str:
        """Return the current loss, errors and speed as text."""
        words = f"loss {logs['loss']:.4f}  error {error(logs):.2f} %"
        if "validation_error" in logs:
            words += f"  validation {logs['validation_error']:.2f} %"
        return f"{words}  {self.speed:.0f} images/s"


def get_state(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """Return a callback's state, from its method `get_state` or its attributes in `REMEMBERED`."""
    if hasattr(callback, "get_state"):
        return callback.get_state()
    state = {name: vars(callback)[name] for name in REMEMBERED if name in vars(callback)}
    return {name: x if x is None else float(x) for name, x in state.items()}


def set_state(callback: keras.callbacks.Callback, state: dict[str, Any]) -> None:
    """Restore the state of a callback, as returned by `get_state`."""
    if hasattr(callback, "set_state"):
        callback.set_state(state)
    else:
        vars(callback).update(state)
