"""Training step of an experiment, with the optimizer, schedule and loss from its recipe."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_ilsvrc.data.device import apply_to_batch
from keras_ilsvrc.layers.graph import batch_norms
from keras_ilsvrc.runs.experiment import Experiment
from keras_ilsvrc.training.constraints import hold_filters
from keras_ilsvrc.training.groups import freeze, layers_until, rates_by_weight
from keras_ilsvrc.training.losses import DECAYS, CrossEntropy, Decay, Loss, SquaredError
from keras_ilsvrc.training.optimizers import SGD, AdamW, RMSprop
from keras_ilsvrc.training.schedules import Rate, WarmUp, cosine, exponential, polynomial, steps
from keras_ilsvrc.training.update import Update
from keras_ilsvrc.utils.errors import InputError, nearest

OPTIMIZERS = {"sgd": SGD, "rmsprop": RMSprop, "adam": AdamW, "adamw": AdamW}
LOSSES = {"cross_entropy": CrossEntropy, "squared_error": SquaredError}
# Keys of `[optimizer]` that are not passed to the optimizer's class.
OURS = {"name", "clip_norm", "average", "filter_rms"}
SCHEDULES: dict[str, Callable[[Any], Rate]] = {
    "steps": lambda table: steps(table.learning_rate),
    "plateau": lambda table: table.learning_rate,
    "polynomial": lambda table: polynomial(table.learning_rate, table.steps, table.power),
    "cosine": lambda table: cosine(table.learning_rate, table.steps),
    "exponential": lambda table: exponential(table.learning_rate, table.factor, table.every),
}


def make_update(experiment: Experiment, xla: bool = False) -> Update:
    """Return the training step of an experiment's model. Call this in the strategy's scope.

    Args:
        experiment: Experiment, as returned by `set_up`.
        xla: Whether to compile with XLA, as in `training.update.Update`.

    Raises:
        InputError: If a name in the recipe is unknown, or two settings are incompatible.
    """
    recipe, model, table = experiment.recipe, experiment.model, experiment.recipe.optimizer
    check_update(experiment, xla)
    if recipe.freeze is not None:
        freeze(model, recipe.freeze)
    if table.filter_rms:
        hold_filters(model, table.filter_rms)
    options = table.model_dump(exclude=OURS, exclude_none=True)
    if table.rates:
        options["rates"] = rates_by_weight("optimizer.rates", model, table.rates)
    optimizer = OPTIMIZERS[table.name](_rate(experiment.schedule), **options)
    return Update(
        model,
        optimizer,
        _loss(experiment),
        recipe.data.batch_size,
        recipe.seed,
        clip_norm=table.clip_norm,
        accumulate=recipe.accumulate or 1,
        average=table.average,
        xla=xla,
        prepare=lambda images: apply_to_batch(
            images, experiment.device_rows, experiment.statistics
        ),
        mixup=recipe.data.mixup,
    )


def _loss(experiment: Experiment) -> Loss:
    """Return the loss of a recipe. Balanced class weights have mean 1 over the training images."""
    table, labels = experiment.recipe.loss, experiment.train.labels
    balanced = None
    if table.class_weights == "balanced":
        counts = np.bincount(labels, minlength=len(experiment.source.classes))
        # Avoid a division by 0. The weight of a class without training images is never used.
        balanced = tuple((len(labels) / (len(counts) * np.maximum(counts, 1))).tolist())
    decay = None
    if table.decay:
        per_epoch = experiment.steps_per_epoch
        decay = Decay(tuple(DECAYS[table.decay](-(-experiment.steps // per_epoch))), per_epoch)
    return LOSSES[table.name](table.weights, table.label_smoothing or 0.0, balanced, decay)


def _rate(table: Any) -> Rate:
    """Return the learning rate of a schedule: a number, or a function of the step."""
    rate = SCHEDULES[table.name](table)
    return WarmUp(rate, *table.warm_up) if table.warm_up else rate


def check_update(experiment: Experiment, xla: bool = False) -> None:
    """Check the recipe of an experiment as `make_update` does, without changing the model.

    Raises:
        InputError: If a name in the recipe is unknown, or two settings are incompatible.
    """
    recipe, model = experiment.recipe, experiment.model
    if experiment.left_out and not experiment.alone:
        raise InputError(
            "data.on_bad is 'skip', which works only in a single process; remove the files that "
            "`keras-ilsvrc data check` lists, then remove the keys on_bad and bad_limit"
        )
    if xla and any(layer.synchronized for layer in batch_norms(model)):
        raise InputError(
            "--xla: XLA cannot compile batch statistics that are synchronized over replicas; "
            "remove --xla, or set batch_norm.statistics to 'replica'"
        )
    pieces = experiment.strategy.num_replicas_in_sync * (recipe.accumulate or 1)
    if recipe.data.mixup and recipe.data.batch_size < 2 * pieces:
        raise InputError(
            "data.mixup needs two images in each piece of a batch, but data.batch_size = "
            f"{recipe.data.batch_size} is divided into {pieces} pieces; use a larger batch, or "
            "remove data.mixup"
        )
    outputs = model.output if isinstance(model.output, dict) else ()
    for name in recipe.loss.weights or ():
        if name not in outputs:
            hint = nearest(name, outputs) or "remove this key"
            raise InputError(f"loss.weights.{name}: {model.name} has no output {name!r}; {hint}")
    if recipe.loss.decay and len(outputs) < 2:
        raise InputError(
            f"loss.decay is {recipe.loss.decay!r}, but {model.name} has no auxiliary output; "
            "remove loss.decay, or set build.auxiliary to true"
        )
    rates_by_weight("optimizer.rates", model, recipe.optimizer.rates or {})
    if recipe.freeze is not None:
        frozen = layers_until("freeze", model, recipe.freeze)
        if all(layer in frozen for layer in model.layers if layer.trainable_weights):
            raise InputError(
                f"freeze is {recipe.freeze!r}, which leaves no weights to train; name an earlier "
                "layer"
            )
