"""Training of a recipe in a separate process, whose failure does not end this process."""

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

from keras_ilsvrc.recipe import Recipe
from keras_ilsvrc.runs.processes import end, pipe_to_children
from keras_ilsvrc.runs.reading import HISTORY, LOCK
from keras_ilsvrc.training.stopping import StopRequest
from keras_ilsvrc.utils import files

TRAIN = (sys.executable, "-m", "keras_ilsvrc", "train")
STOPPED = 75  # exit status of `train` after a signal or at --stop-epoch
POLL = 0.1  # seconds between checks of a running process


@dataclass(frozen=True)
class Apart:
    """Trainer that trains each recipe in a separate process, whose failure ends only its own run.

    Args:
        options: Additional options of `keras-ilsvrc train`.
        environment: Additional environment variables, for example `CUDA_VISIBLE_DEVICES`.
        stop: Request to stop. The running process then writes a checkpoint and ends.
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
        """Train a recipe, or resume its run; return the reason if this failed, otherwise None.

        The recipe and the log of the process are written next to the run directory, as
        `DIRECTORY.toml` and `DIRECTORY.log`.

        Args:
            recipe: Recipe.
            directory: Run directory.
            epochs: Number of epochs after which training is interrupted; None to train to the end.
            limit: Deadline in seconds of the clock `time.monotonic`; None for no deadline. A
                process that is still running then is stopped, and its run counts as failed.
            late: Reason to return if the process is still running at the deadline.

        Raises:
            Stopped: If this process received a signal. The training process is stopped first.
        """
        directory.parent.mkdir(parents=True, exist_ok=True)
        file, log = (directory.with_name(directory.name + suffix) for suffix in (".toml", ".log"))
        with files.whole(file) as part:
            part.write_text(recipe.toml())
        command = [*TRAIN, str(file), "--out", str(directory), "--resume", *self.options]
        command += [f"--stop-epoch={epochs}"] if epochs else []
        self._wait_for_lock(directory / LOCK, limit)
        with open(log, "wb") as lines, pipe_to_children() as (environment, pipes):
            process = subprocess.Popen(
                command,
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
        """Wait until no other process trains in a directory, or until the deadline.

        A training process needs a moment to end after its parent was killed. If the parent hangs,
        the training process may even finish the run.

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
        """Wait until a process ends, or stop it at the deadline; return whether it ended in time.

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
    """Return the reason why a process failed, in one line."""
    if status < 0:
        name = signal.Signals(-status).name
        return f"killed by {name}" + "; it may have run out of memory" * (name == "SIGKILL")
    lines = log.read_text(errors="replace").splitlines()
    last = next((line for line in reversed(lines) if line.strip()), "")
    return last.removeprefix("error: ")[:500] or f"ended with status {status}"


def history(directory: Path) -> list[dict[str, float]]:
    """Return the complete rows of `history.csv`, even while the run is still training."""
    return list(_rows(directory / HISTORY))


def _rows(path: Path) -> Iterator[dict[str, float]]:
    try:
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                yield {k: float(v) if v else math.nan for k, v in row.items() if k}
    except (OSError, ValueError):
        return
