"""Experiments: a recipe with its opened dataset, its model and the distribution strategy."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.apply import needed
from keras_ilsvrc.data.device import device_ops
from keras_ilsvrc.data.fingerprint import fingerprint
from keras_ilsvrc.data.headers import Fault
from keras_ilsvrc.data.left_out import LeftOut
from keras_ilsvrc.data.order import indices_of_step
from keras_ilsvrc.data.pipeline import evaluation_batches
from keras_ilsvrc.data.source import OnFault, Shares, Source, refuse
from keras_ilsvrc.data.sources import open_source, source_name
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.statistics import measure_statistics
from keras_ilsvrc.data.types import Rows
from keras_ilsvrc.layers.graph import synchronize
from keras_ilsvrc.nets import info
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.nets.registry import Net
from keras_ilsvrc.recipe.ops import Table
from keras_ilsvrc.recipe.schema import Data, Recipe
from keras_ilsvrc.recipe.training import Schedule
from keras_ilsvrc.runs.schema import Identity, Images
from keras_ilsvrc.training.forward import Forward
from keras_ilsvrc.training.keras_fit import disable_slow_cpu_options
from keras_ilsvrc.training.replicas import workers_of
from keras_ilsvrc.utils.errors import InputError, counted

SPLITS = ("train", "validation", "test")


@dataclass
class Experiment:
    """Recipe with its opened dataset, its model and the distribution strategy that trains it.

    `set_up` does not set the initial weights; `runs.initial.set_initial` does.

    Attributes:
        recipe: Recipe as loaded.
        net: Registry entry of the network.
        strategy: Distribution strategy in whose scope the model was built.
        source: Opened dataset.
        train: Training images.
        validation: Validation images; None if the recipe names no validation split.
        test: Test images.
        statistics: Training image statistics that the preprocessing ops need, for example means.
        left_out: Training images that cannot be decoded; None if the recipe does not allow any.
        model: Model with its current weights.
        forward: Function that runs a model on batches, distributed over the replicas.
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
        """Title for plots: the names of the network and the dataset."""
        return f"{self.net.name} on {self.source.label}"

    @property
    def alone(self) -> bool:
        """Whether there is only one worker, which may stop without waiting for other workers."""
        return workers_of(self.strategy)[0] == 1

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps per epoch. The last batch may contain images of the next epoch."""
        return -(-len(self.train) // self.recipe.data.batch_size)

    @property
    def schedule(self) -> Schedule:
        """Schedule of the recipe with all lengths in steps."""
        return self.recipe.schedule.in_steps(self.steps_per_epoch)

    @property
    def steps(self) -> int:
        """Number of training steps."""
        assert self.schedule.steps is not None
        return self.schedule.steps

    @property
    def host_rows(self) -> Rows:
        """Preprocessing ops for training that run on the host, on one image at a time."""
        return device_ops(op_rows(self.recipe.data.train_ops))[0]

    @property
    def device_rows(self) -> Rows:
        """Preprocessing ops for training that run on the device, on batches, after `host_rows`."""
        return device_ops(op_rows(self.recipe.data.train_ops))[1]

    @property
    def eval_rows(self) -> Rows:
        """Preprocessing ops for validation and test images."""
        return op_rows(self.recipe.data.eval_ops)

    def indices(self, step: int, steps: int = 1) -> list[int]:
        """Return the indices of the training images used in `steps` steps, starting with `step`."""
        batch, seed = self.recipe.data.batch_size, self.recipe.seed
        return indices_of_step(len(self.train), batch, seed, step, steps)

    def files_left_out(self) -> list[str]:
        """Return a line for each file left out of training, with its size and the reason."""
        return self.left_out.listed() if self.left_out else []

    def identity(self, splits: Sequence[str] = SPLITS) -> Identity:
        """Return the content of `run.json` for a new run of this experiment.

        Args:
            splits: Names of the splits to include, from "train", "validation" and "test".
        """
        images = {name: getattr(self, name) for name in splits}
        return Identity(
            version=version("keras_ilsvrc"),
            recipe=hashlib.sha256(self.recipe.toml().encode()).hexdigest(),
            seed=self.recipe.seed,
            classes=list(self.source.classes),
            eval_ops=[dict(row) for row in self.eval_rows],
            splits={
                name: Images(**fingerprint(x)._asdict())
                for name, x in images.items()
                if x is not None
            },
        )


class NoImages(InputError):
    """Error for a dataset that cannot be found, for example because it was moved."""


def _open(dataset: str, channels: int, on_fault: OnFault, shares: Shares) -> Source:
    """Open a dataset, or raise `NoImages` if its path does not exist."""
    try:
        return open_source(dataset, channels, on_fault, shares)
    except InputError as error:
        if os.path.exists(source_name(dataset).partition(":")[2].partition("?")[0]):
            raise
        raise NoImages(str(error)) from error


def set_up(
    recipe: Recipe,
    strategy: tf.distribute.Strategy,
    statistics: dict[str, np.ndarray] | None = None,
    dataset: str | None = None,
) -> Experiment:
    """Open a recipe's dataset, build its model, and measure image statistics if not passed."""
    net = info(recipe.net, **recipe.build.variations)
    _check_batch(recipe, strategy.num_replicas_in_sync)
    keras.config.set_dtype_policy(recipe.precision or "float32")
    keras.utils.set_random_seed(recipe.seed)
    shape = tuple(recipe.build.input_shape or net.input_shape)
    _check_channels(shape[-1])
    data, faults = recipe.data, list[Fault]()
    on_fault = faults.append if data.on_bad == "skip" else refuse
    source = _open(dataset or data.dataset, shape[-1], on_fault, _shares(data))
    _check_classes(recipe.build.classes or net.classes, source)
    train, test = source.split(data.train), source.split(data.test)
    validation = None if data.validation is None else source.split(data.validation)
    left_out = None
    if data.bad_limit is not None:
        with naming_bad_limit(data.bad_limit, lambda: faults):
            left_out = LeftOut(train, data.batch_size, recipe.seed, data.bad_limit, faults)
    if statistics is None:
        statistics = _measure(train, op_rows(data.train_ops), left_out)
    experiment = Experiment(
        recipe=recipe,
        net=net,
        strategy=strategy,
        source=source,
        train=train,
        validation=validation,
        test=test,
        statistics=statistics,
        left_out=left_out,
        model=_build(recipe, strategy),
        forward=Forward(strategy),
    )
    _check_shapes(experiment, shape)
    return experiment


def _shares(data: Data) -> Shares:
    """Return the fraction of training images for each split that the dataset lacks.

    By default, the fraction is 0 for a split that the recipe does not use.
    """
    if data.split:
        return Shares(**data.split.model_dump())
    used, usual = f"{data.train} {data.validation} {data.test}", Shares()
    return Shares(
        validation=usual.validation if "validation" in used else 0.0,
        test=usual.test if "test" in used else 0.0,
    )


def _build(recipe: Recipe, strategy: tf.distribute.Strategy) -> keras.Model:
    """Build the network of a recipe in the scope of the strategy."""
    replicas = strategy.num_replicas_in_sync
    with strategy.scope():
        model = build(recipe.net, **recipe.build.model_dump(exclude_none=True))
        synchronize(model, replicas > 1 and recipe.batch_norm.statistics == "synchronized")
    disable_slow_cpu_options(model)
    return model


def _measure(train: Split, rows: Rows, left_out: LeftOut | None) -> dict[str, np.ndarray]:
    """Measure the image statistics that the ops need on all training images that can be decoded."""
    if left_out and any(needed(row) for row in rows):
        with naming_bad_limit(left_out.limit, left_out.listed):
            train = left_out.scan()
    return measure_statistics(train, rows)


@contextmanager
def naming_bad_limit(limit: int | None, listed: Callable[[], Sized]) -> Iterator[None]:
    """Add a hint to InputErrors in a block if `listed()` returns more than `limit` bad files."""
    try:
        yield
    except InputError as error:
        if limit is None or len(listed()) <= limit:
            raise
        raise InputError(
            f"{error} in data.bad_limit; list all bad files with `keras-ilsvrc data check`"
        ) from error


def op_rows(ops: Sequence[Table]) -> list[dict[str, Any]]:
    """Return the preprocessing ops of a recipe as dicts, the form that `data.pipeline` expects."""
    return [op.model_dump(exclude_none=True) for op in ops]


def _check_batch(recipe: Recipe, replicas: int) -> None:
    """Raise InputError if a batch cannot be split evenly over the replicas."""
    batch, shares = recipe.data.batch_size, replicas * (recipe.accumulate or 1)
    if batch % shares:
        pieces = f" with accumulate = {recipe.accumulate}" if recipe.accumulate else ""
        fitting = max(1, round(batch / shares)) * shares
        raise InputError(
            f"data.batch_size is {batch}, which {counted(replicas, 'replica')} cannot share "
            f"evenly{pieces}; set it to {fitting}, e.g. with --set data.batch_size={fitting}"
        )


def _check_channels(channels: int) -> None:
    """Raise InputError unless the number of channels is 1 or 3."""
    if channels not in (1, 3):
        raise InputError(f"build.input_shape has {channels} channels; expected 1 or 3")


def _check_classes(classes: int, source: Source) -> None:
    """Raise InputError unless network and dataset have the same number of classes, above 1."""
    if classes != len(source.classes):
        raise InputError(
            f"build.classes is {classes}, but {source.name} has {len(source.classes)} classes; "
            "set build.classes to that number"
        )
    if len(source.classes) == 1:
        raise InputError(
            f"{source.name}: only one class, {source.classes[0]!r}; training needs two or more"
        )


def _check_shapes(experiment: Experiment, shape: tuple[int, ...]) -> None:
    """Raise InputError unless the preprocessing ops produce images of the network's input shape."""
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
            found = "x".join(str(size or "?") for size in made)
            raise InputError(
                f"data.{key} make images of {found}, but the net expects "
                f"{'x'.join(map(str, shape))}; resize or crop them, or set build.input_shape"
            )
