"""Finished runs with the class probabilities of their test images, for plots and reports."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_ilsvrc.data.imagenet_names import readable
from keras_ilsvrc.evaluation.errors import top_k_error
from keras_ilsvrc.runs.evaluate import OnProgress, errors_of, restore, silent
from keras_ilsvrc.runs.experiment import Experiment
from keras_ilsvrc.runs.reading import RunFiles

Working = Callable[[str], AbstractContextManager[OnProgress]]


@contextmanager
def unseen(label: str) -> Iterator[OnProgress]:
    """Yield a progress function that does nothing, instead of showing a progress bar."""
    yield silent


@dataclass(frozen=True)
class FinishedRun:
    """Finished run with the class probabilities of its test images.

    Attributes:
        directory: Reader of the files of the run.
        experiment: Images and trained model of the run.
        result: Content of `result.json`.
        history: Rows of `history.csv`; a value that was not measured in an epoch is None.
        probabilities: Class probabilities of the test images, computed now, (images, classes).
        working: Function that takes a label and returns a context manager for a progress bar.
    """

    directory: RunFiles
    experiment: Experiment
    result: dict[str, Any]
    history: list[dict[str, float | None]]
    probabilities: np.ndarray
    working: Working = unseen

    @property
    def labels(self) -> np.ndarray:
        """True class indices of the test images, of shape (images,)."""
        return self.experiment.test.labels

    @property
    def classes(self) -> tuple[str, ...]:
        """Human-readable class names, in the order of the class indices."""
        return tuple(map(readable, self.experiment.source.classes))

    @property
    def has_images(self) -> bool:
        """Whether there are test images; there are none if the dataset cannot be opened."""
        return len(self.labels) > 0

    @property
    def error_now(self) -> float:
        """Top-1 test error in %, from `probabilities`; without images, that of `result.json`."""
        if not self.has_images:
            return self.result["top1_error"]
        return top_k_error(self.probabilities, self.labels, 1)


def read(
    path: Path,
    replicas: int | None = None,
    working: Working = unseen,
    dataset: str | None = None,
) -> FinishedRun:
    """Read a finished run and test its network with the test protocol of its recipe.

    If the recipe's dataset cannot be found, this is logged, and the run has no images.

    Args:
        path: Path of the run directory.
        replicas: Number of replicas, as in `training.strategy.mirrored`.
        working: Function that takes a label and returns a context manager for a progress bar.
        dataset: Dataset to use instead of the recipe's, as in `restore`.

    Raises:
        InputError: If the directory contains no finished run, a file in it is damaged, or the
            dataset does not fit the run.
    """
    directory = RunFiles(path).check_finished()
    result, history = directory.result(), directory.history()
    experiment = restore(path, replicas, dataset=dataset, optional=True)
    probabilities = np.zeros((0, len(experiment.source.classes)), "float32")
    if len(experiment.test):
        with working("testing") as progress:
            probabilities = errors_of([experiment], progress=progress)["probabilities"]
    return FinishedRun(directory, experiment, result, history, probabilities, working)
