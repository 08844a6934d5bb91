"""A finished run, read from its directory and tested again."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.evaluation.errors import top_k_error
from keras_ilsvrc.rundir import RESULT
from keras_ilsvrc.stage import Stage
from keras_ilsvrc.testing import Told, errors_of, restore, silent
from keras_ilsvrc.training.records import COLUMNS

HISTORY = "history.csv"
NEEDED: dict[str, type | tuple[type, ...]] = {  # of result.json: what a page cannot do without
    "net": str,
    "top1_error": (int, float),
    "top1_interval": list,
    "protocol": str,
    "views": int,
    "images": int,
    "replicas": int,
    "seconds": (int, float),
    "versions": dict,
}


Working = Callable[[str], AbstractContextManager[Told]]


@contextmanager
def unseen(what: str) -> Iterator[Told]:
    """Work that nobody is told of."""
    yield silent


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        path: Its directory.
        stage: Its images and its trained model.
        result: What `result.json` holds.
        history: Rows of `history.csv`; None for what an epoch did not measure.
        probabilities: (images, classes), of the test images now.
        working: Opens a bar for work that takes long, by what is done.
    """

    path: Path
    stage: Stage
    result: dict[str, Any]
    history: list[dict[str, float | None]]
    probabilities: np.ndarray
    working: Working = unseen

    @property
    def labels(self) -> np.ndarray:
        """(images,): the true classes of the test images."""
        return self.stage.test.labels

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        return self.stage.source.classes

    @property
    def error_now(self) -> float:
        """Top-1 test error in %, of the probabilities."""
        return top_k_error(self.probabilities, self.labels, 1)


def read(path: Path, replicas: int | None = None, working: Working = unseen) -> Run:
    """A finished run, its net tested by its recipe's protocol.

    Raises:
        InputError: If the directory holds no finished run, or a file in it is damaged.
    """
    result, history = read_result(path), read_history(path)
    stage = restore(path, replicas)
    with working("testing") as tell:
        probabilities = errors_of([stage], tell=tell)["probabilities"]
    return Run(path, stage, result, history, probabilities, working)


def read_result(path: Path) -> dict[str, Any]:
    """What a run's `result.json` holds.

    Raises:
        InputError: If there is none, or it is damaged.
    """
    file = path / RESULT
    if not file.is_file():
        raise InputError(f"{path}: no finished run: {RESULT} is missing")
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: damaged; run its recipe again") from error
    for key, kind in NEEDED.items():
        if not isinstance(result, dict) or not isinstance(result.get(key), kind):
            raise InputError(f"{file}: damaged, {key} is missing; run its recipe again")
    if len(result["top1_interval"]) != 2:
        raise InputError(f"{file}: damaged, top1_interval is no pair; run its recipe again")
    return result


def read_history(path: Path) -> list[dict[str, float | None]]:
    """The rows of a run's `history.csv`; none if there is no such file.

    Raises:
        InputError: If it is damaged.
    """
    file = path / HISTORY
    if not file.is_file():
        return []
    try:
        with open(file, newline="", encoding="utf-8") as lines:
            reader = csv.DictReader(lines)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"no column {missing[0]}")
            return [
                {name: float(value) if value else None for name, value in row.items()}
                for row in reader
            ]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{file}: damaged; remove it, and the page has no curves") from error
