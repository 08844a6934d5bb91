"""Results table of finished runs, with one row per recipe for all its seeds.

This module does not import TensorFlow.
"""

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from keras_ilsvrc.recipe.schema import Recipe
from keras_ilsvrc.runs.reading import FIRST, RECIPE, RESULT, RunFiles
from keras_ilsvrc.utils.errors import InputError

UNSAID = {"seed", "expect", "departs"}  # recipe keys that no description of a row mentions
MOST = 120  # maximum number of characters in a description of differences
HEADINGS = ("data", "classifier", "test error %", "spread", "seeds", "images", "protocol", "s/run")


class Run(NamedTuple):
    """Directory, recipe and result of a finished run."""

    path: Path
    recipe: Recipe
    result: dict[str, Any]

    @property
    def title(self) -> tuple[str, str]:
        """Names of the dataset and of the network."""
        return self.recipe.data.dataset, self.result["net"]


@dataclass(frozen=True)
class Row:
    """Row of the results table: one classifier on one dataset.

    Attributes:
        data: Name of the dataset.
        classifier: Name of a network, or of a baseline (a classifier of another kind).
        errors: Top-1 test errors in %, as {seed: error}; a baseline has one error, with key 0.
        images: Number of test images.
        protocol: Test protocol.
        seconds: Mean time per run in seconds; None for a baseline.
        arm: Recipe keys and values in which these runs differ from others of the same network
            and dataset.
        runs: Directories of the runs.
    """

    data: str
    classifier: str
    errors: dict[int, float]
    images: int
    protocol: str
    seconds: float | None = None
    arm: str = ""
    runs: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        """Mean test error over all seeds, in %."""
        return statistics.mean(self.errors.values())

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the row as text, in the order of `HEADINGS`."""
        errors = self.errors.values()
        spread = "" if len(errors) < 2 else f"{min(errors):.2f} to {max(errors):.2f}"
        seeds = "" if self.seconds is None else ", ".join(map(str, sorted(self.errors)))
        seconds = "" if self.seconds is None else f"{self.seconds:.0f}"
        shown = (f"{self.mean:.2f}", spread, seeds, f"{self.images:,}", self.protocol, seconds)
        classifier = f"{self.classifier} ({self.arm})" if self.arm else self.classifier
        return (self.data, classifier, *shown)


def rows_of(directories: Iterable[Path]) -> list[Row]:
    """Return table rows of finished runs, sorted by dataset; baselines first, then by mean error.

    Runs that differ only in the seed share a row. A run that repeats a recipe with the same seed
    has a separate row; the rows of this recipe then also name their run directories.

    Args:
        directories: Run directories, or folders that contain run directories.

    Raises:
        InputError: If a directory contains no finished run.
    """
    groups: dict[tuple[str, int], list[Run]] = {}
    seen: Counter[tuple[str, int]] = Counter()  # number of runs by (recipe, seed)
    baselines: dict[tuple[str, str], Row] = {}
    for path in dict.fromkeys(_runs(directories)):
        directory = RunFiles(path)
        recipe, result = directory.recipe(), directory.result()
        same = recipe.table() | {"seed": 0, "expect": None, "protocol": result["protocol"]}
        key = json.dumps(same, sort_keys=True)
        groups.setdefault((key, seen[key, recipe.seed]), []).append(Run(path, recipe, result))
        seen[key, recipe.seed] += 1
        if found := result.get("baseline"):
            of = recipe.data.dataset, found["name"]
            errors = {0: found["top1_error"]}
            baselines[of] = Row(*of, errors, result["images"], "raw pixels")
    rows = [
        _row(group, arm, (key, 1) in groups)
        for (key, _), group, arm in zip(groups, groups.values(), _arms(groups.values()))
    ]
    rows.sort(key=lambda row: (row.data, row.mean))
    first = [row for _, row in sorted(baselines.items())]
    return sorted([*first, *rows], key=lambda row: row.data)  # a stable sort keeps baselines first


def markdown(rows: Iterable[Row]) -> str:
    """Return the rows of the results table as Markdown text."""
    lines = [HEADINGS, ["---", "---", "---:", "---:", "---", "---:", "---", "---:"]]
    lines += [row.cells() for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _runs(directories: Iterable[Path]) -> Iterator[Path]:
    for directory in directories:
        found = sorted(path.parent for path in directory.glob(f"**/{RESULT}"))
        # Skip the first stages of runs, whose directories contain results too.
        found = [x for x in found if x.name != FIRST or not (x.parent / RECIPE).exists()]
        if not found:
            raise InputError(f"{directory}: contains no finished run; expected a {RESULT}")
        yield from found


def _arms(groups: Iterable[list[Run]]) -> list[str]:
    """Describe each group by the recipe keys in which runs of the same net and dataset differ."""
    tables = [(group[0].title, _flat(group[0].recipe.table())) for group in groups]
    arms = []
    for title, table in tables:
        others = [other for same, other in tables if same == title]
        keys = {key for other in others for key in other.keys() | table.keys()} - UNSAID
        differing = sorted(key for key in keys if len({repr(x.get(key)) for x in others}) > 1)
        arms.append(", ".join(f"{key}={table.get(key, 'none')}" for key in differing)[:MOST])
    return arms


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of a recipe as {dotted key: value}."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        inner = isinstance(value, dict)
        found |= _flat(value, f"{prefix}{key}.") if inner else {prefix + key: value}
    return found


def _row(group: list[Run], arm: str, repeated: bool) -> Row:
    first = group[0]
    paths = tuple(str(run.path) for run in group)
    return Row(
        *first.title,
        {run.recipe.seed: run.result["top1_error"] for run in group},
        first.result["images"],
        first.result["protocol"],
        statistics.mean(run.result["seconds"] for run in group),
        "; ".join(filter(None, (arm, ", ".join(paths) if repeated else ""))),
        paths,
    )
