"""The only place where a recipe becomes objects: trained, tested, and kept in a directory."""

import contextlib
import errno
import os
import platform
import shutil
import time
from typing import Any

import keras
import tensorflow as tf

from keras_ilsvrc.data.apply import device_ops
from keras_ilsvrc.data.pipeline import names_of_step, naming_the_file, training_batches
from keras_ilsvrc.data.progress import bar
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.evaluation.baseline import svm
from keras_ilsvrc.evaluation.errors import cross_entropy, top_k_error
from keras_ilsvrc.machine import HERE, Machine
from keras_ilsvrc.rundir import CHECKPOINTS, EPOCHS, TENSORBOARD, RunDirectory
from keras_ilsvrc.stage import (
    WEIGHTS,
    make_update,
    op_rows,
    set_initial,
    set_stage,
    without_optimizer,
)
from keras_ilsvrc.tables import Recipe
from keras_ilsvrc.testing import errors_of, probabilities
from keras_ilsvrc.training.callbacks import ProgressBar, Redraw, Validation
from keras_ilsvrc.training.checkpoint import Checkpoints
from keras_ilsvrc.training.records import History, KeptWeights, Summaries
from keras_ilsvrc.training.replicas import as_tested, workers_of
from keras_ilsvrc.training.schedules import Plateau
from keras_ilsvrc.training.stopping import StopRequest
from keras_ilsvrc.training.strategy import mirrored, multi_worker
from keras_ilsvrc.training.trainer import NEVER, Trainer
from keras_ilsvrc.visualize.pictures import curves, doubtful, least_sure

OVERHEAD = 4096  # bytes of a file for each array in it, at most
BASELINES = {"svm": svm}


def train(
    recipe: Recipe, directory: RunDirectory | None, machine: Machine = HERE
) -> dict[str, Any]:
    """Trains and tests a recipe, from where its directory's checkpoints end.

    Args:
        recipe: As loaded.
        directory: Where the run is kept; it takes what is there, or leaves nothing on an error.
            None on a worker that is not the chief.
        machine: How it is trained here.

    Returns:
        What `result.json` holds.

    Raises:
        InputError: If a name in the recipe is unknown, or the images do not fit the net.
        Stopped: By SIGTERM or SIGINT.
        Diverged: If gradients are not finite, again and again.
        LostWorker: If another worker is gone.
    """
    if machine.cluster is None:
        return _train(recipe, directory, machine, mirrored(machine.replicas))
    with multi_worker(machine.cluster, machine.deadline) as strategy:
        return _train(recipe, directory, machine, strategy)


def _train(recipe, directory, machine, strategy):
    started = time.perf_counter()
    stage = set_stage(recipe, strategy, directory and directory.statistics())
    _check_baseline(stage)
    with stage.strategy.scope():
        update = make_update(stage, machine.xla)
    with directory or contextlib.nullcontext() as path, StopRequest() as stop:
        if directory:
            directory.keep_statistics(stage.statistics)
        history = _fit(stage, update, path, machine, stop)
        with as_tested(update), bar("testing", directory is not None) as tell:
            result = errors_of([stage], tell=tell)
            if directory:
                _write_weights(stage.model, path / WEIGHTS)
                directory.flush(WEIGHTS)
        result["seconds"] = round(time.perf_counter() - started, 1)
        if directory:
            _draw(stage, path, history, result)
        del result["probabilities"]
        if directory:
            result |= _baseline(stage) | {
                "left_out": stage.left_out.listed() if stage.left_out else [],
                "overrides": list(directory.overrides),
                "xla": machine.xla,
                "versions": versions(),
            }
            directory.finish(result)
    return result


def versions() -> dict[str, str]:
    """What the figures of a run depend on."""
    from importlib.metadata import version

    return {
        "keras_ilsvrc": version("keras_ilsvrc"),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
    }


def _fit(stage, update, path, machine, stop):
    recipe = stage.recipe
    batch, total = recipe.data.batch_size, recipe.schedule.steps
    per_epoch = -(-len(stage.train) // batch)
    progress = ProgressBar(total, per_epoch, batch, shown=path is not None)
    history = History(path and path / "history.csv", batch, progress.tell)
    redraw = Redraw(
        lambda: path and curves(history.rows, path / "curves.png", stage.title), progress.tell
    )
    callbacks = [history, progress, redraw]
    shown = machine.tensorboard and path
    callbacks.append(Summaries(history, path / TENSORBOARD if shown else None))
    kept, where = recipe.keep_epochs or (), path and path / EPOCHS
    callbacks.append(KeptWeights(kept, lambda to: _save(stage, update, to), where, progress.tell))
    if stage.validation is not None:
        callbacks.insert(0, Validation(lambda: _validate(stage, update, stop)))
    if recipe.schedule.name == "plateau":
        table = recipe.schedule
        callbacks.append(Plateau(table.factor, table.patience, table.times))
    rows = device_ops(op_rows(recipe.data.train_ops))[0]
    left_out = stage.left_out

    def batches(first_step, context):
        parts = stage.train, rows, stage.statistics, batch, recipe.seed, first_step, total, context
        return training_batches(*parts, left_out and left_out.stand_ins())

    trainer = Trainer(
        update,
        batches,
        total,
        per_epoch,
        callbacks,
        Checkpoints(path and path / CHECKPOINTS),
        initial=lambda: set_initial(stage.model, recipe, stage.net),
        steps_per_call=machine.steps_per_call,
        checkpoint_steps=machine.checkpoint_steps,
        stop=stop,
        left_out=left_out,
        describe=lambda step: (
            f"step {step} ({names_of_step(stage.train, batch, recipe.seed, step)})"
        ),
        tell=progress.tell,
    )
    with progress, naming_the_file(stage.train, rows, stage.statistics):
        trainer.train()
    return history.rows


def _save(stage, update, path):
    with as_tested(update):  # all workers together
        if path:
            _write_weights(stage.model, path)


def _write_weights(model, path):
    """Keras' file, unless the disk is too full for it: a process ends badly with half of one."""
    size = sum(weight.numpy().nbytes + OVERHEAD for weight in model.weights)
    if shutil.disk_usage(path.parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    without_optimizer(model).save_weights(path)


def _validate(stage, update, stop):
    if workers_of(stage.strategy)[0] > 1:
        stop = NEVER  # all workers learn of it together, in the next step
    with as_tested(update):
        found = probabilities(stage, stage.validation, "single_view", tell=lambda *_: stop.check())
    labels = stage.validation.labels
    return {
        "loss": cross_entropy(found, labels),
        "error": top_k_error(found, labels, 1),
    }


def _check_baseline(stage):
    if stage.recipe.baseline and stage.train.pixels is None:
        raise InputError(
            f"baseline is {stage.recipe.baseline!r}, which is for images that are held in memory; "
            "leave it out"
        )


def _baseline(stage):
    name = stage.recipe.baseline
    if name is None:
        return {}
    train, test = stage.train, stage.test
    error = BASELINES[name](train.pixels, train.labels, test.pixels, test.labels)
    return {"baseline": {"name": name, "top1_error": round(error, 4)}}


def _draw(stage, path, history, result):
    curves(history, path / "curves.png", stage.title, result["top1_error"])
    chosen = least_sure(result["probabilities"])
    doubtful(
        [stage.test.image(index).numpy() for index in chosen],
        stage.test.labels[chosen],
        result["probabilities"][chosen],
        stage.source.classes,
        path / "doubtful.png",
        f"{stage.title}: the test images it was least sure of",
    )
