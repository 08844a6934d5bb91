"""Oracles of keras-tuner for sweeps: trial 0 is the recipe, and the state survives any kill."""

import itertools
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner import oracles
from keras_tuner.engine.trial import Trial, TrialStatus

from keras_ilsvrc import files
from keras_ilsvrc.errors import InputError, reason
from keras_ilsvrc.sweeps.schema import Range, Sweep

STATE, TRIAL, VALUES = "oracle.json", "trial.json", "values.json"
FAILURE = "tuner/failure"  # key of a trial's values under which a worker sends the reason
LOST = 25.0  # seconds without a message after which a worker counts as lost
EVER = 10**9  # no limit: the sweep goes on after any number of failed trials


class Budget(int):
    """Number of trials. keras-tuner pads the numbers of trials to the width of its text."""

    def __str__(self) -> str:
        return f"{int(self):04d}"


class SweepOracle(keras_tuner.Oracle):
    """Mixin for the oracles of keras-tuner.

    The first trial has the values of the recipe. Every file of the state is replaced as a whole. A
    trial that was running when the process was killed runs again with the same values.

    Args:
        directory: Directory of the sweep.
        default: Values of the recipe.
        log: Function that is called with messages about damaged files.
    """

    def prepare(
        self, directory: Path, default: dict[str, Any], log: Callable[[str], object]
    ) -> None:
        self._set_project_dir(str(directory.parent), directory.name)
        self.home, self.default, self.log = directory, default, log
        self.verbose = 0
        self.rows: dict[str, Any] = {}  # facts about trials that have ended, as `outcome.Row`
        self.heard: dict[str, float] = {}  # {trial: time of the last message from its worker}

    def _random_values(self) -> dict[str, Any] | None:
        return super()._random_values() if self.trials else dict(self.default)

    def save(self) -> None:
        self._write(self.home / STATE, self.get_state())

    def _save_trial(self, trial: Trial) -> None:
        folder = self.home / f"trial_{trial.trial_id}"
        folder.mkdir(exist_ok=True)
        if not trial.metrics.metrics:  # a copy, for the case that the other file is damaged
            self._write(folder / VALUES, trial.hyperparameters.values)
        self._write(folder / TRIAL, trial.get_state())

    @staticmethod
    def _write(path: Path, state: dict[str, Any]) -> None:
        with files.whole(path) as part:
            part.write_text(json.dumps(state))

    def reload(self) -> None:
        """Read the state of an earlier process. Trials that were running are run again.

        A file of a trial that `oracle.json` does not name was written just before a kill; the
        oracle makes that trial again, with the same values.

        Raises:
            InputError: If `oracle.json` is damaged.
        """
        path = self.home / STATE
        if not path.exists():
            return
        try:
            state = json.loads(files.read(path))
            self.trials = {x: self._read(x, state) for x in state["start_order"]}
            self.set_state(state)
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path}: damaged: {reason(error)}; restore it from a copy, or choose another --out"
            ) from error
        again = [x for x in self.start_order if x not in self.end_order]
        self._retry_queue = again[::-1]  # taken from the end
        self.ongoing_trials: dict[str, Trial] = {}

    def _read(self, number: str, state: dict[str, Any]) -> Trial:
        """Read the file of a trial. If it is damaged, the trial runs again, with its old values."""
        folder = self.home / f"trial_{number}"
        hyperparameters = keras_tuner.HyperParameters.from_config(state["hyperparameters"])
        trial = Trial(hyperparameters, number)
        try:
            trial.set_state(json.loads(files.read(folder / TRIAL)))
            return trial
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.log(f"{folder / TRIAL}: damaged: {reason(error)}; the trial runs again")
        hyperparameters.values = json.loads(files.read(folder / VALUES))
        state["end_order"] = [x for x in state["end_order"] if x != number]
        return Trial(hyperparameters, number)

    def create_trial(self, tuner_id: str) -> Trial:
        """Return a trial to run. While others run, a worker waits: one of them may be lost."""
        started = time.monotonic()
        trial = super().create_trial(tuner_id)
        now = time.monotonic()
        # While this process computes, it does not hear the other workers.
        self.heard = {number: last + now - started for number, last in self.heard.items()}
        self.heard[trial.trial_id] = now
        if trial.status == TrialStatus.STOPPED and self.ongoing_trials:
            trial.status = TrialStatus.IDLE
            self.tuner_ids.add(tuner_id)
        return trial

    def get_trial(self, trial_id: str) -> Trial:
        """Return a trial. Workers also call this to show that they are alive."""
        self.heard[trial_id] = time.monotonic()
        return super().get_trial(trial_id)

    def end_trial(self, trial: Trial) -> None:
        """End a trial, unless its worker was given up and another one has ended the trial."""
        if trial.trial_id not in self.end_order:
            trial.message = trial.hyperparameters.values.pop(FAILURE, None)
            self._retry_queue = [x for x in self._retry_queue if x != trial.trial_id]
            super().end_trial(trial)

    def give_up(self, tuner_id: str) -> str | None:
        """Give the trial of a lost worker to another one; return the trial's number."""
        self.tuner_ids.discard(tuner_id)
        trial = self.ongoing_trials.pop(tuner_id, None)
        if trial is None:
            return None
        self._retry_queue.append(trial.trial_id)
        self.save()
        return str(trial.trial_id)

    def lost(self) -> list[str]:
        """Return the workers that run a trial, but were not heard for `LOST` seconds."""
        now = time.monotonic()
        running = list(self.ongoing_trials.items())
        return [x for x, trial in running if now - self.heard[trial.trial_id] > LOST]


class RandomOracle(SweepOracle, oracles.RandomSearchOracle):
    """Random search."""


class BayesianOracle(SweepOracle, oracles.BayesianOptimizationOracle):
    """Bayesian optimization. The random state depends on the trial, so that it can be resumed."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        self._random_state = np.random.RandomState([self.seed, len(self.trials)])
        return super().populate_space(trial_id)


class HyperbandOracle(SweepOracle, oracles.HyperbandOracle):
    """Hyperband."""


class GridOracle(SweepOracle):
    """Grid search: all combinations, in which the last key varies fastest."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        names = [each.name for each in self.hyperparameters.space]
        choices = [
            [each.default, *(x for x in each.values if x != each.default)]
            for each in self.hyperparameters.space
        ]
        values = next(itertools.islice(itertools.product(*choices), len(self.trials), None), None)
        if values is None:
            return {"status": TrialStatus.STOPPED}
        return {"status": TrialStatus.RUNNING, "values": dict(zip(names, values))}


ORACLES: dict[str, Callable[..., Any]] = {
    "random": RandomOracle,
    "bayesian": BayesianOracle,
    "hyperband": HyperbandOracle,
    "grid": GridOracle,
}


def space_of(sweep: Sweep) -> keras_tuner.HyperParameters:
    """Return the ranges of a sweep as hyperparameters, whose defaults are those of the recipe."""
    space, defaults = keras_tuner.HyperParameters(), sweep.defaults()
    for key, range_ in sweep.ranges.items():
        _MAKERS[range_.kind](space, key, range_, defaults[key])
    return space


def make_oracle(sweep: Sweep) -> SweepOracle:
    """Return the oracle that a sweep names."""
    table = sweep.table
    settings: dict[str, Any] = {"max_trials": Budget(table.trials or EVER)}
    if table.tuner == "hyperband":
        settings = {"max_epochs": table.max_epochs}
    made = ORACLES[table.tuner](
        objective=keras_tuner.Objective(table.objective, "min"),
        hyperparameters=space_of(sweep),
        seed=table.seed + 1,  # keras-tuner replaces a seed of 0 by a random one
        max_consecutive_failed_trials=EVER,
        **settings,
    )
    made.max_trials = settings.get("max_trials", Budget(EVER))
    return made


def _choice(space: Any, key: str, range_: Range, default: Any) -> None:
    space.Choice(key, list(range_.values), default=default)


def _interval(
    space: Any, key: str, range_: Range, default: Any, whole: bool = False, log: bool = False
) -> None:
    least, most = range_.values
    if range_.points:
        spaced = np.geomspace if log else np.linspace
        points = [*dict.fromkeys(float(x) for x in spaced(least, most, range_.points))]
        if whole:
            points = [*dict.fromkeys(round(x) for x in points)]
        space.Choice(key, [default, *(x for x in points if x != default)], default=default)
    else:
        sampling = "log" if log else "linear"
        (space.Int if whole else space.Float)(key, least, most, sampling=sampling, default=default)


_MAKERS: dict[str, Callable[..., None]] = {
    "choice": _choice,
    "linear": _interval,
    "log": partial(_interval, log=True),
    "int": partial(_interval, whole=True),
    "log_int": partial(_interval, whole=True, log=True),
    "scale": partial(_interval, log=True),
}
