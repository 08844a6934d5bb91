"""A stage on its test images, by a protocol: probabilities, errors, and what was published."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_ilsvrc.build import load_weights
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.evaluation.averages import ensemble
from keras_ilsvrc.evaluation.errors import confidence_interval, top_k_error
from keras_ilsvrc.evaluation.evaluate import evaluate
from keras_ilsvrc.evaluation.protocols import views_of
from keras_ilsvrc.recipe import load
from keras_ilsvrc.rundir import RECIPE, STATISTICS, read_statistics
from keras_ilsvrc.stage import WEIGHTS, Stage, op_rows, set_stage, without_optimizer
from keras_ilsvrc.training.strategy import mirrored

Told = Callable[[int, int], object]  # images done, and those to do


def silent(done: int, total: int) -> None:
    """Tells nobody."""


def restore(path: Path, replicas: int | None = None) -> Stage:
    """The stage of a finished run, with its trained weights and its statistics.

    Raises:
        InputError: If the directory holds no finished run.
    """
    for name in (RECIPE, STATISTICS, WEIGHTS):
        if not (path / name).is_file():
            raise InputError(f"{path}: no finished run: {name} is missing")
    stage = set_stage(load(path / RECIPE), mirrored(replicas), read_statistics(path))
    load_weights(without_optimizer(stage.model), path / WEIGHTS)
    return stage


def probabilities(
    stage: Stage,
    split: Split,
    protocol: str,
    scales: Sequence[int] | None = None,
    tell: Told = silent,
) -> np.ndarray:
    """(images, classes), float32: of the images of a split, by a protocol."""
    data = stage.recipe.data
    parts = stage.model, split, op_rows(data.eval_ops), stage.statistics, protocol
    return evaluate(*parts, data.batch_size, stage.forward, scales, tell)


def errors_of(
    stages: Sequence[Stage],
    protocol: str | None = None,
    scales: Sequence[int] | None = None,
    tell: Told = silent,
) -> dict[str, Any]:
    """Errors on the test images, of one net or of several whose probabilities are averaged.

    Args:
        stages: Of the same data set and classes; its members need not share a net.
        protocol: In place of that of the first recipe.
        scales: In place of the protocol's own.
        tell: Told of the images done and those to do, for each net anew.

    Returns:
        What `result.json` holds of the test, with the `probabilities` behind it.

    Raises:
        InputError: If the nets were not tested on the same images.
    """
    first = stages[0]
    for stage in stages[1:]:
        same = np.array_equal(stage.test.labels, first.test.labels)
        if stage.source.classes != first.source.classes or not same:
            raise InputError(
                f"{stage.title} is tested on other images than {first.title}; an ensemble needs "
                "runs of one data set and test split"
            )
    expect = first.recipe.expect
    if protocol is None:
        protocol = expect.protocol if expect else "single_view"
        scales = scales or (expect.scales if expect else None)
    found = ensemble(probabilities(x, x.test, protocol, scales, tell) for x in stages)
    labels = first.test.labels
    few = found.shape[1] <= 5
    errors = {k: None if k == 5 and few else top_k_error(found, labels, k) for k in (1, 5)}
    result: dict[str, Any] = {"net": " + ".join(stage.net.name for stage in stages)}
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
        "expected": _expected(stages, protocol),
        "probabilities": found,
    }


def _expected(stages: Sequence[Stage], protocol: str) -> dict[str, Any] | None:
    """What the recipe of a single net expects by this protocol, or what its paper published."""
    if len(stages) > 1:
        return None
    recipe, net = stages[0].recipe, stages[0].net
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
