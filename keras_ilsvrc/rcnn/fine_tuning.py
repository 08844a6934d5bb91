"""Fine-tuning of a network to classify warped windows (section 2.3 of arXiv:1311.2524).

In the classifier, class 0 is the background, and the classes of the objects follow. Each batch has
32 random windows that overlap an object by at least 0.5, and 96 random other windows.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.annotated import Annotated
from keras_ilsvrc.data.decode import read_image
from keras_ilsvrc.data.device import apply_to_batch
from keras_ilsvrc.data.pipeline import made_ahead
from keras_ilsvrc.data.types import Rows, Statistics
from keras_ilsvrc.evaluation.boxes import overlaps
from keras_ilsvrc.rcnn.files import DetectorDirectory
from keras_ilsvrc.rcnn.recipe import DetectionRecipe, FineTuningTable
from keras_ilsvrc.rcnn.warp import warp
from keras_ilsvrc.runs.reading import CHECKPOINTS, HISTORY
from keras_ilsvrc.training.callbacks import ProgressBar
from keras_ilsvrc.training.checkpoint import Checkpoints
from keras_ilsvrc.training.groups import HEAD, heads, rates_by_weight
from keras_ilsvrc.training.losses import CrossEntropy
from keras_ilsvrc.training.optimizers import SGD
from keras_ilsvrc.training.plan import Feed, Plan
from keras_ilsvrc.training.records import History
from keras_ilsvrc.training.schedules import Rate, exponential
from keras_ilsvrc.training.stopping import StopRequest
from keras_ilsvrc.training.trainer import Trainer
from keras_ilsvrc.training.update import Update
from keras_ilsvrc.utils.errors import InputError

# Standard deviation of the new classifier's initial weights; pascal_finetune_train.prototxt
HEAD_DEVIATION = 0.01
EPOCH = 500  # number of steps between two rows of history.csv


class Windows(NamedTuple):
    """Windows of the training images.

    Attributes:
        images: Index of the image of each window, (windows,).
        boxes: Boxes, (windows, 4).
        labels: Classes, (windows,); 0 is background.
    """

    images: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray


def windows(
    images: Sequence[Annotated], proposals: Sequence[np.ndarray], threshold: float
) -> Windows:
    """Return the windows of all images: the boxes of the objects, and the proposals.

    A window has the class of the object that it overlaps most, if their overlap is at least
    `threshold`, and class 0 otherwise.
    """
    numbers, boxes, labels = [np.zeros(0, int)], [np.zeros((0, 4))], [np.zeros(0, int)]
    for number, (one, proposed) in enumerate(zip(images, proposals, strict=True)):
        every = np.concatenate([one.boxes, proposed])
        found = np.zeros(len(every), int)
        if len(one.boxes) and len(every):
            shared = overlaps(every, one.boxes)
            found = np.where(
                shared.max(axis=1) >= threshold, 1 + one.labels[shared.argmax(axis=1)], 0
            )
        numbers.append(np.full(len(every), number))
        boxes.append(every)
        labels.append(found)
    return Windows(np.concatenate(numbers), np.concatenate(boxes), np.concatenate(labels))


def drawn(every: Windows, table: FineTuningTable, seed: int, step: int) -> np.ndarray:
    """Return the indices of the windows in a training step, a pure function of seed and step."""
    random = np.random.default_rng((seed, step))
    positive, background = np.flatnonzero(every.labels), np.flatnonzero(every.labels == 0)
    return np.concatenate(
        [random.choice(positive, table.positives), random.choice(background, table.background)]
    )


class Crops:
    """Source of the warped windows of each training step.

    Args:
        images: Training images.
        every: All windows of the training images.
        recipe: Recipe of the detector.
    """

    def __init__(self, images: Sequence[Annotated], every: Windows, recipe: DetectionRecipe):
        assert recipe.fine_tuning
        self.images, self.every, self.seed = images, every, recipe.seed
        self.table, self.features = recipe.fine_tuning, recipe.features
        self.error: InputError | None = None

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the crops of a step, masks of their pixels inside the image, and the labels.

        Every crop is mirrored with probability 1/2.
        """
        chosen, size = drawn(self.every, self.table, self.seed, step), self.features.size
        crops = np.zeros((len(chosen), size, size, 3), "float32")
        inside = np.zeros((len(chosen), size, size), bool)
        for number in np.unique(self.every.images[chosen]):
            own = np.flatnonzero(self.every.images[chosen] == number)
            image = read_image(self.images[number].path, 3)
            boxes = self.every.boxes[chosen[own]]
            crops[own], inside[own] = warp(image, boxes, size, self.features.context)
        mirrored = np.random.default_rng((self.seed, step, 1)).random(len(chosen)) < 0.5
        crops[mirrored], inside[mirrored] = crops[mirrored, :, ::-1], inside[mirrored, :, ::-1]
        return crops, inside, self.every.labels[chosen].astype("int32")

    def from_step(self, first: int, context: tf.distribute.InputContext) -> tf.data.Dataset:
        """Return a dataset of batches ((crops, inside), labels) that begins with step `first`."""
        count, size = self.table.positives + self.table.background, self.features.size

        def batches() -> Iterator[tuple[tuple[np.ndarray, np.ndarray], np.ndarray]]:
            for step in range(first, self.table.steps):
                try:
                    crops, inside, labels = self.batch(step)
                except InputError as error:  # TensorFlow would raise an error of another type
                    self.error = error
                    raise
                yield (crops, inside), labels

        shape = (count, size, size)
        spec = (
            (tf.TensorSpec((*shape, 3), tf.float32), tf.TensorSpec(shape, tf.bool)),
            tf.TensorSpec((count,), tf.int32),
        )
        return made_ahead(tf.data.Dataset.from_generator(batches, output_signature=spec))


def fine_tune(
    model: keras.Model,
    rows: Rows,
    statistics: Statistics,
    crops: Crops,
    directory: DetectorDirectory,
    stop: StopRequest,
) -> None:
    """Train a model to classify windows; resume from the last checkpoint if there is one.

    Args:
        model: Network with a new classifier, for the classes and the background.
        rows: Arithmetic ops that preprocess crops.
        statistics: Statistics that the ops need.
        crops: Warped windows of each step.
        directory: Directory of the run, for checkpoints and `history.csv`.
        stop: Request to stop.

    Raises:
        InputError: If no window shows an object, or no window shows the background.
        Stopped: If a stop was requested.
        Diverged: If training diverged.
    """
    table, labels = crops.table, crops.every.labels
    for name, count in (("an object", labels.astype(bool)), ("the background", labels == 0)):
        if not count.any():
            raise InputError(f"fine_tuning: no window shows {name}; use more proposals")
    size = table.positives + table.background

    def prepare(images: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        pixels = apply_to_batch(images[0], rows, statistics)
        return pixels * tf.cast(images[1], pixels.dtype)[..., None]

    rate: Rate = exponential(table.rate, table.rate_factor, table.rate_steps)
    factors = {"bias": table.bias_rate, HEAD: table.head_rate}
    rates = rates_by_weight("fine_tuning", model, factors)
    optimizer = SGD(rate, momentum=table.momentum, l2=table.l2, rates=rates)
    update = Update(model, optimizer, CrossEntropy(), size, crops.seed, prepare=prepare)

    def initial() -> None:
        for layer in heads(model):
            kernel = np.random.default_rng(crops.seed).normal(0, HEAD_DEVIATION, layer.kernel.shape)
            layer.kernel.assign(kernel)

    with ProgressBar(table.steps, EPOCH, size) as progress:
        history = History(directory.path / HISTORY, size, progress.log)
        trainer = Trainer(
            update,
            Feed(crops.from_step),
            Plan(table.steps, EPOCH),
            [history, progress],
            Checkpoints(directory.path / CHECKPOINTS, directory.owner),
            initial,
            stop,
            progress.log,
        )
        try:
            trainer.train()
        except tf.errors.OpError as error:
            raise crops.error or error from error
