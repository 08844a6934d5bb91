"""Convolution in groups: AlexNet's two towers (Krizhevsky et al. 2012, figure 2)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_ilsvrc")
class GroupedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` that computes its groups as separate convolutions.

    Same arguments, weights, names and results as `keras.layers.Conv2D(groups=...)`, with one
    kernel of shape (rows, columns, channels / groups, filters) and output channels ordered by
    group. On a CPU, Keras compiles a grouped convolution separately, which is several times
    slower (`keras-ilsvrc bench layers`).

    Shape:
        (batch, height, width, channels), channels last, to (batch, height', width', filters).
        Inputs with channels first are left to Keras.

    Raises:
        ValueError: If `groups` does not divide the channels and the filters evenly.
    """

    def convolution_op(self, inputs, kernel):
        convolve = super().convolution_op
        inputs = ops.cast(inputs, self.compute_dtype)  # the inputs may be integers
        if self.groups == 1 or self.data_format == "channels_first":
            return convolve(inputs, kernel)
        parts = ops.split(inputs, self.groups, axis=-1)
        kernels = ops.split(kernel, self.groups, axis=-1)
        return ops.concatenate([convolve(x, k) for x, k in zip(parts, kernels)], axis=-1)
