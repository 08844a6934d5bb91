"""Finished runs as a table: the same recipe with other seeds is one row. Without TensorFlow."""

import json
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.recipe.schema import Recipe
from keras_ilsvrc.runs.reading import RESULT, RunFiles

HEADINGS = ("data", "classifier", "test error %", "spread", "seeds", "images", "protocol", "s/run")


@dataclass(frozen=True)
class Row:
    """One classifier on one data set.

    Attributes:
        data: The data set.
        classifier: Name of a net, or of a classifier without one.
        errors: Top-1 test error in %, by seed; of a classifier without seeds, by 0.
        images: Of the test.
        protocol: Of the test.
        seconds: Of a run, the mean.
    """

    data: str
    classifier: str
    errors: dict[int, float]
    images: int
    protocol: str
    seconds: float | None = None

    @property
    def mean(self) -> float:
        """Of the errors."""
        return statistics.mean(self.errors.values())

    def cells(self) -> tuple[str, ...]:
        """The row as words, under `HEADINGS`."""
        errors = self.errors.values()
        spread = "" if len(errors) < 2 else f"{min(errors):.2f} to {max(errors):.2f}"
        seeds = "" if self.seconds is None else ", ".join(map(str, sorted(self.errors)))
        seconds = "" if self.seconds is None else f"{self.seconds:.0f}"
        shown = (f"{self.mean:.2f}", spread, seeds, f"{self.images:,}", self.protocol, seconds)
        return (self.data, self.classifier, *shown)


def rows_of(directories: Iterable[Path]) -> list[Row]:
    """Runs by data set and error; a classifier without a net stands first.

    Args:
        directories: Of runs, or of folders that hold such directories.

    Raises:
        InputError: If one holds no finished run, or a seed comes twice.
    """
    groups: dict[str, list[tuple[Recipe, dict[str, Any]]]] = {}
    baselines: dict[tuple[str, str], Row] = {}
    for path in _runs(directories):
        directory = RunFiles(path)
        recipe, result = directory.recipe(), directory.result()
        same = recipe.table() | {"seed": 0, "expect": None, "protocol": result["protocol"]}
        group = groups.setdefault(json.dumps(same, sort_keys=True), [])
        if recipe.seed in [other.seed for other, _ in group]:
            raise InputError(f"{path}: a run of this recipe with seed {recipe.seed} is there twice")
        group.append((recipe, result))
        if found := result.get("baseline"):
            key = recipe.data.dataset, found["name"]
            errors = {0: found["top1_error"]}
            baselines[key] = Row(*key, errors, result["images"], "its pixels")
    rows = [_row(group) for group in groups.values()]
    rows.sort(key=lambda row: (row.data, row.mean))
    first = [row for _, row in sorted(baselines.items())]
    return sorted([*first, *rows], key=lambda row: row.data)  # stable: baselines stay in front


def markdown(rows: Iterable[Row]) -> str:
    """A table for a page."""
    lines = [HEADINGS, ["---", "---", "---:", "---:", "---", "---:", "---", "---:"]]
    lines += [row.cells() for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _runs(directories: Iterable[Path]) -> Iterator[Path]:
    for directory in directories:
        found = sorted(path.parent for path in directory.glob(f"**/{RESULT}"))
        if not found:
            raise InputError(f"{directory}: holds no finished run; expected a {RESULT} in it")
        yield from found


def _row(group: list[tuple[Recipe, dict[str, Any]]]) -> Row:
    recipe, result = group[0]
    return Row(
        recipe.data.dataset,
        result["net"],
        {recipe.seed: result["top1_error"] for recipe, result in group},
        result["images"],
        result["protocol"],
        statistics.mean(result["seconds"] for _, result in group),
    )
