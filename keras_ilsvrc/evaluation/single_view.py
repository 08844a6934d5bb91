"""Evaluation on one view per image, the protocol of the CIFAR experiments and most reports."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np


def stock_predict(model: keras.Model, batches: Any) -> Any:
    """Run Keras' own `model.predict`, the default forward pass."""
    return model.predict(batches, verbose=0)


def single_view(
    model: keras.Model,
    batches: Any,
    images: int,
    predict: Callable[[keras.Model, Any], Any] = stock_predict,
) -> np.ndarray:
    """Return the probabilities of every image, once each.

    Args:
        model: Model whose output is probabilities, or a dict with `predictions`.
        batches: Dataset of images (batch, height, width, channels) in order. Further images after
            the last one may fill up the batches, so that every replica has work.
        images: Number of images.
        predict: Function that returns a model's outputs over `batches`, whose type it determines.

    Returns:
        Array (images, classes), float32.
    """
    outputs = predict(model, batches)
    probabilities = outputs["predictions"] if isinstance(outputs, dict) else outputs
    return probabilities[:images]
