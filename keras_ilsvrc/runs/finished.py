"""Finished runs with the class probabilities of their test images, for plots and HTML reports."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_ilsvrc.data.source import Source
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.evaluation.errors import top_k_error
from keras_ilsvrc.nets import info
from keras_ilsvrc.runs.evaluate import OnProgress, errors_of, restore, silent
from keras_ilsvrc.runs.experiment import Experiment, NoImages
from keras_ilsvrc.runs.loaded import trained_model
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.training.cluster import log_stderr
from keras_ilsvrc.training.forward import Forward
from keras_ilsvrc.training.strategy import mirrored

Working = Callable[[str], AbstractContextManager[OnProgress]]


@contextmanager
def unseen(label: str) -> Iterator[OnProgress]:
    """Yield a progress function that does nothing, instead of showing a progress bar."""
    yield silent


@dataclass(frozen=True)
class FinishedRun:
    """Finished run with the class probabilities of its test images.

    Attributes:
        directory: Files of the run.
        experiment: Images and trained model of the run.
        result: Content of `result.json`.
        history: Rows of `history.csv`; a value that was not measured in an epoch is None.
        probabilities: Class probabilities of the current test images, (images, classes).
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
        """Names of the classes, in the order of their indices."""
        return self.experiment.source.classes

    @property
    def has_images(self) -> bool:
        """Whether the test images can be used; False if the data set is gone."""
        return len(self.labels) > 0

    @property
    def error_now(self) -> float:
        """Top-1 test error in %, computed from `probabilities`, or recorded if there are none."""
        if not self.has_images:
            return self.result["top1_error"]
        return top_k_error(self.probabilities, self.labels, 1)


def read(
    path: Path,
    replicas: int | None = None,
    working: Working = unseen,
    dataset: str | None = None,
    log: Callable[[str], object] = log_stderr,
) -> FinishedRun:
    """Read a finished run and test its network with the test protocol of its recipe.

    If the data set of the recipe cannot be opened, the run is returned without images.

    Args:
        path: Path of the run directory.
        replicas: Number of replicas, as in `training.strategy.mirrored`.
        working: Function of a label that returns a context manager for a progress bar.
        dataset: Source to use instead of the one in the recipe.
        log: Function called with each warning.

    Raises:
        InputError: If the directory contains no finished run, a file in it is damaged, or
            `dataset` cannot be opened.
    """
    directory = RunFiles(path).check_finished()
    result, history = directory.result(), directory.history()
    try:
        experiment = restore(path, replicas, log, dataset)
    except NoImages as error:
        if dataset is not None:
            raise
        log(f"without images: {error}")
        experiment = _without_images(directory)
        none = np.zeros((0, len(directory.identity.classes)), "float32")
        return FinishedRun(directory, experiment, result, history, none, working)
    with working("testing") as progress:
        probabilities = errors_of([experiment], progress=progress)["probabilities"]
    return FinishedRun(directory, experiment, result, history, probabilities, working)


def _without_images(directory: RunFiles) -> Experiment:
    """Return the experiment of a finished run with empty splits."""
    recipe, none, strategy = directory.recipe(), Split(np.zeros(0, "int32")), mirrored(1)
    return Experiment(
        recipe=recipe,
        net=info(recipe.net, **recipe.build.variations),
        strategy=strategy,
        source=Source(recipe.data.dataset, {}, tuple(directory.identity.classes)),
        train=none,
        validation=None,
        test=none,
        statistics=directory.statistics() or {},
        left_out=None,
        model=trained_model(directory),
        forward=Forward(strategy),
    )
