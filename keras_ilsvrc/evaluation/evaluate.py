"""A model's probabilities for the images of a split, by a protocol of the papers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.apply import Rows
from keras_ilsvrc.data.pipeline import evaluation_batches, naming_the_file
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.errors import InputError, out_of_memory
from keras_ilsvrc.evaluation.averages import MeanOverViews, ensemble
from keras_ilsvrc.evaluation.cut import ViewsOf, own_side
from keras_ilsvrc.evaluation.dense import fully_convolutional
from keras_ilsvrc.evaluation.protocols import passes_of, sides_of
from keras_ilsvrc.evaluation.single_view import single_view
from keras_ilsvrc.evaluation.views import whole

Batches = Callable[[tf.distribute.InputContext], tf.data.Dataset]
Forward = Callable[[keras.Model, Batches, Callable[[], object]], Any]


class Run(NamedTuple):
    """A model over all images once: what it is given of each, how many views, if entire ones."""

    model: keras.Model
    split: Any
    rows: Rows
    views: int
    entire: bool


def evaluate(
    model: keras.Model,
    split: Split,
    rows: Rows,
    statistics: Mapping[str, np.ndarray],
    protocol: str,
    batch_size: int,
    forward: Forward,
    scales: Sequence[int] | None = None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> np.ndarray:
    """The probabilities of every image, by a protocol of the papers.

    They are averaged over the views of a scale, then over scales, then over passes. Every image
    counts once, for any batch size and on any number of replicas.

    Args:
        model: Whose output is probabilities, or a dict with `predictions`.
        split: The images.
        rows: The ops of single images, up to what the net takes. A protocol has its own scales in
            place of their size, and its views in place of their last crop.
        statistics: What the ops need of the training images.
        protocol: A name in `protocols.PROTOCOLS`.
        batch_size: Views that the model is given at once, over all replicas; but all views that
            an image has at one scale stay together.
        forward: What runs a model over batches, as `training.forward.Forward` does: called with
            the model, what feeds the replicas of a worker, and what to call after each step.
        scales: Shorter sides in pixels, in place of the protocol's own.
        progress: Called after each step with the images done and those to do, over all scales.

    Returns:
        (images, classes), float32.

    Raises:
        InputError: If the protocol is unknown, if there are no images, if the scales or an image
            are too small, or if the protocol needs a fully convolutional form and the model has
            none.
    """
    if not len(split):
        raise InputError("the split holds no images; name one that does")
    runs = _runs(model, split, rows, statistics, protocol, scales)
    total = len(split) * sum(map(len, runs))
    done = 0

    def probabilities(run):
        nonlocal done
        start, done = done, done + len(split)
        parts = run, statistics, batch_size, forward
        return _probabilities(*parts, lambda images: progress(start + images, total))

    return ensemble(ensemble(map(probabilities, each)) for each in runs)


def _runs(model, split, rows, statistics, protocol, scales):
    """The runs over all images, one a scale, by passes."""
    if protocol == "single_view" and scales is None:
        return [[Run(model, split, rows, 1, False)]]
    size = _side_of(model, protocol)
    found = []
    for each, sides in sides_of(protocol, own_side(split, rows), size, scales):
        entire = each.views is whole
        averaged = MeanOverViews(fully_convolutional(model) if entire else model)
        parts = split, rows, statistics, each.views
        cut = [ViewsOf(*parts, side, size) for side in sides]
        found.append([Run(averaged, views, (), each.number, entire) for views in cut])
    return found


def _side_of(model, protocol):
    """The side of the images that a model takes."""
    passes_of(protocol)
    height, width = model.inputs[0].shape[1:3]
    if height is None or height != width:
        raise InputError(
            f"{model.name} takes images of {height or 'any'}x{width or 'any'}, but {protocol} "
            "needs a square: build the net with the input_shape of its training"
        )
    return height


def _probabilities(run, statistics, batch_size, forward, progress):
    """Return the probabilities of every image, once each, from one run."""
    images, done = 0, 0  # of a step, and in all

    def batches(context):
        nonlocal images
        replicas = context.num_replicas_in_sync
        for share in (max(1, batch_size // (replicas * run.views)), 1):
            images = share * replicas
            found = evaluation_batches(run.split, run.rows, statistics, images, context)
            if found.element_spec.shape[1:].is_fully_defined():
                break  # else they differ in size and come one by one
        return found

    def check():
        nonlocal done
        done = min(done + images, len(run.split))
        progress(done)

    def failed():
        return range(done, min(done + images, len(run.split)))

    try:
        with (
            out_of_memory("set a smaller data.batch_size"),
            naming_the_file(run.split, run.rows, statistics, failed),
        ):
            return single_view(
                run.model, batches, len(run.split), lambda *given: forward(*given, check)
            )
    except (tf.errors.InvalidArgumentError, ValueError) as error:
        if isinstance(error, InputError) or not run.entire:
            raise
        raise InputError(
            f"{run.model.name} cannot take images of this size; use a protocol of crops, or images "
            "whose sides are multiples of what its layers divide them by"
        ) from error
