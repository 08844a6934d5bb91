"""Grouped convolution, for AlexNet's two towers (Krizhevsky et al. 2012, figure 2)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_ilsvrc")
class GroupedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` that computes its groups as separate convolutions.

    Arguments, weights, names and results are those of `keras.layers.Conv2D(groups=...)`. There is
    one kernel of shape (rows, columns, channels / groups, filters), and the output channels are
    ordered by group. On a CPU, Keras' own grouped convolution runs in an XLA-compiled function,
    which is several times slower (`keras-ilsvrc bench layers`).

    Shape:
        (batch, height, width, channels), channels last, to (batch, height', width', filters).
        With channels first, this layer does the same as Keras' layer.

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
