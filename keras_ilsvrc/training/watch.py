"""Callback that records gradients and responses of every layer over a training run."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import keras

from keras_ilsvrc.training.gradient_flow import LayerFlow
from keras_ilsvrc.training.records import Logs, write_rows

# Numbers of steps after which the layers are measured. They are also measured after each epoch.
STEPS = (1, 2, 5, 10, 20, 50)
MOST = 64  # maximum number of images in the batch for the measurements
WATCHED = {
    "gradients": ("weight_gradient", "activation_gradient"),
    "responses": ("response",),
}
FLOW_COLUMNS = ("step", "epoch", "layer", *(x for names in WATCHED.values() for x in names))


class Watch(keras.callbacks.Callback):
    """Callback that measures every layer, and writes the measurements to `gradients.csv`.

    It measures before the first step, after the numbers of steps in `STEPS` and after each epoch.
    With several steps per graph call, it measures at the end of a call instead. In the rows, `step`
    is the number of steps taken, and `epoch` is the epoch of the last step, counted from 1.

    Args:
        path: Path of the file, which is overwritten; None to measure and write nothing, on workers
            other than the chief.
        measure: Function from the number of steps taken to the measurements of all layers. It must
            not change the model, and must not need other workers.
        watched: Keys of `WATCHED` to record; other columns of the file stay empty.
        steps_per_epoch: Number of steps per epoch.
        log: Function called with a message if the file cannot be written.
    """

    def __init__(
        self,
        path: Path | None,
        measure: Callable[[int], list[LayerFlow]],
        watched: Collection[str],
        steps_per_epoch: int,
        log: Callable[[str], object] = print,
    ):
        super().__init__()
        self.path, self.measure, self.log = path, measure, log
        self.steps_per_epoch = steps_per_epoch
        self.columns = [name for key in watched for name in WATCHED[key]]
        self.values: list[list[Any]] = []  # one list per row, in the order of the columns
        self.epoch = 0

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Rows of the file; a value that is not measured is None."""
        return [dict(zip(FLOW_COLUMNS, values)) for values in self.values]

    def get_state(self) -> dict[str, Any]:
        return {"rows": self.values}

    def set_state(self, state: dict[str, Any]) -> None:
        self.values = list(state["rows"])
        self._write()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        # Measure here and not in `on_train_begin`, since the trainer leaves out unreadable images
        # only if the error is raised within a step.
        if not self.values and self.epoch == batch == 0:
            self._add(0)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        last = self.values[-1][0] if self.values else 0
        if any(last < step <= logs["step"] for step in STEPS):
            self._add(int(logs["step"]))

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if not self.values or self.values[-1][0] < logs["step"]:
            self._add(int(logs["step"]))

    def _add(self, step: int) -> None:
        if self.path is None:
            return
        for row in self.measure(step):
            measured = {
                "step": step,
                "epoch": -(-step // self.steps_per_epoch),
                "layer": row.layer,
                **{name: getattr(row, name) for name in self.columns},
            }
            self.values.append([measured.get(name) for name in FLOW_COLUMNS])
        self._write()

    def _write(self) -> None:
        if self.path is not None:
            write_rows(self.path, FLOW_COLUMNS, self.values, self.log)
