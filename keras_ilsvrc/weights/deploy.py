"""Conversion of networks to their fastest form for inference on a CPU or GPU."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from keras_ilsvrc.layers.graph import Call, leaf_calls, run_call, single, walk
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.weights.folding import folded

BATCH = 32  # default number of images per batch


class Deployed:
    """Network for inference: one TensorFlow graph in which kernels of convolutions are constants.

    TensorFlow prepares constant kernels once, and computes a convolution with its padding, bias,
    activation and residual sum in one operation. Later changes to the weights of the original
    model have no effect.

    Attributes:
        model: The same network as a functional Keras model, for `summary`, `save` and so on.
        step: TensorFlow function from a batch of images to outputs.
    """

    def __init__(self, model: keras.Model):
        self.model = model
        (image,) = model.inputs
        root = walk(model)
        calls = list(leaf_calls(root))
        runs = _padded(calls)
        # The kernels of dense layers remain variables. TensorFlow would prepare a constant kernel
        # for the first batch size, and again in each call with another batch size.
        fixed = [x for x in model.layers if not isinstance(x, layers.Dense)]
        weights = [(x, np.asarray(x)) for layer in fixed for x in layer.weights]

        @tf.function(
            input_signature=[tf.TensorSpec(image.shape, image.dtype)],
            autograph=False,
            jit_compile=False,
        )
        def step(images: tf.Tensor) -> tf.Tensor:
            tensors = {id(root.inputs[0]): images}
            with keras.StatelessScope([(x, tf.constant(value)) for x, value in weights]):
                for call in calls:
                    run_call(call, tensors, runs.get(id(call)))
            return tensors[id(root.outputs[0])]

        self.step = step.get_concrete_function()

    def __call__(self, images: Any) -> np.ndarray:
        """Return the outputs (images, classes) for one batch of images.

        Args:
            images: Array (images, height, width, channels) of the input's dtype, or of one that can
                be converted to it, for example uint8 for float32.

        Raises:
            InputError: If the shape of the array does not match the model's input.
        """
        (image,) = self.model.inputs
        given = np.asarray(images).astype(image.dtype, copy=False)
        if not tf.TensorShape(image.shape).is_compatible_with(given.shape):
            raise InputError(
                f"images has shape {given.shape}, expected {image.shape} for {self.model.name}"
            )
        return self.step(tf.constant(given)).numpy()

    def predict(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        """Return the outputs (images, classes) for any number of images, computed in batches."""
        starts = range(0, max(1, len(images)), batch_size)
        return np.concatenate([self(images[start : start + batch_size]) for start in starts])


def _padded(calls: list[Call]) -> dict[int, Callable[[tf.Tensor], tf.Tensor]]:
    """Return functions for convolutions and max pools that replace the padding layer before them.

    Returns:
        {`id` of a call: function to run instead of its layer}. The functions of the padding layers
        are identities.
    """
    makers = {id(x): call for call in calls for x in call.outputs}
    uses = Counter(id(x) for call in calls for x in call.inputs)
    runs: dict[int, Callable[[tf.Tensor], tf.Tensor]] = {}
    for call in calls:
        layer, pad = call.operation, makers.get(id(call.inputs[0])) if call.inputs else None
        if pad is None or type(pad.operation) is not layers.ZeroPadding2D:
            continue
        plain = getattr(layer, "padding", None) == "valid" and uses[id(call.inputs[0])] == 1
        if not plain or {layer.data_format, pad.operation.data_format} != {"channels_last"}:
            continue
        zeros = [[0, 0], *map(list, pad.operation.padding), [0, 0]]
        if type(layer) is layers.Conv2D and layer.groups == 1:
            runs[id(call)] = partial(_convolve, layer, zeros)
        elif type(layer) is layers.MaxPooling2D and _not_negative(makers.get(id(pad.inputs[0]))):
            sizes = {"ksize": layer.pool_size, "strides": layer.strides, "padding": zeros}
            runs[id(call)] = partial(tf.nn.max_pool2d, **sizes)
        else:
            continue
        runs[id(pad)] = tf.identity
    return runs


def _convolve(layer: keras.layers.Conv2D, zeros: list[list[int]], x: tf.Tensor) -> tf.Tensor:
    kind = layer.compute_dtype  # cast here, because the layer's own call is not used
    x, kernel = tf.cast(x, kind), tf.cast(layer.kernel, kind)
    y = tf.nn.conv2d(x, kernel, layer.strides, zeros, dilations=layer.dilation_rate)
    return layer.activation(tf.nn.bias_add(y, tf.cast(layer.bias, kind)) if layer.use_bias else y)


def _not_negative(call: Call | None) -> bool:
    """Return whether a layer's activation is ReLU, so that padding with 0 changes no maximum."""
    return (
        call is not None and getattr(call.operation, "activation", None) is keras.activations.relu
    )


def deploy(model: keras.Model) -> Deployed:
    """Convert a network to its fastest form for inference. The outputs are the same up to rounding.

    Batch normalisation, rescaling and the means and scales of preprocessing are folded into the
    weights of neighbouring layers, where this is exact. Dropout and auxiliary classifiers are left
    out. The outputs differ from those of `model` by about 1e-6 of the largest output.

    Args:
        model: Functional model with one input, and one output or a dict with `predictions`.

    Returns:
        Function from a batch of images to a NumPy array.

    Raises:
        InputError: If the model is not functional or not built, if it has several inputs, if it
            has several outputs but no `predictions`, or if Keras does not run on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"deploy needs Keras on TensorFlow, not {keras.backend.backend()}; set "
            "KERAS_BACKEND=tensorflow"
        )
    return Deployed(folded(single(model)))
