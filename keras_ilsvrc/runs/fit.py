"""Training of a run's model, with its training images, callbacks and checkpoints."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_ilsvrc.data.pipeline import names_of_step, naming_the_file, training_batches
from keras_ilsvrc.evaluation.errors import cross_entropy, squared_error, top_k_error
from keras_ilsvrc.nets.loading import without_optimizer
from keras_ilsvrc.recipe.training import PlateauTable
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.runs.evaluate import probabilities
from keras_ilsvrc.runs.experiment import Experiment
from keras_ilsvrc.runs.flow import draw_flow, watch_of
from keras_ilsvrc.runs.initial import start
from keras_ilsvrc.runs.machine import Machine
from keras_ilsvrc.runs.pictures import draw_curves
from keras_ilsvrc.runs.reading import BEST, CHECKPOINTS, CURVES, EPOCHS, FLOW, HISTORY, TENSORBOARD
from keras_ilsvrc.training.best import KeepBest
from keras_ilsvrc.training.callbacks import ProgressBar, Redraw, Validation
from keras_ilsvrc.training.checkpoint import Checkpoints
from keras_ilsvrc.training.plan import Feed, Plan
from keras_ilsvrc.training.records import History, KeptWeights, Summaries
from keras_ilsvrc.training.replicas import as_tested
from keras_ilsvrc.training.schedules import Plateau
from keras_ilsvrc.training.stopping import StopRequest
from keras_ilsvrc.training.trainer import NEVER, Trainer
from keras_ilsvrc.training.update import Update

LOSSES = {"cross_entropy": cross_entropy, "squared_error": squared_error}  # for validation
OVERHEAD = 4096  # maximum bytes per array in a weight file, in addition to its values


class Fitted(NamedTuple):
    """Outcome of training.

    Attributes:
        history: Rows of `history.csv`.
        facts: Entries of `result.json`: `kept_epoch`, the epoch whose weights are tested (only
            with `keep = "best"`), and `stopped_epoch`, the last epoch if training stopped early.
    """

    history: list[dict[str, Any]]
    facts: dict[str, int]


def fit(
    experiment: Experiment,
    update: Update,
    directory: RunDirectory,
    machine: Machine,
    stop: StopRequest,
) -> Fitted:
    """Train the model of an experiment, then set the weights that the recipe key `keep` selects."""
    recipe, per_epoch = experiment.recipe, experiment.steps_per_epoch
    plan = Plan(
        experiment.steps,
        per_epoch,
        machine.steps_per_call,
        machine.checkpoint_steps,
        stop_epoch=machine.stop_epoch,
    )
    history_file = directory.file(HISTORY)
    batch = recipe.data.batch_size
    with ProgressBar(plan.steps, per_epoch, batch, history_file is not None) as progress:
        history = History(history_file, batch, progress.log)
        recorders = _recorders(experiment, update, directory, machine, history)
        callbacks = [history, progress, *recorders]
        best = KeepBest(update, Checkpoints(directory.file(BEST)), progress.log)
        _add_measures(callbacks, experiment, update, stop, best)
        trainer = Trainer(
            update,
            _feed(experiment),
            plan,
            callbacks,
            Checkpoints(directory.file(CHECKPOINTS), directory.owner),
            initial=lambda: start(experiment, directory),
            stop=stop,
            log=progress.log,
        )

        def failed() -> list[int]:
            return experiment.indices(trainer.step, plan.steps_per_call)

        with naming_the_file(experiment.train, experiment.host_rows, experiment.statistics, failed):
            trainer.train()
    if best in callbacks:
        best.restore()
    facts = {"kept_epoch": best.epoch} if best.epoch else {}
    if trainer.step < plan.steps:
        facts["stopped_epoch"] = trainer.epochs
    return Fitted(history.rows, facts)


def _feed(experiment: Experiment) -> Feed:
    """Return the feed of training images of an experiment for `Trainer`."""
    recipe, left_out = experiment.recipe, experiment.left_out

    def from_step(first: int, context: tf.distribute.InputContext) -> tf.data.Dataset:
        return training_batches(
            experiment.train,
            experiment.host_rows,
            experiment.statistics,
            recipe.data.batch_size,
            recipe.seed,
            first_step=first,
            last_step=experiment.steps,
            context=context,
            stand_ins=left_out.stand_ins() if left_out else None,
            later=experiment.device_rows,
        )

    def describe(step: int) -> str:
        names = names_of_step(experiment.train, recipe.data.batch_size, recipe.seed, step)
        return f"step {step} ({names})"

    return Feed(from_step, describe, left_out)


def _add_measures(
    callbacks: list[keras.callbacks.Callback],
    experiment: Experiment,
    update: Update,
    stop: StopRequest,
    best: KeepBest,
) -> None:
    """Insert `Validation` as the first callback; append callbacks that use the validation error."""
    recipe, schedule = experiment.recipe, experiment.recipe.schedule
    if experiment.validation is not None:
        callbacks.insert(0, Validation(lambda: _validate(experiment, update, stop)))
    if isinstance(schedule, PlateauTable):
        callbacks.append(Plateau(schedule.factor, schedule.patience, schedule.times))
    if recipe.keep == "best":
        callbacks.append(best)
    if recipe.early_stopping:
        table = recipe.early_stopping
        callbacks.append(
            keras.callbacks.EarlyStopping(
                "validation_error", table.min_delta or 0, table.patience, mode="min"
            )
        )


def _recorders(
    experiment: Experiment,
    update: Update,
    directory: RunDirectory,
    machine: Machine,
    history: History,
) -> list[keras.callbacks.Callback]:
    """Return the callbacks that write files. All workers call them, but only the chief writes."""
    picture, flow, title = directory.file(CURVES), directory.file(FLOW), experiment.title
    watch = None
    if experiment.recipe.watch:
        watch = watch_of(experiment, update, directory, history.log)
    events = directory.file(TENSORBOARD) if machine.tensorboard else None

    def redraw() -> None:
        if picture:
            draw_curves(history.rows, picture, title)
        if flow and watch:
            draw_flow(watch.rows, flow, title)

    def save(path: Path | None) -> None:
        with as_tested(update):  # uses collective ops, so every worker must run it
            if path:
                write_weights(experiment.model, path)

    epochs = experiment.recipe.keep_epochs or ()
    return [
        *([watch] if watch else []),
        Redraw(redraw, history.log),
        Summaries(history, events),
        KeptWeights(epochs, save, directory.file(EPOCHS), history.log),
    ]


def write_weights(model: keras.Model, path: Path) -> None:
    """Save a model's weights to a file.

    The free space is checked first, because a partly written HDF5 file prevents a clean exit.

    Raises:
        OSError: If the disk has too little free space.
    """
    size = sum(weight.numpy().nbytes + OVERHEAD for weight in model.weights)
    if shutil.disk_usage(path.parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    without_optimizer(model).save_weights(path)


def _validate(experiment: Experiment, update: Update, stop: StopRequest) -> dict[str, float]:
    """Return the validation loss and the validation error in %, as {name: value}."""
    if not experiment.alone:
        stop = NEVER  # do not stop here, since all workers must stop together, at the next step
    split = experiment.validation
    assert split is not None
    with as_tested(update):
        found = probabilities(experiment, split, "single_view", progress=lambda *_: stop.check())
    return {
        "loss": LOSSES[experiment.recipe.loss.name](found, split.labels),
        "error": top_k_error(found, split.labels, 1),
    }
