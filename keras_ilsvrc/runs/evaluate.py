"""Experiments on their test images, by a protocol: probabilities, errors, published errors."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_ilsvrc.data.split import Split
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.evaluation.averages import ensemble
from keras_ilsvrc.evaluation.errors import confidence_interval, top_k_error
from keras_ilsvrc.evaluation.evaluate import evaluate
from keras_ilsvrc.evaluation.protocols import views_of
from keras_ilsvrc.nets.build import load_weights
from keras_ilsvrc.runs.experiment import Experiment, op_rows, set_up, without_optimizer
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.training.cluster import log_stderr
from keras_ilsvrc.training.strategy import mirrored

OnProgress = Callable[[int, int], object]  # of the number of images done, and of all


def silent(done: int, total: int) -> None:
    """Show no progress."""


def restore(
    path: Path, replicas: int | None = None, log: Callable[[str], object] = log_stderr
) -> Experiment:
    """Return the experiment of a finished run, with its trained weights.

    Args:
        path: The directory of the run.
        replicas: As for `training.strategy.mirrored`.
        log: Called with warnings.

    Raises:
        InputError: If the directory contains no finished run, a file in it is damaged, or its
            classes or test images are others now.
    """
    directory = RunFiles(path).check_finished()
    weights = directory.weights()
    experiment = set_up(directory.recipe(), mirrored(replicas), directory.statistics())
    for line in directory.check_images(experiment.identity(["test"]), ["test"]):
        log(line)
    load_weights(without_optimizer(experiment.model), weights)
    return experiment


def probabilities(
    experiment: Experiment,
    split: Split,
    protocol: str,
    scales: Sequence[int] | None = None,
    progress: OnProgress = silent,
) -> np.ndarray:
    """(images, classes), float32: of the images of a split, by a protocol."""
    data = experiment.recipe.data
    parts = experiment.model, split, op_rows(data.eval_ops), experiment.statistics, protocol
    return evaluate(*parts, data.batch_size, experiment.forward, scales, progress)


def errors_of(
    experiments: Sequence[Experiment],
    protocol: str | None = None,
    scales: Sequence[int] | None = None,
    progress: OnProgress = silent,
) -> dict[str, Any]:
    """Errors on the test images, of one net or of several whose probabilities are averaged.

    Args:
        experiments: Of the same data set and classes; its members need not share a net.
        protocol: In place of that of the first recipe.
        scales: In place of the protocol's own.
        progress: Called with the number of images done and of all images, for each network.

    Returns:
        What `result.json` holds of the test, with the `probabilities` behind it.

    Raises:
        InputError: If the nets were not tested on the same images.
    """
    first = experiments[0]
    for other in experiments[1:]:
        if changes := first.identity(["test"]).changes(other.identity(["test"]), ["test"]):
            raise InputError(
                f"{other.title} is tested on other images than {first.title}: "
                f"{'; '.join(changes)}; an ensemble needs runs with one test split"
            )
    expect = first.recipe.expect
    if protocol is None:
        protocol = expect.protocol if expect else "single_view"
        scales = scales or (expect.scales if expect else None)
    found = ensemble(probabilities(x, x.test, protocol, scales, progress) for x in experiments)
    labels = first.test.labels
    few = found.shape[1] <= 5
    errors = {k: None if k == 5 and few else top_k_error(found, labels, k) for k in (1, 5)}
    result: dict[str, Any] = {"net": " + ".join(experiment.net.name for experiment in experiments)}
    for k, error in errors.items():
        result[f"top{k}_error"] = None if error is None else round(error, 4)
    for k, error in errors.items():
        ends = None if error is None else confidence_interval(error, len(labels))
        result[f"top{k}_interval"] = ends and [round(end, 4) for end in ends]
    return result | {
        "protocol": protocol,
        "views": views_of(protocol),
        "images": len(labels),
        "replicas": first.strategy.num_replicas_in_sync,
        "expected": _expected(experiments, protocol),
        "probabilities": found,
    }


def _expected(experiments: Sequence[Experiment], protocol: str) -> dict[str, Any] | None:
    """What the recipe of a single net expects by this protocol, or what its paper published."""
    if len(experiments) > 1:
        return None
    recipe, net = experiments[0].recipe, experiments[0].net
    expect = recipe.expect
    if expect is None:
        return None
    if expect.protocol == protocol:
        said = "measured" if expect.measured else "published"
        return {"by": said, "top1_error": expect.top1_error, "top5_error": expect.top5_error}
    if not expect.measured and net.top1_error is not None:  # on the images of the paper
        errors = {"top1_error": net.top1_error, "top5_error": net.top5_error}
        return {"by": f"published, {net.protocol}", **errors}
    return None
