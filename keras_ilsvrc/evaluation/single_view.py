"""One view of every image: the protocol of the CIFAR experiments and of most reports."""

from collections.abc import Iterable, Sequence

import keras
import numpy as np


def single_view(
    model: keras.Model,
    batches: Iterable,
    images: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> np.ndarray:
    """The probabilities of every image, once each.

    Args:
        model: Whose output is probabilities, or a dict with `predictions`.
        batches: A dataset of images (batch, height, width, channels) in order. Batches may be
            filled up behind the last image, so that every replica has work.
        images: How many images there are.
        callbacks: Of `model.predict`.

    Returns:
        (images, classes), float32.
    """
    outputs = model.predict(batches, verbose=0, callbacks=list(callbacks))
    probabilities = outputs["predictions"] if isinstance(outputs, dict) else outputs
    return probabilities[:images]
