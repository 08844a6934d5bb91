"""Means of probabilities: over the views of an image, over scales, over nets."""

from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

from keras_ilsvrc.errors import InputError


class MeanOverViews(keras.Model):
    """The mean of a model's probabilities over the views of each image.

    Shape:
        (images, views, height, width, channels) to (images, classes), float32.
    """

    def __init__(self, model: keras.Model):
        super().__init__(name=model.name, dtype=model.dtype_policy)
        self.model = model

    def call(self, views, training=None):
        shape = ops.shape(views)
        outputs = self.model(ops.reshape(views, (-1, *shape[2:])))
        outputs = outputs["predictions"] if isinstance(outputs, dict) else outputs
        outputs = ops.reshape(outputs, (*shape[:2], outputs.shape[-1]))
        return ops.mean(ops.cast(outputs, "float32"), axis=1)


def ensemble(members: Iterable[np.ndarray]) -> np.ndarray:
    """The mean of several nets' probabilities, or of one net's in several passes.

    Args:
        members: Arrays (images, classes) of the same images in the same order. They may be made
            one by one; only their sum is kept, in float64.

    Returns:
        (images, classes), float32.

    Raises:
        InputError: If there is none, or their shapes differ.
    """
    total, count = np.zeros(0), 0
    for member in members:
        if count and member.shape != total.shape:
            raise InputError(
                f"probabilities are {member.shape} behind {total.shape}; an ensemble needs nets "
                "with the same classes, tested on the same images"
            )
        total = total + member if count else member.astype("float64")
        count += 1
    if not count:
        raise InputError("an ensemble of no nets has no probabilities; give one or more")
    return (total / count).astype("float32")
