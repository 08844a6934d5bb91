"""Averages of class probabilities over the views of an image, over scales and over networks."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ilsvrc.utils.errors import InputError


class MeanOverViews(keras.Model):
    """Model that averages another model's probabilities over the views (crops) of each image.

    Shape:
        (images, views, height, width, channels) to (images, classes), float32.
    """

    def __init__(self, model: keras.Model):
        super().__init__(name=model.name, dtype=model.dtype_policy)
        self.model = model

    def call(self, views: Any, training: bool | None = None) -> Any:
        shape = ops.shape(views)
        outputs = self.model(ops.reshape(views, (-1, *shape[2:])))
        outputs = outputs["predictions"] if isinstance(outputs, dict) else outputs
        outputs = ops.reshape(outputs, (*shape[:2], outputs.shape[-1]))
        return ops.mean(ops.cast(outputs, "float32"), axis=1)


def ensemble(members: Iterable[np.ndarray]) -> np.ndarray:
    """Average the class probabilities of several networks, or of several tests of one network.

    Args:
        members: Arrays (images, classes) for the same images in the same order, or a generator of
            such arrays. Only the sum of the arrays is kept in memory, in float64.

    Returns:
        Array (images, classes), float32; the member itself if there is only one.

    Raises:
        InputError: If there are no members, or their shapes differ.
    """
    total, count = np.zeros(0), 0
    for member in members:
        if count == 0:
            total = member  # converted to float64 only if there is a second member
        elif member.shape != total.shape:
            raise InputError(
                f"the ensemble has probabilities of shapes {total.shape} and {member.shape}; use "
                "nets with the same classes, tested on the same images"
            )
        else:
            total = total.astype("float64", copy=count == 1)
            total += member
        count += 1
    if not count:
        raise InputError("the ensemble is empty; pass the probabilities of at least one net")
    if count > 1:
        total /= count
    return total.astype("float32", copy=False)
