"""Measures of the runs of a claim. This module does not import Keras."""

import math
import statistics
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_ilsvrc.runs.reading import Rows, RunFiles

if TYPE_CHECKING:
    from keras_ilsvrc.runs.experiment import Experiment

LEAST = 2000  # minimum number of training images for the error without dropout, if there are more
LEVEL = "steps_to_error"  # measure that needs the key `at` of the claim
GRADIENTS = "watch gradients"
EARLY = 50  # number of first steps over which gradients are averaged, as by the authors of CNDS


class Trained:
    """Finished run of an arm, with the data that the measures use.

    Args:
        path: Run directory.
        at: Training error for the measure `steps_to_error`, in %.
        test: Test protocol, as {"protocol": name, "scales": [...]}; None for the protocol in the
            recipe.
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
        """Top-1 error in % on some of the training images, without augmentation or dropout."""
        from keras_ilsvrc.evaluation.errors import top_k_error
        from keras_ilsvrc.runs.evaluate import probabilities

        split = self.experiment.train
        subset = split[:: max(1, len(split) // LEAST)]
        return top_k_error(probabilities(self.experiment, subset, "single_view"), subset.labels, 1)

    def last(self, column: str) -> float:
        """Return the value of a column of `history.csv` in the epoch whose weights are tested."""
        kept = self.result.get("kept_epoch", len(self.history))
        value = self.history[int(kept) - 1][column]
        return math.nan if value is None else value

    def median(self, column: str) -> float:
        values = [x for row in self.history if (x := row[column]) is not None]
        return statistics.median(values) if values else math.nan


class Measure(NamedTuple):
    """Measure of a run.

    Attributes:
        words: Description in sentences and on plots.
        unit: Unit; empty if there is none.
        of: Function that returns the value for a run.
        ratio: Whether two arms are compared by the ratio of their values, not the difference.
        chance: Whether a run that diverged counts as one that guesses at random.
        needs: Key that the recipe must have, and optionally an item that must be in its list, for
            example "watch gradients"; empty if no key is needed.
    """

    words: str
    unit: str
    of: Callable[[Trained], float]
    ratio: bool = False
    chance: bool = False
    needs: str = ""


def steps_to_error(run: Trained) -> float:
    """Return the step at which the training error falls to `at` %, interpolated between epochs.

    If the training error does not fall that far, return the number of the last step.
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
    """Return the top-1 error in % on the test images, with the test protocol of the arm."""
    if run.test is None:
        return float(run.result["top1_error"])
    from keras_ilsvrc.runs.evaluate import errors_of

    found = errors_of([run.experiment], run.test["protocol"], run.test.get("scales"))
    return float(found["top1_error"])


def first_gradient(run: Trained) -> float:
    """Return log10 of the mean absolute gradient of the first layer over the first 50 steps."""
    early = [row for row in run.flow if row["step"] <= EARLY]
    first = early[0]["layer"]
    values = [row["weight_gradient"] for row in early if row["layer"] == first]
    return math.log10(max(statistics.fmean(values), 1e-30))


def gradient_ratio(run: Trained) -> float:
    """Return log10 of the ratio of mean absolute gradients, first layer to last, over 50 steps."""
    early = [row for row in run.flow if row["step"] <= EARLY]
    means = [
        statistics.fmean(x["weight_gradient"] for x in early if x["layer"] == layer)
        for layer in (early[0]["layer"], early[-1]["layer"])
    ]
    return math.log10(max(means[0], 1e-30) / max(means[1], 1e-30))


def response(run: Trained) -> float:
    """Return the standard deviation of responses at the end of training, averaged over layers."""
    last = run.flow[-1]["step"]
    return statistics.fmean(row["response"] for row in run.flow if row["step"] == last)


def dead_filters(run: Trained) -> float:
    """Return the percentage of filters of the first layer that are dead or duplicates."""
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
    "steps_to_error": Measure("steps to the target error", "steps", steps_to_error, ratio=True),
    "first_gradient": Measure(
        "log10 of the mean gradient of the first layer", "", first_gradient, needs=GRADIENTS
    ),
    "gradient_ratio": Measure(
        "log10 of the gradient ratio, first layer to last", "", gradient_ratio, needs=GRADIENTS
    ),
    "response": Measure(
        "standard deviation of responses", "", response, ratio=True, needs="watch responses"
    ),
    "dead_filters": Measure("dead or duplicate filters of the first layer", "%", dead_filters),
    "images_per_second": Measure(
        "training speed", "images/s", lambda run: run.median("images_per_second"), ratio=True
    ),
    "input_wait": Measure(
        "share of a step spent waiting for images", "%", lambda run: 100 * run.median("input_wait")
    ),
}
