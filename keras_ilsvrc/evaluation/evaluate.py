"""Evaluation of a model on a dataset split with one of the papers' test protocols."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.pipeline import evaluation_batches, naming_the_file
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.types import Rows, Statistics
from keras_ilsvrc.evaluation.averages import MeanOverViews, ensemble
from keras_ilsvrc.evaluation.cut import ViewsOf, own_side
from keras_ilsvrc.evaluation.dense import fully_convolutional
from keras_ilsvrc.evaluation.protocols import passes_of, sides_of
from keras_ilsvrc.evaluation.views import whole
from keras_ilsvrc.utils.errors import InputError, out_of_memory

# Function that returns one worker's batches.
Batches = Callable[[tf.distribute.InputContext], tf.data.Dataset]
# Function of (model, batches, after_step) that runs the model on the batches, calls `after_step`
# after each step, and returns the outputs of all steps.
Forward = Callable[[keras.Model, Batches, Callable[[], object]], Any]


class Inference(NamedTuple):
    """Settings for running a model on all views of all images at one scale.

    Attributes:
        model: Model to run.
        split: Images, or `ViewsOf` images.
        rows: Preprocessing ops that are applied to the items of `split`.
        statistics: Statistics of the training images, which some ops need.
        views: Number of views per image.
        entire: Whether each view is a whole image.
    """

    model: keras.Model
    split: Any
    rows: Rows
    statistics: Statistics
    views: int
    entire: bool


def evaluate(
    model: keras.Model,
    split: Split,
    rows: Rows,
    statistics: Statistics,
    protocol: str,
    batch_size: int,
    forward: Forward,
    scales: Sequence[int] | None = None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> np.ndarray:
    """Run a model with a test protocol; return class probabilities (images, classes), float32.

    A protocol is a list of passes over the images, each with its own kind of views and scales.
    Probabilities are averaged over the views at one scale, then over the scales of a pass, then
    over passes. Every image counts once, whatever the batch size and the number of replicas are.

    Args:
        model: Model whose output is probabilities, or a dict with `predictions`.
        split: Test images.
        rows: Preprocessing ops on single images that produce the network's input. The scales of
            the protocol replace the size in the resize op, and its views replace the last centre
            crop.
        statistics: Statistics of the training images, which some ops need.
        protocol: Name of a protocol in `protocols.PROTOCOLS`.
        batch_size: Maximum number of views per step, over all replicas. All views of an image at
            one scale are in the same step, even if this exceeds the maximum.
        forward: Function that runs a model on batches, such as `training.forward.Forward`.
        scales: Shorter sides in pixels, used instead of the protocol's scales.
        progress: Function called after each step with the number of images done and the total.

    Raises:
        InputError: If the protocol is unknown, if there are no images, if a scale or an image is
            too small, or if the protocol evaluates whole images and the model cannot be converted
            to a fully convolutional one.
    """
    passes = _inferences(model, split, rows, statistics, protocol, scales)
    count = _counter(progress, len(split) * sum(map(len, passes)))
    run = partial(_probabilities, batch_size=batch_size, forward=forward, count=count)
    return ensemble(ensemble(map(run, inferences)) for inferences in passes)


def _counter(progress: Callable[[int, int], object], total: int) -> Callable[[int], None]:
    """Return a function that adds to the number of images done and passes it to `progress`."""
    done = 0

    def add(images: int) -> None:
        nonlocal done
        done += images
        progress(done, total)

    return add


def _inferences(
    model: keras.Model,
    split: Split,
    rows: Rows,
    statistics: Statistics,
    protocol: str,
    scales: Sequence[int] | None,
) -> list[list[Inference]]:
    """Return a list for each pass of a protocol, with the inference settings for each scale."""
    if not len(split):
        raise InputError("the split contains no images; choose another split")
    if protocol == "single_view" and scales is None:
        return [[Inference(model, split, rows, statistics, 1, False)]]
    size = _side_of(model, protocol)
    found = []
    for each, sides in sides_of(protocol, own_side(split, rows), size, scales):
        entire = each.views is whole
        averaged = MeanOverViews(fully_convolutional(model) if entire else model)
        cut = [ViewsOf(split, rows, statistics, each.views, side, size) for side in sides]
        found.append([Inference(averaged, x, (), statistics, each.number, entire) for x in cut])
    return found


def _side_of(model: keras.Model, protocol: str) -> int:
    """Return the side in pixels of a model's square input images."""
    passes_of(protocol)
    height, width = model.inputs[0].shape[1:3]
    if height is None or height != width:
        raise InputError(
            f"{model.name} takes images of {height or 'any'}x{width or 'any'}, but protocol "
            f"{protocol} needs square images of a fixed size; build the net with the input_shape "
            "that it was trained with"
        )
    return height


def _probabilities(
    inference: Inference, batch_size: int, forward: Forward, count: Callable[[int], None]
) -> np.ndarray:
    """Run the model on all images; return their probabilities in order, (images, classes)."""
    model, split, rows, statistics, views, entire = inference
    images, done = 0, 0  # images per step, and images in all finished steps

    def batches(context: tf.distribute.InputContext) -> tf.data.Dataset:
        nonlocal images
        replicas = context.num_replicas_in_sync
        for share in (max(1, batch_size // (replicas * views)), 1):
            images = share * replicas
            found = evaluation_batches(split, rows, statistics, images, context)
            if found.element_spec.shape[1:].is_fully_defined():
                break  # if sizes may differ, each replica gets one image at a time
        return found

    def of_step() -> range:
        return range(done, min(done + images, len(split)))

    def finish_step() -> None:
        nonlocal done
        count(len(of_step()))
        done += images

    try:
        with (
            out_of_memory("set a smaller batch_size"),
            naming_the_file(split, rows, statistics, of_step),
        ):
            outputs = forward(model, batches, finish_step)
    except (tf.errors.InvalidArgumentError, ValueError) as error:
        if isinstance(error, InputError) or not entire:
            raise
        raise InputError(
            f"{model.name} does not accept whole images of this size; use a protocol with crops, "
            "for example ten_crop, or images whose sides are multiples of the net's total stride"
        ) from error
    probabilities = outputs["predictions"] if isinstance(outputs, dict) else outputs
    return probabilities[: len(split)]
