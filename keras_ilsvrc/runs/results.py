"""Results table of finished runs, one row for all seeds of a recipe. Needs no TensorFlow."""

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
    """Row of the results table: one classifier on one dataset.

    Attributes:
        data: Name of the dataset.
        classifier: Name of a network, or of a baseline, which is a classifier of another kind.
        errors: Top-1 test errors in %, as {seed: error}; the only key of a baseline is 0.
        images: Number of test images.
        protocol: Test protocol.
        seconds: Mean seconds per run; None for a baseline.
    """

    data: str
    classifier: str
    errors: dict[int, float]
    images: int
    protocol: str
    seconds: float | None = None

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
        return (self.data, self.classifier, *shown)


def rows_of(directories: Iterable[Path]) -> list[Row]:
    """Return table rows of finished runs, sorted by dataset and mean error, baselines first.

    Args:
        directories: Run directories, or folders that contain run directories.

    Raises:
        InputError: If a directory contains no finished run, or two runs share recipe and seed.
    """
    groups: dict[str, list[tuple[Recipe, dict[str, Any]]]] = {}
    baselines: dict[tuple[str, str], Row] = {}
    for path in _runs(directories):
        directory = RunFiles(path)
        recipe, result = directory.recipe(), directory.result()
        same = recipe.table() | {"seed": 0, "expect": None, "protocol": result["protocol"]}
        group = groups.setdefault(json.dumps(same, sort_keys=True), [])
        if recipe.seed in [other.seed for other, _ in group]:
            raise InputError(
                f"{path}: another run has the same recipe and seed {recipe.seed}; pass only one"
            )
        group.append((recipe, result))
        if found := result.get("baseline"):
            key = recipe.data.dataset, found["name"]
            errors = {0: found["top1_error"]}
            baselines[key] = Row(*key, errors, result["images"], "its pixels")
    rows = [_row(group) for group in groups.values()]
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
        if not found:
            raise InputError(f"{directory}: contains no finished run; expected a {RESULT}")
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
