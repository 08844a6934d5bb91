"""Recipes with their names resolved to a strategy, images, a model and its update."""

import hashlib
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.apply import apply_to_batch, device_ops, needed
from keras_ilsvrc.data.decode import Fault
from keras_ilsvrc.data.fingerprint import fingerprint
from keras_ilsvrc.data.left_out import LeftOut
from keras_ilsvrc.data.pipeline import evaluation_batches
from keras_ilsvrc.data.source import Source, refuse
from keras_ilsvrc.data.sources import open_source
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.statistics import measure_statistics
from keras_ilsvrc.errors import InputError, nearest
from keras_ilsvrc.layers.graph import batch_norms, synchronize
from keras_ilsvrc.nets import info
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.nets.registry import Net
from keras_ilsvrc.recipe.schema import Recipe
from keras_ilsvrc.runs.schema import Identity, Images
from keras_ilsvrc.training.constraints import hold_filters
from keras_ilsvrc.training.forward import Forward
from keras_ilsvrc.training.keras_fit import disable_slow_cpu_options
from keras_ilsvrc.training.losses import CrossEntropy
from keras_ilsvrc.training.optimizers import SGD, RMSprop
from keras_ilsvrc.training.replicas import workers_of
from keras_ilsvrc.training.schedules import WarmUp, exponential, polynomial, steps
from keras_ilsvrc.training.update import Update

SPLITS = ("train", "validation", "test")
OPTIMIZERS = {"sgd": SGD, "rmsprop": RMSprop}
SCHEDULES = {
    "steps": lambda table: steps(table.learning_rate),
    "plateau": lambda table: table.learning_rate,
    "polynomial": lambda table: polynomial(table.learning_rate, table.steps, table.power),
    "exponential": lambda table: exponential(table.learning_rate, table.factor, table.every),
}


@dataclass
class Experiment:
    """Recipe with its names resolved, for training, tests and the HTML report.

    Attributes:
        recipe: Recipe as loaded.
        net: Registry entry of the network.
        strategy: Strategy in whose scope the model was built.
        source: Dataset.
        train: Training images.
        validation: Validation images; None if the recipe names none.
        test: Test images.
        statistics: Statistics of the training images that the ops need.
        left_out: Training images that are left out; None if none may be.
        model: Model with its current weights.
        forward: Inference of the model on batches.
    """

    recipe: Recipe
    net: Net
    strategy: tf.distribute.Strategy
    source: Source
    train: Split
    validation: Split | None
    test: Split
    statistics: dict[str, np.ndarray]
    left_out: LeftOut | None
    model: keras.Model
    forward: Forward

    @property
    def title(self) -> str:
        """Title of plots about the experiment."""
        return f"{self.net.name} on {self.source.name}"

    def identity(self, splits: Sequence[str] = SPLITS) -> Identity:
        """Return the identity of a run of this experiment.

        Args:
            splits: Splits whose images are identified, from "train", "validation" and "test".
        """
        images = {name: getattr(self, name) for name in splits}
        return Identity(
            version=version("keras_ilsvrc"),
            recipe=hashlib.sha256(self.recipe.toml().encode()).hexdigest(),
            seed=self.recipe.seed,
            classes=list(self.source.classes),
            eval_ops=op_rows(self.recipe.data.eval_ops),
            splits={
                name: Images(**fingerprint(x)._asdict())
                for name, x in images.items()
                if x is not None
            },
        )


def set_up(
    recipe: Recipe,
    strategy: tf.distribute.Strategy,
    statistics: dict[str, np.ndarray] | None = None,
) -> Experiment:
    """Resolve all names of a recipe except `initial`; measure the statistics if they are None."""
    row = info(recipe.net, **recipe.build.variations)
    replicas = strategy.num_replicas_in_sync
    if recipe.data.batch_size % (replicas * (recipe.accumulate or 1)):
        pieces = f" in {recipe.accumulate} pieces each" if recipe.accumulate else ""
        raise InputError(
            f"data.batch_size is {recipe.data.batch_size}, which {replicas} replicas cannot share "
            f"evenly{pieces}"
        )
    if recipe.schedule.name == "plateau" and recipe.data.validation is None:
        raise InputError(
            "schedule.name is 'plateau', which needs data.validation; name a split there"
        )
    keras.config.set_dtype_policy(recipe.precision or "float32")
    keras.utils.set_random_seed(recipe.seed)
    shape = tuple(recipe.build.input_shape or row.input_shape)
    data = recipe.data
    faults: list[Fault] = []
    if shape[-1] not in (1, 3):
        raise InputError(f"build.input_shape has {shape[-1]} channels; expected 1 or 3")
    on_fault = faults.append if data.on_bad == "skip" else refuse
    source = open_source(data.dataset, shape[-1], on_fault)
    classes = recipe.build.classes or row.classes
    if classes != len(source.classes):
        raise InputError(
            f"build.classes is {classes}, but {source.name} has {len(source.classes)} classes"
        )
    train = source.split(data.train)
    validation = None if data.validation is None else source.split(data.validation)
    test = source.split(data.test)
    left_out = None
    if data.bad_limit is not None:
        with naming_bad_limit(data.bad_limit, lambda: faults):
            left_out = LeftOut(train, data.batch_size, recipe.seed, data.bad_limit, faults)
    if statistics is None:
        statistics = _measure(train, op_rows(data.train_ops), left_out)
    with strategy.scope():
        model = build(recipe.net, **recipe.build.model_dump(exclude_none=True))
        synchronize(model, replicas > 1 and recipe.batch_norm.statistics == "synchronized")
    disable_slow_cpu_options(model)
    forward = Forward(strategy)
    splits = train, validation, test
    made = Experiment(recipe, row, strategy, source, *splits, statistics, left_out, model, forward)
    _check_shapes(made, shape)
    return made


def _measure(train, rows, left_out):
    """Return the statistics of the training images that can be decoded."""
    if left_out and any(needed(row) for row in rows):
        with naming_bad_limit(left_out.limit, left_out.listed):
            train = left_out.scan()
    return measure_statistics(train, rows)


@contextmanager
def naming_bad_limit(limit: int | None, listed: Callable[[], Sized]) -> Iterator[None]:
    """Name the recipe's key in the error for more bad files than the limit."""
    try:
        yield
    except InputError as error:
        if limit is None or len(listed()) <= limit:
            raise
        raise InputError(
            f"{error} in data.bad_limit; list all bad files with `keras-ilsvrc data check`"
        ) from error


def make_update(experiment: Experiment, xla: bool = False) -> Update:
    """Return the training step of an experiment's model; call this in the strategy's scope.

    Args:
        experiment: Experiment, as from `set_up`.
        xla: Whether to compile with XLA, as in `training.update.Update`.

    Raises:
        InputError: If a name in the recipe is unknown, or XLA cannot compile the model.
    """
    if experiment.left_out and workers_of(experiment.strategy)[0] > 1:
        raise InputError(
            "data.on_bad is 'skip', which works only in a single process; remove the files that "
            "`keras-ilsvrc data check` lists, and leave on_bad and bad_limit out"
        )
    if xla and any(layer.synchronized for layer in batch_norms(experiment.model)):
        raise InputError(
            "--xla: XLA cannot compile statistics that are synchronized over replicas; leave --xla "
            "out, or set batch_norm.statistics to 'replica'"
        )
    recipe, table = experiment.recipe, experiment.recipe.optimizer
    output = experiment.model.output
    device_rows = device_ops(op_rows(recipe.data.train_ops))[1]
    for key, values, known in (
        ("optimizer.rates", table.rates, {x.name for x in experiment.model.trainable_weights}),
        ("loss.weights", recipe.loss.weights, output if isinstance(output, dict) else ()),
    ):
        for name in values or ():
            if name not in known:
                raise InputError(
                    f"{key}.{name}: {experiment.net.name} has none of this name; "
                    f"{nearest(name, known)}"
                )
    if table.filter_rms:
        hold_filters(experiment.model, table.filter_rms)
    own = {"name", "clip_norm", "average", "filter_rms"}
    arguments = table.model_dump(exclude=own, exclude_none=True)
    return Update(
        experiment.model,
        OPTIMIZERS[table.name](_rate(recipe.schedule), **arguments),
        CrossEntropy(recipe.loss.weights, recipe.loss.label_smoothing or 0.0),
        recipe.data.batch_size,
        recipe.seed,
        clip_norm=table.clip_norm,
        accumulate=recipe.accumulate or 1,
        average=table.average,
        xla=xla,
        prepare=lambda images: apply_to_batch(images, device_rows, experiment.statistics),
    )


def _rate(table):
    """Return the learning rate, or the schedule that gives it by step."""
    rate = SCHEDULES[table.name](table)
    return WarmUp(rate, *table.warm_up) if table.warm_up else rate


def without_optimizer(model: keras.Model) -> keras.Model:
    """Return the model without its optimizer, for files that contain only its weights."""
    return keras.Model(model.input, model.output)


def op_rows(ops) -> list[dict]:
    """Return the ops of a recipe as dicts, which `data.pipeline` takes."""
    return [op.model_dump(exclude_none=True) for op in ops]


def _check_shapes(experiment, shape):
    """Raise InputError unless the ops produce images of the network's input shape."""
    data = experiment.recipe.data
    for key, ops in (("train_ops", data.train_ops), ("eval_ops", data.eval_ops)):
        try:
            batches = evaluation_batches(
                experiment.train, op_rows(ops), experiment.statistics, data.batch_size
            )
        except InputError as error:
            raise InputError(f"data.{key}: {error}") from error
        made = batches.element_spec.shape[1:]
        if not made.is_fully_defined() or tuple(made) != shape:
            made = "x".join(str(size or "?") for size in made)
            raise InputError(
                f"data.{key} make images of {made}, but the net takes "
                f"{'x'.join(map(str, shape))}; resize or crop them, or set build.input_shape"
            )
