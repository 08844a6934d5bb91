"""Networks in their fastest form for inference on a CPU or GPU."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.layers.graph import functional, main_output
from keras_ilsvrc.weights.folding import folded

BATCH = 32  # default number of images that are computed together
MOST = 2**31 - 2**20  # maximum bytes of weights: a TensorFlow graph is smaller than 2 GiB


class Deployed:
    """Network for inference: one graph, in which the weights are constants.

    TensorFlow prepares constant weights once, and computes a convolution with its bias, activation
    and residual sum in one operation. Later changes to the weights of the original model have no
    effect.

    Attributes:
        model: The same network as a functional Keras model, for example for `summary` and `save`.
    """

    def __init__(self, model: keras.Model):
        self.model = model
        (image,) = model.inputs
        weights = [[np.asarray(x) for x in model.trainable_variables]]
        weights += [[np.asarray(x) for x in model.non_trainable_variables]]

        @tf.function(
            input_signature=[tf.TensorSpec(image.shape, image.dtype)],
            autograph=False,
            jit_compile=False,
        )
        def step(images: tf.Tensor) -> tf.Tensor:
            constants = [[tf.constant(x) for x in some] for some in weights]
            return model.stateless_call(*constants, images, training=False)[0]

        self.step = step.get_concrete_function()

    def __call__(self, images: Any) -> np.ndarray:
        """Return the outputs (images, classes) for one batch of images.

        Args:
            images: Array (images, height, width, channels) of the model's type, or one that can be
                converted to it, for example uint8 for float32.

        Raises:
            InputError: If the array has another shape than the model's input.
        """
        (image,) = self.model.inputs
        given = np.asarray(images).astype(image.dtype, copy=False)
        if not tf.TensorShape(image.shape).is_compatible_with(given.shape):
            raise InputError(
                f"images has shape {given.shape}; {self.model.name} takes {image.shape}"
            )
        return self.step(tf.constant(given)).numpy()

    def predict(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        """Return the outputs (images, classes) for any number of images, computed in batches."""
        starts = range(0, max(1, len(images)), batch_size)
        return np.concatenate([self(images[start : start + batch_size]) for start in starts])


def deploy(model: keras.Model) -> Deployed:
    """Return a network in its fastest form for inference, with the same outputs.

    Batch normalisation, rescaling and the means and scales of preprocessing are folded into the
    weights of the layers beside them, where this is exact. Dropout and auxiliary classifiers are
    left out. The outputs differ from those of `model` by about 1e-6 of the largest.

    Args:
        model: Functional model with one input and one output, or a dict with `predictions`.

    Returns:
        Function from a batch of images to a NumPy array.

    Raises:
        InputError: If the model is not functional or not built, has several inputs, has several
            outputs without `predictions`, or has more than 2 GiB of weights, or if Keras does not
            run on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"deploy needs Keras on TensorFlow, not {keras.backend.backend()}; set "
            "KERAS_BACKEND=tensorflow"
        )
    if not functional(model):
        raise InputError(f"{model.name} is not a functional model; build it from keras.Input")
    if len(model.inputs) != 1:
        names = ", ".join(x.name for x in model.inputs)
        raise InputError(f"{model.name} has {len(model.inputs)} inputs ({names}); expected one")
    size = 4 * model.count_params()
    if size > MOST:
        raise InputError(f"{model.name} has {size:,} bytes of weights; expected at most {MOST:,}")
    return Deployed(folded(main_output(model)))
