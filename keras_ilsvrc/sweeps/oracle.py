"""keras-tuner oracles for sweeps: trial 0 is the recipe, and a killed sweep can be resumed."""

import itertools
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner import oracles
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.src.engine.metrics_tracking import MetricsTracker

from keras_ilsvrc.runs.schema import parsed
from keras_ilsvrc.sweeps.ranges import Range
from keras_ilsvrc.sweeps.schema import Sweep
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import InputError

STATE, TRIAL = "oracle.json", "trial.json"
LOST = 25.0  # seconds without a message after which a worker counts as lost
ENDED = (TrialStatus.COMPLETED, TrialStatus.FAILED)
ADVICE = "restore it from a copy, or choose another --out"
EVER = 10**9  # practically no limit: a sweep continues after any number of failed trials


class Budget(int):
    """Number of trials. keras-tuner pads trial names with zeros to the length of its text."""

    def __str__(self) -> str:
        return "9999"  # a fixed text, so that trial names do not depend on the budget


class SweepOracle(keras_tuner.Oracle):
    """Mixin for the oracles of keras-tuner.

    The first trial has the values of the recipe. Every state file is replaced atomically. A trial
    that was running when the process was killed runs again with the same values.

    Args:
        directory: Directory of the sweep.
        default: The recipe's values of the swept keys, for the first trial.
        log: Function that is called with messages about damaged files.
    """

    def prepare(
        self, directory: Path, default: dict[str, Any], log: Callable[[str], object]
    ) -> None:
        self._set_project_dir(str(directory.parent), directory.name)
        self.home, self.default, self.log = directory, default, log
        self.verbose = 0
        self.rows: dict[str, Any] = {}  # trials that have ended, as `outcome.Row`
        self.heard: dict[str, float] = {}  # time of each worker's latest message

    def _random_values(self) -> dict[str, Any] | None:
        return super()._random_values() if self.trials else dict(self.default)

    def get_state(self) -> dict[str, Any]:
        # The values of the trials are stored here too, so that a trial can run again if its own
        # file is damaged.
        values = {number: trial.hyperparameters.values for number, trial in self.trials.items()}
        return {**super().get_state(), "values": values}

    def save(self) -> None:
        self._write(self.home / STATE, self.get_state())

    def _save_trial(self, trial: Trial) -> None:
        folder = self.home / f"trial_{trial.trial_id}"
        folder.mkdir(exist_ok=True)
        self._write(folder / TRIAL, trial.get_state())

    @staticmethod
    def _write(path: Path, state: dict[str, Any]) -> None:
        with files.whole(path) as part:
            part.write_bytes(files.sealed(state, None))

    def reload(self) -> None:
        """Read the state of an earlier process. Trials that were running are run again.

        A trial may have a file but be missing in `oracle.json`, if the process was killed between
        the two writes. The oracle then creates this trial again, with the same values.

        Raises:
            InputError: If `oracle.json` is damaged.
        """
        path = self.home / STATE
        if path.exists():
            parsed(path, ADVICE, lambda: self._restore(files.unsealed(files.read(path))))

    def _restore(self, state: dict[str, Any]) -> None:
        self.trials = {x: self._read(x, state) for x in state["start_order"]}
        self.set_state(state)
        # The file of a trial is written before `oracle.json`, so it may be newer.
        ended = [x for x in self.start_order if self.trials[x].status in ENDED]
        listed = [x for x in state["end_order"] if x in ended]
        self.end_order: list[str] = listed + [x for x in ended if x not in listed]
        again = [x for x in self.start_order if x not in ended]
        self._retry_queue = again[::-1]  # keras-tuner takes trials from the end
        self.ongoing_trials: dict[str, Trial] = {}

    def _read(self, number: str, state: dict[str, Any]) -> Trial:
        """Read the file of a trial. If it is damaged, return a new trial with the same values."""
        path = self.home / f"trial_{number}" / TRIAL
        try:
            advice = f"its values are in {STATE}"
            return Trial.from_state(parsed(path, advice, lambda: files.unsealed(files.read(path))))
        except InputError as error:
            self.log(f"{error}; the trial runs again")
        hyperparameters = keras_tuner.HyperParameters.from_config(state["hyperparameters"])
        hyperparameters.values = state["values"][number]
        return Trial(hyperparameters, number)

    def create_trial(self, tuner_id: str) -> Trial:
        """Return a trial to run. If none is left, the worker waits while other workers run trials.

        It takes over the trial of a worker that is lost.
        """
        started = time.monotonic()
        trial = super().create_trial(tuner_id)
        now = time.monotonic()
        # This process receives no messages while it computes, so this time is not counted as
        # silence of the other workers.
        self.heard = {worker: last + now - started for worker, last in self.heard.items()}
        self.heard[tuner_id] = now
        if trial.status == TrialStatus.STOPPED and self.ongoing_trials:
            trial.status = TrialStatus.IDLE
            self.tuner_ids.add(tuner_id)
        return trial

    def get_trial(self, trial_id: str) -> Trial:
        """Return a trial. Workers also call this to show that they are alive."""
        for worker, trial in self.ongoing_trials.items():
            if trial.trial_id == trial_id:
                self.heard[worker] = time.monotonic()
        return super().get_trial(trial_id)

    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int = 0) -> Trial:
        """Replace the measurements of a trial, unless the trial has ended."""
        trial = self.trials[trial_id]
        if trial_id not in self.end_order:
            tracker = MetricsTracker()
            for name, value in metrics.items():
                tracker.register(name, "min")
                tracker.update(name, value, step=step)
            trial.metrics = tracker
            self._save_trial(trial)
        return trial

    def end_trial(self, trial: Trial) -> None:
        """End a trial, unless another worker has already ended it."""
        if trial.trial_id not in self.end_order:
            self._retry_queue = [x for x in self._retry_queue if x != trial.trial_id]
            super().end_trial(trial)

    def give_up(self, worker: str) -> str | None:
        """Queue the trial of a lost worker again; return its number, or None if it has no trial."""
        self.tuner_ids.discard(worker)
        trial = self.ongoing_trials.pop(worker, None)
        if trial is None:
            return None
        if trial.trial_id not in self.end_order:
            self._retry_queue.append(trial.trial_id)
        self.save()
        return str(trial.trial_id)

    def lost(self) -> list[str]:
        """Return the workers that have sent no message for `LOST` seconds."""
        now = time.monotonic()
        known = {*list(self.tuner_ids), *list(self.ongoing_trials)}
        return sorted(x for x in known if now - self.heard[x] > LOST)


class RandomOracle(SweepOracle, oracles.RandomSearchOracle):
    """Oracle for random search."""


class BayesianOracle(SweepOracle, oracles.BayesianOptimizationOracle):
    """Oracle for Bayesian optimization that can be resumed: each trial sets the random state."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        self._random_state = np.random.RandomState([self.seed, len(self.trials)])
        return super().populate_space(trial_id)


class HyperbandOracle(SweepOracle, oracles.HyperbandOracle):
    """Oracle for Hyperband that does not stop early if trials fail or the search space is small.

    keras-tuner waits for all trials of a round before it continues the best of them, and stops if
    some are missing. Here, the next round is then filled with the best of the completed trials.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        found = super().populate_space(trial_id)
        if found["status"] != TrialStatus.STOPPED:
            return found
        for bracket in self._brackets:
            for number, (past, trials) in enumerate(itertools.pairwise(bracket["rounds"]), 1):
                missing = len(trials) < self._get_size(bracket["bracket_num"], number)
                if missing and (best := self._best(past, trials)):
                    trials.append({"past_id": best.trial_id, "id": trial_id})
                    return self._continued(best, bracket["bracket_num"], number)
        return found

    def _best(self, past: list[dict[str, str]], trials: list[dict[str, str]]) -> Trial | None:
        """Return the best completed trial of a round that the next round has not continued yet."""
        continued = [x["past_id"] for x in trials]
        others = [self.trials[x["id"]] for x in past if x["id"] not in continued]
        completed = [x for x in others if x.status == TrialStatus.COMPLETED]
        return min(completed, key=lambda x: x.score, default=None)

    def _continued(self, trial: Trial, bracket: int, number: int) -> dict[str, Any]:
        values = {
            **trial.hyperparameters.values,
            "tuner/trial_id": trial.trial_id,
            "tuner/epochs": self._get_epochs(bracket, number),
            "tuner/initial_epoch": self._get_epochs(bracket, number - 1),
            "tuner/bracket": bracket,
            "tuner/round": number,
        }
        return {"status": TrialStatus.RUNNING, "values": values}


class GridOracle(SweepOracle):
    """Oracle for grid search over all combinations of values; the last key varies fastest."""

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
    """Return the ranges of a sweep as hyperparameters; their defaults are the recipe's values."""
    space, defaults = keras_tuner.HyperParameters(), sweep.defaults()
    for key, range_ in sweep.ranges.items():
        _MAKERS[range_.kind](space, key, range_, defaults[key])
    return space


def make_oracle(sweep: Sweep) -> SweepOracle:
    """Return the oracle for the tuner that a sweep file names."""
    table = sweep.table
    settings: dict[str, Any] = {"max_trials": Budget(table.trials or EVER)}
    if table.tuner == "hyperband":
        settings = {"max_epochs": table.max_epochs}
    made = ORACLES[table.tuner](
        objective=keras_tuner.Objective(table.objective, "min"),
        hyperparameters=space_of(sweep),
        seed=table.seed + 1,  # keras-tuner replaces the seed 0 with a random one
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
