"""Training by a recipe: train and test a network, and save it in a run directory."""

import errno
import os
import platform
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_ilsvrc.data.apply import device_ops
from keras_ilsvrc.data.order import indices_of_step
from keras_ilsvrc.data.pipeline import names_of_step, naming_the_file, training_batches
from keras_ilsvrc.errors import InputError, out_of_memory
from keras_ilsvrc.evaluation.baseline import svm
from keras_ilsvrc.evaluation.errors import cross_entropy, top_k_error
from keras_ilsvrc.files import whole
from keras_ilsvrc.recipe.schema import Recipe
from keras_ilsvrc.runs.directory import NoDirectory, RunDirectory
from keras_ilsvrc.runs.evaluate import errors_of, probabilities
from keras_ilsvrc.runs.experiment import (
    Experiment,
    make_update,
    naming_bad_limit,
    op_rows,
    set_up,
    without_optimizer,
)
from keras_ilsvrc.runs.finished import FinishedRun
from keras_ilsvrc.runs.initial import set_initial
from keras_ilsvrc.runs.machine import HERE, Machine
from keras_ilsvrc.runs.pictures import Page, draw, draw_curves
from keras_ilsvrc.runs.reading import (
    CHECKPOINTS,
    CURVES,
    EPOCHS,
    HISTORY,
    RUN,
    TENSORBOARD,
    WEIGHTS,
)
from keras_ilsvrc.terminal.bars import bar
from keras_ilsvrc.training.callbacks import ProgressBar, Redraw, Validation
from keras_ilsvrc.training.checkpoint import Checkpoints
from keras_ilsvrc.training.cluster import log_stderr
from keras_ilsvrc.training.records import History, KeptWeights, Summaries
from keras_ilsvrc.training.replicas import as_tested, workers_of
from keras_ilsvrc.training.schedules import Plateau
from keras_ilsvrc.training.stopping import StopRequest
from keras_ilsvrc.training.strategy import mirrored, multi_worker
from keras_ilsvrc.training.trainer import NEVER, Trainer
from keras_ilsvrc.training.update import Update

OVERHEAD = 4096  # bytes, upper limit of what each array adds to its values in a weight file
BASELINES = {"svm": svm}
ADVICE = "set a smaller data.batch_size, or raise accumulate"


def train(
    recipe: Recipe,
    directory: RunDirectory,
    machine: Machine = HERE,
    overrides: Sequence[str] = (),
    page: Page | None = None,
) -> dict[str, Any]:
    """Train and test the network of a recipe, starting from its last checkpoint if there is one.

    Args:
        recipe: Recipe as loaded.
        directory: Directory of the run; `NoDirectory()` on a worker that is not the chief.
        machine: Settings of this machine.
        overrides: Changes that were made to the recipe, for `result.json`.
        page: Function that writes the HTML report, called after the result is saved.

    Returns:
        The content of `result.json`.

    Raises:
        InputError: If a name in the recipe is unknown, or the images do not fit the network, or
            are not those of the run that is resumed.
        Stopped: If SIGTERM, SIGHUP or SIGINT is received.
        Diverged: If gradients are repeatedly not finite.
        LostWorker: If another worker is lost.
    """
    with directory:
        if machine.cluster is None:
            with out_of_memory(ADVICE):
                strategy = mirrored(machine.replicas)
                return _train(recipe, directory, machine, strategy, overrides, page)
        with multi_worker(machine.cluster, machine.deadline) as strategy, out_of_memory(ADVICE):
            return _train(recipe, directory, machine, strategy, overrides, page)


def _train(
    recipe: Recipe,
    directory: RunDirectory,
    machine: Machine,
    strategy: tf.distribute.Strategy,
    overrides: Sequence[str],
    page: Page | None,
) -> dict[str, Any]:
    started = time.perf_counter()
    experiment = set_up(recipe, strategy, directory.statistics())
    _check_baseline(experiment)
    with strategy.scope():
        update = make_update(experiment, machine.xla)
    if directory.file(RUN):
        for line in directory.begin(experiment.identity()):
            log_stderr(line)
    directory.keep_statistics(experiment.statistics)
    with StopRequest() as stop:
        history = _fit(experiment, update, directory, machine, stop)
    with as_tested(update):
        with StopRequest() as stop:
            result = _test(experiment, directory, stop)
            found = result.pop("probabilities")
            result["seconds"] = round(time.perf_counter() - started, 1)
            if isinstance(directory, NoDirectory):
                return result
            result |= _baseline(experiment) | {
                "left_out": experiment.left_out.listed() if experiment.left_out else [],
                "overrides": list(overrides),
                "xla": machine.xla,
                "versions": versions(),
            }
            directory.finish(result)
        if alone(experiment):
            stop.check()
        draw(FinishedRun(directory, experiment, result, history, found, bar), page)
    return result


def alone(experiment: Experiment) -> bool:
    """Return whether this process is the only worker, which may stop whenever it is asked to."""
    return workers_of(experiment.strategy)[0] == 1


def _test(experiment, directory, stop):
    """Test the network and write its weights; return the errors and probabilities."""
    path = directory.file(WEIGHTS)
    with bar("testing", path is not None) as progress:

        def checked(done, total):
            progress(done, total)
            if alone(experiment):  # several workers must finish the test together
                stop.check()

        result = errors_of([experiment], progress=checked)
    if path:
        with whole(path) as part:
            _write_weights(experiment.model, part)
    return result


def versions() -> dict[str, str]:
    """Return the versions of the software that a run's results depend on."""
    from importlib.metadata import version

    return {
        "keras_ilsvrc": version("keras_ilsvrc"),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
    }


def _fit(
    experiment: Experiment,
    update: Update,
    directory: RunDirectory,
    machine: Machine,
    stop: StopRequest,
) -> list[dict[str, Any]]:
    recipe = experiment.recipe
    batch, total = recipe.data.batch_size, recipe.schedule.steps
    per_epoch = -(-len(experiment.train) // batch)
    writes = directory.file(HISTORY) is not None
    progress_bar = ProgressBar(total, per_epoch, batch, shown=writes)
    history = History(directory.file(HISTORY), batch, progress_bar.log)
    picture, title = directory.file(CURVES), experiment.title

    def redraw():
        if picture:
            draw_curves(history.rows, picture, title)

    callbacks = [history, progress_bar, Redraw(redraw, progress_bar.log)]  # the same on all workers
    events = directory.file(TENSORBOARD) if machine.tensorboard else None
    callbacks.append(Summaries(history, events))
    callbacks.append(
        KeptWeights(
            recipe.keep_epochs or (),
            lambda path: _save(experiment, update, path),
            directory.file(EPOCHS),
            progress_bar.log,
        )
    )
    if experiment.validation is not None:
        callbacks.insert(0, Validation(lambda: _validate(experiment, update, stop)))
    if recipe.schedule.name == "plateau":
        table = recipe.schedule
        callbacks.append(Plateau(table.factor, table.patience, table.times))
    rows = device_ops(op_rows(recipe.data.train_ops))[0]
    left_out = experiment.left_out

    def batches(first_step, context):
        return training_batches(
            experiment.train,
            rows,
            experiment.statistics,
            batch,
            recipe.seed,
            first_step,
            total,
            context,
            left_out and left_out.stand_ins(),
        )

    trainer = Trainer(
        update,
        batches,
        total,
        per_epoch,
        callbacks,
        Checkpoints(directory.file(CHECKPOINTS), directory.owner),
        initial=lambda: set_initial(experiment.model, recipe, experiment.net),
        steps_per_call=machine.steps_per_call,
        checkpoint_steps=machine.checkpoint_steps,
        stop=stop,
        left_out=left_out,
        describe=lambda step: (
            f"step {step} ({names_of_step(experiment.train, batch, recipe.seed, step)})"
        ),
        log=progress_bar.log,
    )

    def failed():
        size, count = len(experiment.train), machine.steps_per_call
        return indices_of_step(size, batch, recipe.seed, trainer.step, count)

    with (
        progress_bar,
        naming_bad_limit(recipe.data.bad_limit, lambda: left_out.listed() if left_out else ()),
        naming_the_file(experiment.train, rows, experiment.statistics, failed),
    ):
        trainer.train()
    return history.rows


def _save(experiment, update, path):
    with as_tested(update):  # collective, so called on every worker
        if path:
            _write_weights(experiment.model, path)


def _write_weights(model: keras.Model, path: Path) -> None:
    """Save weights, unless the disk is too full: a partial file prevents a clean exit."""
    size = sum(weight.numpy().nbytes + OVERHEAD for weight in model.weights)
    if shutil.disk_usage(path.parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    without_optimizer(model).save_weights(path)


def _validate(experiment, update, stop):
    if not alone(experiment):
        stop = NEVER  # all workers learn of a signal together, in the next step
    with as_tested(update):
        found = probabilities(
            experiment, experiment.validation, "single_view", progress=lambda *_: stop.check()
        )
    labels = experiment.validation.labels
    return {
        "loss": cross_entropy(found, labels),
        "error": top_k_error(found, labels, 1),
    }


def _check_baseline(experiment):
    if experiment.recipe.baseline and experiment.train.pixels is None:
        raise InputError(
            f"baseline is {experiment.recipe.baseline!r}, which needs a dataset that is kept in "
            "memory; leave baseline out"
        )


def _baseline(experiment):
    name = experiment.recipe.baseline
    if name is None:
        return {}
    train, test = experiment.train, experiment.test
    error = BASELINES[name](train.pixels, train.labels, test.pixels, test.labels)
    return {"baseline": {"name": name, "top1_error": round(error, 4)}}
