"""One view of every image: the protocol of the CIFAR experiments and of most reports."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np


def stock_predict(model: keras.Model, batches: Any) -> Any:
    """`model.predict`."""
    return model.predict(batches, verbose=0)


def single_view(
    model: keras.Model,
    batches: Any,
    images: int,
    predict: Callable[[keras.Model, Any], Any] = stock_predict,
) -> np.ndarray:
    """The probabilities of every image, once each.

    Args:
        model: Whose output is probabilities, or a dict with `predictions`.
        batches: A dataset of images (batch, height, width, channels) in order. Batches may be
            filled up behind the last image, so that every replica has work.
        images: How many images there are.
        predict: Outputs of a model over the batches; it says what these are.

    Returns:
        (images, classes), float32.
    """
    outputs = predict(model, batches)
    probabilities = outputs["predictions"] if isinstance(outputs, dict) else outputs
    return probabilities[:images]
