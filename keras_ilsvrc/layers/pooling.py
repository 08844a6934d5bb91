"""Pools by Caffe's rule, which rounds the number of windows up."""

import keras
from keras import layers, ops


def overhang(size, kernel, stride):
    """Zeros after the last pixel with which the windows cover all of `size` pixels.

    Caffe's ceil rule. For a size known only when the net runs, as many as can be needed.
    """
    return stride - 1 if size is None else -(size - kernel) % stride


@keras.saving.register_keras_serializable("keras_ilsvrc")
class CeilAveragePooling2D(layers.AveragePooling2D):
    """An average pool whose windows cover every pixel; the last ones average what they see.

    Caffe's rule: windows begin at the first pixel, their number is rounded up, and those that
    reach over the right or lower edge are cut off there.

    Shape:
        (batch, height, width, channels), channels last, to
        (batch, 1 + ceil((height - rows) / stride), ..., channels).
    """

    def call(self, inputs):
        def averages(x):
            edge = [overhang(*side) for side in self._sides(inputs.shape)]
            x = ops.pad(x, [(0, 0), *((0, zeros) for zeros in edge), (0, 0)])
            return ops.average_pool(x, self.pool_size, self.strides, "valid")

        seen = averages(ops.ones_like(inputs[:1, :, :, :1]))  # the share of a window in the image
        return averages(inputs) / seen

    def compute_output_shape(self, input_shape):
        sizes = [
            None if size is None else 1 + -(-(size - kernel) // stride)
            for size, kernel, stride in self._sides(input_shape)
        ]
        return (input_shape[0], *sizes, input_shape[3])

    def _sides(self, shape):
        return list(zip(shape[1:3], self.pool_size, self.strides))
