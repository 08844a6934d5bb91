"""The only place where a recipe becomes objects: trained, tested, and kept in a directory."""

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.build import build, load_weights
from keras_ilsvrc.data.pipeline import (
    evaluation_batches,
    measure_statistics,
    naming_the_file,
    training_batches,
)
from keras_ilsvrc.data.sources import Source, Split, open_source
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.evaluation.baseline import svm
from keras_ilsvrc.evaluation.errors import cross_entropy, top_k_error
from keras_ilsvrc.evaluation.single_view import single_view
from keras_ilsvrc.layers.graph import synchronize
from keras_ilsvrc.nets import info
from keras_ilsvrc.nets.registry import Net
from keras_ilsvrc.recipe import Recipe, load
from keras_ilsvrc.rundir import RunDirectory
from keras_ilsvrc.training import initial
from keras_ilsvrc.training.callbacks import AverageStatistics, History, ProgressBar, Validation
from keras_ilsvrc.training.optimizers import SGD
from keras_ilsvrc.training.schedules import steps
from keras_ilsvrc.training.strategy import mirrored
from keras_ilsvrc.training.trainer import compile_model
from keras_ilsvrc.training.trainer import train as take_steps
from keras_ilsvrc.visualize.pictures import curves, doubtful, least_sure

PROTOCOLS = {"single_view": single_view}
OPTIMIZERS = {"sgd": SGD}
SCHEDULES = {"steps": steps}
BASELINES = {"svm": svm}


@dataclass
class Stage:
    """A recipe with its names resolved: a strategy, the images, the model."""

    recipe: Recipe
    net: Net
    strategy: tf.distribute.Strategy
    source: Source
    train: Split
    validation: Split | None
    test: Split
    statistics: dict[str, np.ndarray]
    model: keras.Model


def train(recipe: Recipe, directory: RunDirectory, replicas: int | None = None) -> dict[str, Any]:
    """Trains and tests a recipe.

    Args:
        recipe: As loaded.
        directory: Where the run is kept; it takes what is there, or leaves nothing on an error.
        replicas: As for `training.strategy.mirrored`.

    Returns:
        What `result.json` holds.

    Raises:
        InputError: If a name in the recipe is unknown, or the images do not fit the net.
    """
    started = time.perf_counter()
    stage = set_stage(recipe, replicas)
    with stage.strategy.scope():
        _set_initial(stage.model, recipe, stage.net)
    baseline = _baseline(stage)
    with directory as path:
        (path / "recipe.toml").write_text(recipe.toml(), encoding="utf-8")
        np.savez(path / "statistics.npz", **stage.statistics)  # type: ignore[arg-type]
        history = _fit(stage, path)
        result = evaluate(stage)
        _without_optimizer(stage.model).save_weights(path / "final.weights.h5")
        result |= baseline | {
            "seconds": round(time.perf_counter() - started, 1),
            "overrides": list(directory.overrides),
            "versions": versions(),
        }
        _draw(stage, path, history, result)
        del result["probabilities"]
        directory.finish(result)
    return result


def restore(path: Path, replicas: int | None = None) -> Stage:
    """The stage of a finished run, with its trained weights and its statistics.

    Raises:
        InputError: If the directory holds no finished run.
    """
    for name in ("recipe.toml", "statistics.npz", "final.weights.h5"):
        if not (path / name).is_file():
            raise InputError(f"{path}: no finished run: {name} is missing")
    with np.load(path / "statistics.npz", allow_pickle=False) as file:
        statistics = dict(file)
    stage = set_stage(load(path / "recipe.toml"), replicas, statistics)
    load_weights(_without_optimizer(stage.model), path / "final.weights.h5")
    return stage


def set_stage(
    recipe: Recipe, replicas: int | None = None, statistics: dict[str, np.ndarray] | None = None
) -> Stage:
    """Resolves the names of a recipe but `initial`; measures statistics unless they are given."""
    row = info(recipe.net, **recipe.build.variations)
    strategy = mirrored(replicas)
    replicas = strategy.num_replicas_in_sync
    if recipe.data.batch_size % replicas:
        raise InputError(
            f"data.batch_size is {recipe.data.batch_size}, which {replicas} replicas cannot share "
            "evenly"
        )
    keras.utils.set_random_seed(recipe.seed)
    shape = tuple(recipe.build.input_shape or row.input_shape)
    source = open_source(recipe.data.dataset, channels=shape[-1])
    classes = recipe.build.classes or row.classes
    if classes != len(source.classes):
        raise InputError(
            f"build.classes is {classes}, but {source.name} has {len(source.classes)} classes"
        )
    data = recipe.data
    train = source.split(data.train)
    validation = None if data.validation is None else source.split(data.validation)
    test = source.split(data.test)
    if statistics is None:
        with naming_the_file(train, _rows(data.train_ops)):
            statistics = measure_statistics(train, _rows(data.train_ops))
    with strategy.scope():
        model = build(recipe.net, **recipe.build.model_dump(exclude_none=True))
        synchronize(model, replicas > 1 and recipe.batch_norm.statistics == "synchronized")
        optimizer = OPTIMIZERS[recipe.optimizer.name](
            SCHEDULES[recipe.schedule.name](recipe.schedule.learning_rate),
            **recipe.optimizer.model_dump(exclude={"name"}),
        )
        compile_model(model, optimizer, recipe.loss.weights)
    stage = Stage(recipe, row, strategy, source, train, validation, test, statistics, model)
    _check_shapes(stage, shape)
    return stage


def evaluate(stage: Stage) -> dict[str, Any]:
    """Errors on the test split by the recipe's protocol, with the `probabilities` behind them."""
    expect = stage.recipe.expect
    protocol = expect.protocol if expect else "single_view"
    probabilities = _probabilities(stage, stage.test, protocol)
    labels = stage.test.labels
    few = probabilities.shape[1] <= 5
    return {
        "net": stage.net.name,
        "top1_error": round(top_k_error(probabilities, labels, 1), 4),
        "top5_error": None if few else round(top_k_error(probabilities, labels, 5), 4),
        "protocol": protocol,
        "images": len(labels),
        "replicas": stage.strategy.num_replicas_in_sync,
        "probabilities": probabilities,
    }


def versions() -> dict[str, str]:
    """What the figures of a run depend on."""
    from importlib.metadata import version

    return {
        "keras_ilsvrc": version("keras_ilsvrc"),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
    }


def _without_optimizer(model):
    """The same model and weights, for files that hold nothing else."""
    return keras.Model(model.input, model.output)


def _fit(stage, path):
    recipe = stage.recipe
    batch, total = recipe.data.batch_size, recipe.schedule.steps
    per_epoch = -(-len(stage.train) // batch)
    history = History(path / "history.csv", batch)
    progress = ProgressBar(total, per_epoch, batch)
    callbacks = [history, progress]
    if stage.validation is not None:
        callbacks.insert(0, Validation(lambda model: _validate(stage)))
    if stage.strategy.num_replicas_in_sync > 1 and recipe.batch_norm.statistics == "replica":
        callbacks.insert(0, AverageStatistics())
    rows = _rows(recipe.data.train_ops)
    batches = training_batches(stage.train, rows, stage.statistics, batch, recipe.seed)
    with progress, naming_the_file(stage.train, rows, stage.statistics):
        take_steps(stage.model, batches, total, per_epoch, callbacks)
    return history.rows


def _validate(stage):
    probabilities = _probabilities(stage, stage.validation, "single_view")
    labels = stage.validation.labels
    return {
        "loss": cross_entropy(probabilities, labels),
        "error": top_k_error(probabilities, labels, 1),
    }


def _probabilities(stage, split, protocol):
    data = stage.recipe.data
    rows = _rows(data.eval_ops)
    batches = evaluation_batches(split, rows, stage.statistics, data.batch_size)
    with naming_the_file(split, rows, stage.statistics):
        return PROTOCOLS[protocol](stage.model, batches, len(split))


def _rows(ops) -> Sequence[dict]:
    return [op.model_dump() for op in ops]


def _set_initial(model, recipe, row):
    """`initial` of the recipe: the paper's values, a general rule, or a file of weights."""
    if recipe.initial == "paper":
        module = import_module(f"keras_ilsvrc.nets.{row.builder.split(':')[0]}")
        table = getattr(module, "INITIAL", None)
        if table is None:
            raise InputError(
                f"initial is 'paper', but the paper of {row.name} gives no initial values; "
                "use 'he' or 'glorot'"
            )
        initial.set_initial_values(model, table, recipe.seed)
    elif recipe.initial in initial.RULES:
        initial.set_initial_values(model, initial.RULES[recipe.initial], recipe.seed)
    else:
        path = Path(recipe.initial)
        path = path / "final.weights.h5" if path.is_dir() else path
        if not path.is_file():
            raise InputError(
                f"initial is {recipe.initial!r}; expected 'paper', 'he', 'glorot', a run or a "
                ".weights.h5 file"
            )
        load_weights(_without_optimizer(model), path)


def _check_shapes(stage, shape):
    """Refuses ops that do not end in the images which the net takes."""
    data = stage.recipe.data
    for key, ops in (("train_ops", data.train_ops), ("eval_ops", data.eval_ops)):
        batches = evaluation_batches(stage.train, _rows(ops), stage.statistics, data.batch_size)
        made = batches.element_spec.shape[1:]
        if not made.is_fully_defined() or tuple(made) != shape:
            made = "x".join(str(size or "?") for size in made)
            raise InputError(
                f"data.{key} make images of {made}, but the net takes "
                f"{'x'.join(map(str, shape))}; resize or crop them, or set build.input_shape"
            )


def _baseline(stage):
    name = stage.recipe.baseline
    if name is None:
        return {}
    if stage.train.pixels is None:
        raise InputError(f"baseline is {name!r}, which is for digits; leave it out")
    train, test = stage.train, stage.test
    error = BASELINES[name](train.pixels, train.labels, test.pixels, test.labels)
    return {"baseline": {"name": name, "top1_error": round(error, 4)}}


def _draw(stage, path, history, result):
    title = f"{result['net']} on {stage.source.name}"
    curves(history, path / "curves.png", title, result["top1_error"])
    chosen = least_sure(result["probabilities"])
    doubtful(
        [stage.test.image(index).numpy() for index in chosen],
        stage.test.labels[chosen],
        result["probabilities"][chosen],
        stage.source.classes,
        path / "doubtful.png",
        f"{title}: the test images it was least sure of",
    )
