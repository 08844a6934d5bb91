"""Outcome of a sweep: comparison of the best trial with the recipe, and the result files."""

import csv
import io
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from keras_ilsvrc.recipe import changed, load
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.sweeps.schema import Sweep
from keras_ilsvrc.sweeps.trial import Runner
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.bars import tracked
from keras_ilsvrc.utils.errors import InputError

SIGNIFICANT = 0.05  # significance level of the comparison
TRIALS, BEST, FINAL, OUTCOME = "trials.csv", "best.toml", "final", "outcome.json"
TEST = "test"  # folder of the run that is tested on the test split
OTHERS = ("spread", "seconds", "epochs")  # measurements of a trial in addition to the objective


@dataclass(frozen=True)
class Row:
    """One trial of a sweep.

    Attributes:
        number: Number of the trial; trial 0 is the recipe without changes.
        status: "completed", "failed" or "running".
        values: Value of each swept key; for the kind "scale", the factor.
        changes: Changes to the recipe.
        measured: Means over the seeds: the objective, `seconds`, `epochs` and `spread`, the
            standard deviation of the objective over the seeds.
        failure: Reason why the trial failed; empty if it did not fail.
    """

    number: str
    status: str
    values: Mapping[str, Any]
    changes: Mapping[str, Any]
    measured: Mapping[str, float]
    failure: str = ""


@dataclass(frozen=True)
class Comparison:
    """Objectives of the best trial and of the recipe, both trained again with the same new seeds.

    Attributes:
        seeds: New seeds, which no trial used.
        recipe: Objective of the recipe for each seed.
        winner: Objective of the best trial for each seed.
        step: Smallest measurable difference between two objectives. For an error in %, it is the
            share of one image.
        failure: Run that failed and the reason; empty if no run failed. A failure ends the
            comparison.
    """

    seeds: Sequence[int]
    recipe: Sequence[float]
    winner: Sequence[float]
    step: float = 0.0
    failure: str = ""

    @property
    def gain(self) -> float:
        """Mean objective of the recipe minus mean objective of the winner."""
        return statistics.fmean(self.recipe) - statistics.fmean(self.winner)

    @property
    def standard_error(self) -> float:
        """Standard error of `gain`. The differences are assumed to deviate by at least `step`."""
        differences = [a - b for a, b in zip(self.recipe, self.winner)]
        return max(statistics.stdev(differences), self.step) / math.sqrt(len(differences))

    def verdict(self, unit: str) -> str:
        """Return in words whether the best trial is better than the recipe.

        The difference is tested with a one-sided paired t-test at a significance level of 5 %.

        Args:
            unit: Unit of the objective, for example " points".
        """
        from scipy.stats import t

        if self.failure:
            return f"not compared with the recipe: {self.failure}"
        error, gain = self.standard_error, self.gain
        chance = t.sf(abs(gain) / error, len(self.seeds) - 1) if error else 0.5
        if chance > SIGNIFICANT:
            return f"no difference seen ({0 - gain:+.2f} +- {error:.2f}{unit})"
        return f"{'better' if gain > 0 else 'worse'} by {abs(gain):.2f} +- {error:.2f}{unit}"


def rows_of(oracle: Any, sweep: Sweep) -> list[Row]:
    """Return the trials of an oracle in the order of their numbers."""
    rows: dict[str, Row] = {}
    for number in [x for x in oracle.start_order if x not in oracle.rows]:
        row = _row(oracle.trials[number], sweep)
        if row.status == "running":
            rows[number] = row
        else:
            oracle.rows[number] = row
    return [rows.get(number) or oracle.rows[number] for number in list(oracle.start_order)]


def _row(trial: Any, sweep: Sweep) -> Row:
    measured = {
        name: trial.metrics.get_best_value(name)
        for name in (sweep.table.objective, *OTHERS)
        if trial.metrics.exists(name)
    }
    chosen = trial.hyperparameters.values
    values, changes = sweep.decoded(chosen), sweep.changes(chosen)
    status = trial.status.lower()
    return Row(trial.trial_id, status, values, changes, measured, trial.message or "")


def best_of(rows: Iterable[Row], objective: str) -> Row:
    """Return the completed trial with the smallest objective; the first one if several are equal.

    Raises:
        InputError: If no trial is completed.
    """
    rows = list(rows)
    completed = [row for row in rows if row.status == "completed"]
    if not completed:
        reasons = ", ".join(dict.fromkeys(row.failure for row in rows)) or "none was started"
        raise InputError(f"no trial was completed: {reasons}")
    return min(completed, key=lambda row: row.measured[objective])


def compare(runner: Runner, best: Row) -> Comparison:
    """Train the recipe and the best trial with new seeds, and return their objectives.

    If a run fails, the comparison ends.

    Args:
        runner: Runner of the sweep's trials.
        best: Best trial.
    """
    table, label = runner.sweep.table, str(runner.sweep.path)
    first = runner.sweep.recipe.seed + table.repeats
    seeds = range(first, first + table.final_repeats)
    recipe = runner.sweep.validated(runner.sweep.recipe)
    arms = {"recipe": recipe, f"trial_{best.number}": changed(recipe, best.changes, label)}
    found: dict[str, list[float]] = {name: [] for name in arms}
    images, failure = math.inf, ""
    for name, seed in tracked(product(arms, seeds), 2 * len(seeds), "training with new seeds"):
        place = runner.home / FINAL / name / f"seed-{seed}"
        outcome = runner.run(changed(arms[name], {"seed": seed}, label), place)
        if outcome.failure:
            failure = f"the run {place} failed: {outcome.failure}"
            break
        found[name].append(outcome.measured[table.objective])
        images = RunFiles(place).result()["images"]
    step = 100 / images if table.objective.endswith("error") else 0.0
    recipe_errors, winner_errors = found.values()
    return Comparison(seeds, recipe_errors, winner_errors, step, failure)


def test_winner(runner: Runner, best: Row) -> dict[str, Any]:
    """Train the recipe `best.toml` and return its result. Only this run uses the test split."""
    place = runner.home / FINAL / f"trial_{best.number}" / TEST
    outcome = runner.run(load(runner.home / BEST), place)
    if not RunFiles(place).finished:
        raise InputError(f"{place}: {outcome.failure}")
    return RunFiles(place).result()


def write_best(home: Path, sweep: Sweep, row: Row) -> None:
    """Write `best.toml`, the recipe with the values of the winner.

    The expected errors and the departures from the paper are left out, since they describe the
    recipe without these values.
    """
    expect = sweep.validated(sweep.recipe).table().get("expect")
    own = {**row.changes, "expect": expect, "departs": []}
    recipe = changed(sweep.recipe, own, str(sweep.path))
    heading = f"# Trial {row.number} of the sweep {sweep.path.name}\n"
    _write(home / BEST, heading + recipe.toml())


def write_trials(home: Path, rows: Sequence[Row], objective: str) -> None:
    """Write `trials.csv`, one row for each trial."""
    text = io.StringIO()
    keys = list(rows[0].values) if rows else []
    names = (objective, *OTHERS)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "status", *names, *keys, "failure"])
    for row in rows:
        measured = [row.measured.get(name, "") for name in names]
        values = [_cell(row.values[key]) for key in keys]
        writer.writerow([row.number, row.status, *measured, *values, row.failure])
    _write(home / TRIALS, text.getvalue())


def write_outcome(home: Path, comparison: Comparison | None, result: dict[str, Any]) -> None:
    """Write `outcome.json`: the comparison with the recipe, and the test result of the winner."""
    table = {"comparison": comparison and asdict(comparison), "test": result}
    _write(home / OUTCOME, json.dumps(table, indent=2, default=list) + "\n")


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict | bool) else value


def _write(path: Path, text: str) -> None:
    with files.whole(path) as part:
        part.write_text(text)
