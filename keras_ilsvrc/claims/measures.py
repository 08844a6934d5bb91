"""What is measured of the runs of a claim. Importing this module needs no Keras."""

import math
import statistics
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_ilsvrc.runs.reading import Rows, RunFiles

if TYPE_CHECKING:
    from keras_ilsvrc.runs.experiment import Experiment

SOME = 2000  # number of training images on which the error without dropout is measured
LEVEL = "steps_to_error"  # the measure that needs a level
GRADIENTS = "watch gradients"
EARLY = 50  # steps at the start of training over which gradients are averaged, as by CNDS's authors


class Trained:
    """Finished run of an arm, and what measures read of it.

    Args:
        path: Run directory.
        at: Level of `steps_to_error`, in %.
        test: Test protocol, as {"protocol": name, "scales": [...]}; None for that of the run.
    """

    def __init__(self, path: Path, at: float | None = None, test: Mapping[str, Any] | None = None):
        self.run, self.at, self.test = RunFiles(path), at, test

    @cached_property
    def history(self) -> Rows:
        return self.run.history()

    @cached_property
    def result(self) -> dict[str, Any]:
        return self.run.result()

    @cached_property
    def flow(self) -> list[dict[str, Any]]:
        """Rows of `gradients.csv`, in order of steps and layers."""
        return self.run.gradients()

    @cached_property
    def experiment(self) -> "Experiment":
        from keras_ilsvrc.runs.evaluate import restore

        return restore(self.run.path)

    @cached_property
    def error_on_training_images(self) -> float:
        """Top-1 error in % on some training images, in inference mode and without augmentation."""
        from keras_ilsvrc.evaluation.errors import top_k_error
        from keras_ilsvrc.runs.evaluate import probabilities

        split = self.experiment.train
        some = split[:: max(1, len(split) // SOME)]
        return top_k_error(probabilities(self.experiment, some, "single_view"), some.labels, 1)

    def last(self, column: str) -> float:
        """Return the value of a column of `history.csv` in the epoch whose weights are tested."""
        kept = self.result.get("kept_epoch", len(self.history))
        value = self.history[int(kept) - 1][column]
        return math.nan if value is None else value

    def median(self, column: str) -> float:
        values = [x for row in self.history if (x := row[column]) is not None]
        return statistics.median(values) if values else math.nan


class Measure(NamedTuple):
    """One measure of a run: its words, its unit, and the function that returns it.

    `ratio` says that two values are compared by their ratio, not by their difference. `chance` says
    that a run that diverged counts as one that answers at random. `needs` is a key that the recipe
    must have, and perhaps what its list must contain.
    """

    words: str
    unit: str
    of: Callable[[Trained], float]
    ratio: bool = False
    chance: bool = False
    needs: str = ""


def steps_to_error(run: Trained) -> float:
    """Return the step at which the training error falls to `at` %, interpolated between epochs.

    A run that does not reach it counts with its last step.
    """
    assert run.at is not None
    before, level = (0.0, 100.0), run.at
    for row in run.history:
        step, error = row["step"], row["error"]
        assert step is not None
        assert error is not None
        if error <= level:
            share = (before[1] - level) / (before[1] - error) if before[1] > error else 1.0
            return before[0] + share * (step - before[0])
        before = step, error
    return before[0]


def test_error(run: Trained) -> float:
    """Return the top-1 error on the test images, by the protocol of the arm."""
    if run.test is None:
        return float(run.result["top1_error"])
    from keras_ilsvrc.runs.evaluate import errors_of

    found = errors_of([run.experiment], run.test["protocol"], run.test.get("scales"))
    return float(found["top1_error"])


def first_gradient(run: Trained) -> float:
    """Return log10 of the mean absolute gradient of the first layer, early in training."""
    early = [row for row in run.flow if row["step"] <= EARLY]
    first = early[0]["layer"]
    values = [row["weight_gradient"] for row in early if row["layer"] == first]
    return math.log10(max(statistics.fmean(values), 1e-30))


def gradient_ratio(run: Trained) -> float:
    """Return log10 of the first layer's mean absolute gradient over the last layer's, early."""
    early = [row for row in run.flow if row["step"] <= EARLY]
    means = [
        statistics.fmean(x["weight_gradient"] for x in early if x["layer"] == layer)
        for layer in (early[0]["layer"], early[-1]["layer"])
    ]
    return math.log10(max(means[0], 1e-30) / max(means[1], 1e-30))


def response(run: Trained) -> float:
    """Return the standard deviation of the responses at the end, mean over the layers."""
    last = run.flow[-1]["step"]
    return statistics.fmean(row["response"] for row in run.flow if row["step"] == last)


def dead_filters(run: Trained) -> float:
    """Return the share of dead or duplicate filters of the first layer, in %."""
    from keras_ilsvrc.data.pipeline import evaluation_batches
    from keras_ilsvrc.visualize.health import health

    experiment = run.experiment
    size = experiment.recipe.data.batch_size
    batches = evaluation_batches(experiment.test, experiment.eval_rows, experiment.statistics, size)
    first = health(experiment.model, list(batches.take(8)))[0]
    return 100 * ((first.dead or 0) + (first.duplicates or 0)) / first.filters


MEASURES = {
    "training_error": Measure("training error", "%", lambda run: run.last("error"), chance=True),
    "training_loss": Measure("training loss", "nats", lambda run: run.last("loss")),
    "validation_error": Measure(
        "validation error",
        "%",
        lambda run: run.last("validation_error"),
        chance=True,
        needs="data.validation",
    ),
    "test_error": Measure("test error", "%", test_error, chance=True),
    "gap": Measure(
        "test error minus error on training images",
        "points",
        lambda run: test_error(run) - run.error_on_training_images,
    ),
    "steps_to_error": Measure("steps to the level", "steps", steps_to_error, ratio=True),
    "first_gradient": Measure(
        "gradient of the first layer", "log10", first_gradient, needs=GRADIENTS
    ),
    "gradient_ratio": Measure(
        "gradient, first to last layer", "log10", gradient_ratio, needs=GRADIENTS
    ),
    "response": Measure(
        "deviation of responses", "", response, ratio=True, needs="watch responses"
    ),
    "dead_filters": Measure("dead or duplicate first filters", "%", dead_filters),
    "images_per_second": Measure(
        "speed of training", "images/s", lambda run: run.median("images_per_second"), ratio=True
    ),
    "input_wait": Measure(
        "share of a step spent waiting for images", "%", lambda run: 100 * run.median("input_wait")
    ),
}
