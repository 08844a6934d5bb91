"""Trials of a sweep: each run is trained in a process of its own, and then measured."""

import csv
import math
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from keras_ilsvrc import files
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.recipe import Recipe, changed
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.runs.processes import end, pipe_to_children
from keras_ilsvrc.runs.reading import HISTORY, LOCK, RunFiles
from keras_ilsvrc.sweeps.hypermodel import LIMITS, check_costs
from keras_ilsvrc.sweeps.schema import Sweep
from keras_ilsvrc.training.stopping import StopRequest

TRAIN = (sys.executable, "-m", "keras_ilsvrc", "train")
STOPPED = 75  # exit status of `train` after a signal or at --stop-epoch
POLL = 0.1  # seconds between checks of a running process


class Outcome(NamedTuple):
    """Outcome of a trial: its measurements by name, or the reason for which it failed."""

    measured: dict[str, float]
    failure: str | None = None


@dataclass(frozen=True)
class Runner:
    """Runs the trials of a sweep, each in processes of its own.

    A process that is killed, runs out of memory or diverges does not end the sweep.

    Args:
        sweep: Sweep.
        home: Directory of the sweep.
        options: Further options of `keras-ilsvrc train`.
        environment: Further environment variables, for example `CUDA_VISIBLE_DEVICES`.
        stop: Request to stop, which stops the running process after a checkpoint.
    """

    sweep: Sweep
    home: Path
    options: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    stop: StopRequest = field(default_factory=StopRequest)

    def trial(self, number: str, values: Mapping[str, Any], root: str | None = None) -> Outcome:
        """Run a trial with each of its seeds, and return the means of their measurements.

        Args:
            number: Number of the trial.
            values: Values that the tuner chose.
            root: Number of the trial whose runs this trial continues, if any.

        Raises:
            Stopped: If a signal was received; the running process has written a checkpoint.
        """
        table = self.sweep.table
        folder = self.home / f"trial_{root or number}"
        try:
            varied = self.sweep.varied(values) if int(root or number) else self.sweep.recipe
            arguments = varied.build.model_dump(exclude_none=True)
            limits = table.model_dump(include=set(LIMITS), exclude_none=True)
            check_costs(varied.net, arguments, limits)
        except InputError as error:
            return Outcome({}, str(error).replace(f"{self.sweep.path}: ", ""))
        recipe = self.sweep.validated(varied)
        limit = table.trial_minutes and time.monotonic() + 60 * table.trial_minutes
        measured = []
        for run in range(table.repeats):
            seeded = changed(recipe, {"seed": recipe.seed + run}, str(self.sweep.path))
            place = folder / f"seed-{seeded.seed}"
            found = self.run(seeded, place, values.get("tuner/epochs"), limit)
            if found.failure:
                return found
            measured.append(found.measured)
        means = {name: statistics.fmean(x[name] for x in measured) for name in measured[0]}
        if len(measured) > 1:
            errors = [x[table.objective] for x in measured]
            means["spread"] = statistics.stdev(errors)
        return Outcome(means)

    def run(
        self,
        recipe: Recipe,
        directory: Path,
        epochs: int | None = None,
        limit: float | None = None,
    ) -> Outcome:
        """Train a recipe in a process, unless this is done, and return what was measured.

        Args:
            recipe: Recipe.
            directory: Run directory.
            epochs: Number of epochs after which the run is interrupted; None to train to the end.
            limit: Time, as from `time.monotonic`, at which the run has failed; None for no limit.

        Raises:
            Stopped: If a signal was received.
        """
        try:
            seconds = 0.0
            if not RunDirectory(directory, recipe, resume=True).finished:
                started = time.monotonic()
                if failure := self._train(recipe, directory, epochs, limit):
                    return Outcome({}, failure)
                seconds = time.monotonic() - started
            return self._measured(directory, seconds, epochs)
        except InputError as error:  # a damaged run, or one of another recipe
            return Outcome({}, str(error))

    def _train(
        self, recipe: Recipe, directory: Path, epochs: int | None, limit: float | None
    ) -> str | None:
        """Train a recipe in a process; return the reason for which it failed, or None."""
        directory.parent.mkdir(parents=True, exist_ok=True)
        file, log = (directory.with_suffix(x) for x in (".toml", ".log"))
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
            return f"not finished after {self.sweep.table.trial_minutes:g} minutes (trial_minutes)"
        status = process.returncode
        if status and not (status == STOPPED and epochs and len(history(directory)) >= epochs):
            return _failure(status, log)
        return None

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

    def _measured(self, directory: Path, seconds: float, epochs: int | None) -> Outcome:
        """Return the objective and other measurements of a run after a number of epochs."""
        objective = self.sweep.table.objective
        rows, run = history(directory)[:epochs], RunFiles(directory)
        if not rows:
            return Outcome({}, f"{HISTORY} contains no epoch")
        result = run.result() if run.finished else {}
        row = next((x for x in rows if x["epoch"] == result.get("kept_epoch")), rows[-1])
        value = (row if objective.startswith("validation") else result).get(objective)
        if value is None or not math.isfinite(value):
            return Outcome({}, f"{objective} was not measured, or is not a number")
        seconds = result.get("seconds", seconds)
        return Outcome({objective: value, "seconds": seconds, "epochs": len(rows)})


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


def _failure(status: int, log: Path) -> str:
    """Return the reason for which a process failed, as one line."""
    if status < 0:
        name = signal.Signals(-status).name
        return f"killed by {name}" + "; perhaps the memory was full" * (name == "SIGKILL")
    lines = log.read_text(errors="replace").splitlines()
    last = next((line for line in reversed(lines) if line.strip()), "")
    return last.removeprefix("error: ")[:500] or f"ended with status {status}"
