"""Class probabilities and test errors of trained networks, measured with a test protocol."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_ilsvrc.data.fingerprint import same_content
from keras_ilsvrc.data.source import Source
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.evaluation.averages import ensemble
from keras_ilsvrc.evaluation.errors import confidence_interval, top_k_error
from keras_ilsvrc.evaluation.evaluate import evaluate
from keras_ilsvrc.evaluation.protocols import views_of
from keras_ilsvrc.nets import info
from keras_ilsvrc.nets.loading import load_weights, without_optimizer
from keras_ilsvrc.runs.experiment import Experiment, NoImages, set_up
from keras_ilsvrc.runs.loaded import trained_model
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.training.cluster import log_stderr
from keras_ilsvrc.training.forward import Forward
from keras_ilsvrc.training.strategy import mirrored
from keras_ilsvrc.utils.errors import InputError

ELSEWHERE = "if the images were moved, pass {} SOURCE"
OnProgress = Callable[[int, int], object]  # called with (number of images done, total number)


def silent(done: int, total: int) -> None:
    """Do nothing. This is the default progress function."""


def restore(
    path: Path,
    replicas: int | None = None,
    log: Callable[[str], object] = log_stderr,
    dataset: str | None = None,
    optional: bool = False,
    option: str = "--data",
) -> Experiment:
    """Reopen the images of a finished run, and rebuild its model with the trained weights.

    Args:
        path: Path of the run directory.
        replicas: Number of replicas, as in `training.strategy.mirrored`.
        log: Function called with each warning.
        dataset: Dataset to use instead of the recipe's, with the same classes. If its images
            differ from those of the run, this is logged, but is not an error.
        optional: Whether to continue without images if the recipe's dataset cannot be found.
        option: Option of the command for another dataset, which messages name.

    Raises:
        InputError: If the directory contains no finished run, a file in it is damaged, the dataset
            cannot be opened, or the classes or test images have changed.
    """
    directory = RunFiles(path).check_finished()
    recipe, weights = directory.recipe(), directory.weights()
    try:
        experiment = set_up(recipe, mirrored(replicas), directory.statistics(), dataset)
    except NoImages as error:
        if dataset is not None:
            raise
        if not optional:
            raise InputError(f"{error}; {ELSEWHERE.format(option)}") from error
        log(f"continuing without images: {error}; {ELSEWHERE.format(option)}")
        return without_images(path)
    now = experiment.identity(["test"])
    for line in directory.check_images(now, ["test"], dataset is not None):
        log(line)
    load_weights(without_optimizer(experiment.model), weights)
    return experiment


def without_images(path: Path) -> Experiment:
    """Rebuild the model of a finished run without opening its dataset; all splits are empty."""
    directory = RunFiles(path).check_finished()
    recipe, empty, strategy = directory.recipe(), Split(np.zeros(0, "int32")), mirrored(1)
    return Experiment(
        recipe=recipe,
        net=info(recipe.net, **recipe.build.variations),
        strategy=strategy,
        source=Source(recipe.data.dataset, {}, tuple(directory.identity.classes)),
        train=empty,
        validation=None,
        test=empty,
        statistics=directory.statistics() or {},
        left_out=None,
        model=trained_model(directory),
        forward=Forward(strategy),
    )


def probabilities(
    experiment: Experiment,
    split: Split,
    protocol: str,
    scales: Sequence[int] | None = None,
    progress: OnProgress = silent,
) -> np.ndarray:
    """Return the class probabilities of a split's images: (images, classes), float32."""
    return evaluate(
        experiment.model,
        split,
        experiment.eval_rows,
        experiment.statistics,
        protocol,
        experiment.recipe.data.batch_size,
        experiment.forward,
        scales,
        progress,
    )


def errors_of(
    experiments: Sequence[Experiment],
    protocol: str | None = None,
    scales: Sequence[int] | None = None,
    progress: OnProgress = silent,
) -> dict[str, Any]:
    """Return the test errors of a network, or of an ensemble that averages class probabilities.

    Args:
        experiments: Experiments with the same test images; their networks may differ.
        protocol: Test protocol; None for that of the first recipe, or "single_view" if it has none.
        scales: Lengths in pixels to which the shorter side of each image is resized; None for the
            scales of the protocol. If `protocol` is None too, those of the recipe come first.
        progress: Function called after each step with the number of images done and the total.
            The number starts at 0 for each network.

    Returns:
        Entries of `result.json` about the test, and the entry `probabilities`: the class
        probabilities from which the errors were computed.

    Raises:
        InputError: If the test images of the experiments differ.
    """
    first = experiments[0]
    for other in experiments[1:]:
        _check_same_images(first, other)
    expect = first.recipe.expect
    if protocol is None:
        protocol = expect.protocol if expect else "single_view"
        scales = scales or (expect.scales if expect else None)
    found = ensemble(probabilities(x, x.test, protocol, scales, progress) for x in experiments)
    return {
        "net": " + ".join(experiment.net.name for experiment in experiments),
        **_errors(found, first.test.labels),
        "protocol": protocol,
        "views": views_of(protocol),
        "images": len(first.test),
        "replicas": first.strategy.num_replicas_in_sync,
        "expected": _expected(experiments, protocol),
        "probabilities": found,
    }


def _check_same_images(first: Experiment, other: Experiment) -> None:
    """Raise InputError unless two experiments have the same test images."""
    own, its = (x.identity(["test"]) for x in (first, other))
    changes = own.changes(its, ["test"])
    if not changes and own.touched(its) and not same_content(first.test, other.test):
        changes = ["files with the same names and sizes contain other images"]
    if changes:
        raise InputError(
            f"{other.title} and {first.title} have different test images: {'; '.join(changes)}; "
            "an ensemble needs runs with the same test split"
        )


def _errors(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return the top-1 and top-5 errors in %, with confidence intervals.

    The top-5 error is None for five classes or fewer.
    """
    few = probabilities.shape[1] <= 5
    errors = {k: None if k == 5 and few else top_k_error(probabilities, labels, k) for k in (1, 5)}
    result: dict[str, Any] = {}
    for k, error in errors.items():
        result[f"top{k}_error"] = None if error is None else round(error, 4)
    for k, error in errors.items():
        ends = None if error is None else confidence_interval(error, len(labels))
        result[f"top{k}_interval"] = ends and [round(end, 4) for end in ends]
    return result


def _expected(experiments: Sequence[Experiment], protocol: str) -> dict[str, Any] | None:
    """Return the expected test errors from the recipe or the paper; None if there are none.

    Those of the recipe are used only with the recipe's own test protocol. An ensemble has no
    expected errors, and neither has a recipe without a table `expect`.
    """
    if len(experiments) > 1:
        return None
    recipe, net = experiments[0].recipe, experiments[0].net
    expect = recipe.expect
    if expect is None or not expect.errors:
        return None
    if expect.protocol == protocol:
        by = "measured in earlier runs" if expect.measured else "published"
        return {"by": by, **expect.errors}
    # If `measured` is not set, the errors are those of the paper, on the same test images.
    if not expect.measured and net.top1_error is not None:
        errors = {"top1_error": net.top1_error, "top5_error": net.top5_error}
        return {"by": f"published, {net.protocol}", **errors}
    return None
