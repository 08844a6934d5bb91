"""Training of a recipe in a process of its own, which can fail without ending this process."""

import csv
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keras_ilsvrc import files
from keras_ilsvrc.recipe import Recipe
from keras_ilsvrc.runs.processes import end, pipe_to_children
from keras_ilsvrc.runs.reading import HISTORY, LOCK
from keras_ilsvrc.training.stopping import StopRequest

TRAIN = (sys.executable, "-m", "keras_ilsvrc", "train")
STOPPED = 75  # exit status of `train` after a signal or at --stop-epoch
POLL = 0.1  # seconds between checks of a running process


@dataclass(frozen=True)
class Apart:
    """Trains recipes in processes of their own; a killed or diverged process ends only its run.

    Args:
        options: Further options of `keras-ilsvrc train`.
        environment: Further environment variables, for example `CUDA_VISIBLE_DEVICES`.
        stop: Request to stop, which stops the running process after a checkpoint.
    """

    options: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    stop: StopRequest = field(default_factory=StopRequest)

    def train(
        self,
        recipe: Recipe,
        directory: Path,
        epochs: int | None = None,
        limit: float | None = None,
        late: str = "not finished in time",
    ) -> str | None:
        """Train a recipe, or resume its run; return the reason for which it failed, or None.

        The recipe and the log of the process are written beside the run directory.

        Args:
            recipe: Recipe.
            directory: Run directory.
            epochs: Number of epochs after which the run is interrupted; None to train to the end.
            limit: Time, as from `time.monotonic`, at which the run has failed; None for no limit.
            late: Reason to return if the run is not finished at `limit`.

        Raises:
            Stopped: If a signal was received; the process has written a checkpoint.
        """
        directory.parent.mkdir(parents=True, exist_ok=True)
        file, log = (directory.with_name(f"{directory.name}{x}") for x in (".toml", ".log"))
        with files.whole(file) as part:
            part.write_text(recipe.toml())
        words = [*TRAIN, str(file), "--out", str(directory), "--resume", *self.options]
        words += [f"--stop-epoch={epochs}"] if epochs else []
        self._wait_for_lock(directory / LOCK, limit)
        with open(log, "wb") as lines, pipe_to_children() as (environment, pipes):
            process = subprocess.Popen(
                words,
                env={**os.environ, **self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=lines,
                pass_fds=pipes,
            )
            in_time = self._wait(process, limit)
        if not in_time:
            return late
        status = process.returncode
        done = status == STOPPED and epochs and len(history(directory)) >= epochs
        return _failure(status, log) if status and not done else None

    def _wait_for_lock(self, path: Path, limit: float | None) -> None:
        """Wait until no process trains in a directory.

        After a kill, the process of the last attempt may need a moment to end. The process of a
        worker that hangs may train on, and finish the run.

        Raises:
            Stopped: If a signal was received.
        """
        while path.exists() and (limit is None or time.monotonic() < limit):
            try:
                files.lock(path).release()
                return
            except files.Timeout:
                self.stop.check()
                time.sleep(POLL)

    def _wait(self, process: "subprocess.Popen[bytes]", limit: float | None) -> bool:
        """Wait until a process ends; return whether it ended in time.

        Raises:
            Stopped: If a signal was received.
        """
        in_time = True
        try:
            while process.poll() is None and not self.stop and in_time:
                time.sleep(POLL)
                in_time = limit is None or time.monotonic() < limit
        finally:
            end(process)
        self.stop.check()
        return in_time


def _failure(status: int, log: Path) -> str:
    """Return the reason for which a process failed, as one line."""
    if status < 0:
        name = signal.Signals(-status).name
        return f"killed by {name}" + "; perhaps the memory was full" * (name == "SIGKILL")
    lines = log.read_text(errors="replace").splitlines()
    last = next((line for line in reversed(lines) if line.strip()), "")
    return last.removeprefix("error: ")[:500] or f"ended with status {status}"


def history(directory: Path) -> list[dict[str, float]]:
    """Return the complete rows of `history.csv` of a run that may still be training."""
    return list(_rows(directory / HISTORY))


def _rows(path: Path) -> Iterator[dict[str, float]]:
    try:
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                yield {k: float(v) if v else math.nan for k, v in row.items() if k}
    except (OSError, ValueError):
        return
