"""Trials of a sweep: each run is trained in a separate process, and then measured."""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from keras_ilsvrc.recipe import Recipe, changed
from keras_ilsvrc.runs.apart import Apart, history
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.runs.reading import HISTORY, RunFiles
from keras_ilsvrc.sweeps.hypermodel import LIMITS, check_costs
from keras_ilsvrc.sweeps.schema import Sweep
from keras_ilsvrc.training.stopping import StopRequest
from keras_ilsvrc.utils.errors import InputError


class Outcome(NamedTuple):
    """Outcome of a trial or run: its measurements by name, or the reason why it failed."""

    measured: dict[str, float]
    failure: str | None = None


@dataclass(frozen=True)
class Runner:
    """Runner of the trials of a sweep, which trains each run in a separate process.

    A process that is killed, runs out of memory or diverges does not end the sweep.

    Args:
        sweep: Sweep.
        home: Directory of the sweep.
        options: Additional options of `keras-ilsvrc train`.
        environment: Additional environment variables, for example `CUDA_VISIBLE_DEVICES`.
        stop: Request to stop, which stops the running process after a checkpoint.
    """

    sweep: Sweep
    home: Path
    options: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    stop: StopRequest = field(default_factory=StopRequest)

    def trial(self, number: str, values: Mapping[str, Any], root: str | None = None) -> Outcome:
        """Run a trial with each of its seeds, and return the mean measurements.

        Args:
            number: Number of the trial.
            values: Values that the tuner chose.
            root: Number of the trial whose runs this trial continues; None if it starts new runs.

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
        """Train a recipe in a separate process, unless the run is finished; return measurements.

        Args:
            recipe: Recipe.
            directory: Run directory.
            epochs: Number of epochs after which the run is interrupted; None to train to the end.
            limit: Deadline in the time of `time.monotonic`, after which an unfinished run has
                failed; None for no limit.

        Raises:
            Stopped: If a signal was received.
        """
        try:
            seconds = 0.0
            if not RunDirectory(directory, recipe, resume=True).finished:
                started = time.monotonic()
                minutes = f"{self.sweep.table.trial_minutes or 0:g} minutes (trial_minutes)"
                apart = Apart(self.options, self.environment, self.stop)
                if failure := apart.train(
                    recipe, directory, epochs, limit, f"not finished after {minutes}"
                ):
                    return Outcome({}, failure)
                seconds = time.monotonic() - started
            return self._measured(directory, seconds, epochs)
        except InputError as error:  # the run is damaged, or belongs to another recipe
            return Outcome({}, str(error))

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
            return Outcome({}, f"{objective} was not measured, or is not finite")
        seconds = result.get("seconds", seconds)
        return Outcome({objective: value, "seconds": seconds, "epochs": len(rows)})
