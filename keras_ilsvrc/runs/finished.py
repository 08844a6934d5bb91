"""A finished run with its test probabilities: what pages and pictures are made of."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_ilsvrc.evaluation.errors import top_k_error
from keras_ilsvrc.runs.evaluate import OnProgress, errors_of, restore, silent
from keras_ilsvrc.runs.experiment import Experiment
from keras_ilsvrc.runs.reading import RunFiles

Working = Callable[[str], AbstractContextManager[OnProgress]]


@contextmanager
def unseen(label: str) -> Iterator[OnProgress]:
    """Show no progress bar."""
    yield silent


@dataclass(frozen=True)
class FinishedRun:
    """A finished run with its test probabilities.

    Attributes:
        directory: Its files.
        experiment: Its images and its trained model.
        result: The content of `result.json`.
        history: Rows of `history.csv`; None for what an epoch did not measure.
        probabilities: (images, classes), of the test images now.
        working: Opens a bar with a label, for work that takes long.
    """

    directory: RunFiles
    experiment: Experiment
    result: dict[str, Any]
    history: list[dict[str, float | None]]
    probabilities: np.ndarray
    working: Working = unseen

    @property
    def labels(self) -> np.ndarray:
        """(images,): the true classes of the test images."""
        return self.experiment.test.labels

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.experiment.source.classes

    @property
    def error_now(self) -> float:
        """Top-1 test error in %, of the probabilities."""
        return top_k_error(self.probabilities, self.labels, 1)


def read(path: Path, replicas: int | None = None, working: Working = unseen) -> FinishedRun:
    """Read a finished run and test its network by the protocol of its recipe.

    Raises:
        InputError: If the directory contains no finished run, or a file in it is damaged.
    """
    directory = RunFiles(path).check_finished()
    result, history = directory.result(), directory.history()
    experiment = restore(path, replicas)
    with working("testing") as progress:
        probabilities = errors_of([experiment], progress=progress)["probabilities"]
    return FinishedRun(directory, experiment, result, history, probabilities, working)
