"""Small sweep files, and trials that call a function instead of training."""

import csv
import json
import math
from pathlib import Path

from keras_tuner.engine.trial import TrialStatus

from keras_ilsvrc.sweeps.oracle import make_oracle
from keras_ilsvrc.sweeps.schema import Sweep

SET = {
    "net": "resnet_cifar",
    "build.depth": 8,
    "data.train": "train",
    "data.validation": "validation",
    "schedule.steps": 3,
    "schedule.learning_rate": [[0, 0.1]],
    "report": False,
}
KEYS = {"optimizer.l2": ["log", 1e-5, 1e-2], "schedule.learning_rate": ["scale", 0.1, 10]}
NO_KILL = 10**9


def text_of(keys=KEYS, changes=None, **table):
    """The text of a sweep file: a random search of three trials, unless `table` says otherwise."""
    head = {"recipe": "resnet20_cifar_digits", "tuner": "random", "trials": 3, **table}
    lines = [f"{key} = {json.dumps(value)}" for key, value in head.items() if value is not None]
    for name, part in (("set", SET | (changes or {})), ("keys", keys)):
        lines += [f"[{name}]"]
        lines += [f'"{key}" = {json.dumps(x)}' for key, x in part.items() if x is not None]
    return "\n".join(lines) + "\n"


def small_sweep(directory, keys=KEYS, changes=None, **table):
    path = Path(directory) / "small.toml"
    path.write_text(text_of(keys, changes, **table))
    return Sweep(path)


class Killed(BaseException):
    """A kill just before a write of state."""


def opened(sweep, home, kill=NO_KILL, lines=None):
    """The oracle of a sweep, which is killed at a write of state, and leaves half a file."""
    oracle = make_oracle(sweep)
    oracle.prepare(home, sweep.defaults(), [].append if lines is None else lines.append)
    home.mkdir(exist_ok=True)
    oracle.reload()
    write, oracle.writes = oracle._write, 0

    def counted(path, state):
        oracle.writes += 1
        if oracle.writes >= kill:
            path.with_name(f".part-{path.name}").write_text(json.dumps(state)[:20])
            raise Killed
        write(path, state)

    oracle._write = counted
    return oracle


def outcome(home):
    """What a sweep found, without times and paths."""
    rows = list(csv.DictReader((home / "trials.csv").read_text().splitlines()))
    trials = [{key: x for key, x in row.items() if key != "seconds"} for row in rows]
    found = json.loads((home / "outcome.json").read_text())
    left_out = ("seconds", "finished")
    test = {key: x for key, x in found["test"].items() if key not in left_out}
    return trials, (home / "best.toml").read_text(), found["comparison"], test


def error_of(values):
    """A validation error: least at an l2 of 1e-4 and a factor of 2, less with more epochs."""
    place = (
        math.log10(float(values["optimizer.l2"])) + 4,
        math.log2(values.get("schedule.learning_rate", 1)) - 1,
    )
    return sum(x * x for x in place) + 3 / values.get("tuner/epochs", 3)


def failure_of(values):
    """Why a trial fails; None for most."""
    return "diverged" if values.get("schedule.learning_rate", 1) > 6 else None


def run_trial(oracle, trial):
    """Report what a trial measures, or that it fails."""
    values = trial.hyperparameters.values
    if reason := failure_of(values):
        trial.status, trial.message = TrialStatus.FAILED, reason
    else:
        found = {"validation_error": error_of(values), "seconds": 1.0, "epochs": 3}
        oracle.update_trial(trial.trial_id, found, step=3)
        trial.status = TrialStatus.COMPLETED
    oracle.end_trial(trial)


def run_all(oracle, worker="a", ran=None):
    """Run trials until there are no more; return the numbers of those that ran."""
    ran = [] if ran is None else ran
    while (trial := oracle.create_trial(worker)).status == TrialStatus.RUNNING:
        ran.append(trial.trial_id)
        run_trial(oracle, trial)
    assert trial.status == TrialStatus.STOPPED
    return ran
