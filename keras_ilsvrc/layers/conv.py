"""Convolution layer with a fast backward pass on CPUs."""

import keras
from keras import ops

from keras_ilsvrc.layers.processor import runs_on_cpu


@keras.saving.register_keras_serializable("keras_ilsvrc")
class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` that computes the gradient of a 1x1 kernel as a matrix product.

    The gradient of a 1x1 kernel with stride 1 is the product of two matrices: the inputs and the
    gradient with respect to the outputs, each with one row per pixel. On a CPU, this product is
    faster in float32 than TensorFlow's gradient operation (`keras-ilsvrc bench net resnet50
    --against keras`). In all other cases, and on GPUs and other backends, this layer does the same
    as Keras' layer.

    Shape:
        (batch, height, width, channels), channels last, to (batch, height', width', filters).
    """

    def convolution_op(self, inputs, kernel):
        plain = super().convolution_op
        inputs = ops.cast(inputs, self.compute_dtype)  # integer inputs are possible
        if not self.multiplies():
            return plain(inputs, kernel)
        import tensorflow as tf

        @tf.custom_gradient
        def convolve(inputs, kernel):
            def backward(upstream):
                of_inputs = tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=tf.shape(inputs),
                    filter=kernel,
                    out_backprop=upstream,
                    strides=[1, 1, 1, 1],
                    padding="VALID",
                )
                rows, columns = (tf.reshape(x, (-1, x.shape[-1])) for x in (inputs, upstream))
                of_kernel = tf.matmul(rows, columns, transpose_a=True)
                return of_inputs, tf.reshape(of_kernel, kernel.shape)

            return plain(inputs, kernel), backward

        return convolve(inputs, tf.convert_to_tensor(kernel))

    def multiplies(self):
        """Return whether to compute the gradient of the kernel as a matrix product."""
        return (
            runs_on_cpu()
            and self.compute_dtype == "float32"
            and self.kernel_size == self.strides == (1, 1)
            and self.groups == 1
            and self.data_format == "channels_last"
        )
