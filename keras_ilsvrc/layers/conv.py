"""Convolution layer with a fast backward pass on CPUs."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_ilsvrc")
class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` whose gradient with respect to its input is computed by a convolution.

    For stride 1 and "same" padding, the gradient with respect to the input equals a convolution of
    the gradient with respect to the output. Its kernel is rotated by 180 degrees, and its input and
    output channels are exchanged. On a CPU, TensorFlow's own gradient operation is slower if there
    are many small feature maps (`keras-ilsvrc bench net resnet50 --against keras`). In all other
    cases, and on GPUs and other backends, this layer does the same as Keras' layer.

    Shape:
        (batch, height, width, channels), channels last, to (batch, height', width', filters).
    """

    def convolution_op(self, inputs, kernel):
        plain = super().convolution_op
        inputs = ops.cast(inputs, self.compute_dtype)  # integer inputs are possible
        if not self.turns_back():
            return plain(inputs, kernel)
        import tensorflow as tf

        @tf.custom_gradient
        def convolve(inputs, kernel):
            def backward(upstream):
                turned = ops.swapaxes(ops.flip(kernel, (0, 1)), 2, 3)
                of_kernel = tf.raw_ops.Conv2DBackpropFilter(
                    input=inputs,
                    filter_sizes=kernel.shape,
                    out_backprop=upstream,
                    strides=[1, 1, 1, 1],
                    padding="SAME",
                )
                return plain(upstream, turned), of_kernel

            return plain(inputs, kernel), backward

        return convolve(inputs, tf.convert_to_tensor(kernel))

    def turns_back(self):
        """Return whether to compute the gradient with respect to the input as a convolution."""
        return (
            keras.backend.backend() == "tensorflow"
            and not keras.distribution.list_devices("gpu")
            and self.strides == self.dilation_rate == (1, 1)
            and self.groups == 1
            and (self.padding == "same" or self.kernel_size == (1, 1))
            and all(size % 2 for size in self.kernel_size)
            and self.data_format == "channels_last"
        )
