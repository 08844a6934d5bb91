"""Average pooling that rounds the number of windows up, as Caffe does."""

import keras
import numpy as np
from keras import layers, ops

from keras_ilsvrc.layers.arguments import check, check_image


def overhang(size, kernel, stride):
    """Return the number of zeros to append so that the pooling windows cover all `size` pixels.

    As in Caffe, the number of windows is rounded up. If `size` is None (unknown), the returned
    number of zeros is enough for any size.
    """
    return stride - 1 if size is None else -(size - kernel) % stride


@keras.saving.register_keras_serializable("keras_ilsvrc")
class CeilAveragePooling2D(layers.AveragePooling2D):
    """Average pooling layer that covers every pixel and excludes padding from the averages.

    As in Caffe, windows begin at the first pixel, and their number is rounded up. Windows that
    extend beyond the right or lower edge are cut off there. The arguments are those of
    `keras.layers.AveragePooling2D`.

    Shape:
        (batch, height, width, channels), channels last, to (batch, height', width', channels).
        height' is 1 + ceil((height - pool height) / stride), and width' is computed likewise.

    Raises:
        ValueError: If `padding` is not "valid", `data_format` is not "channels_last", `strides`
            is larger than `pool_size` and skips pixels, or the image is too small for one window.
    """

    def __init__(self, pool_size, strides=None, padding="valid", data_format=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, **kwargs)
        last = self.data_format == "channels_last"
        cover = strides != 0 and all(np.less_equal(self.strides, self.pool_size))
        check("padding", padding, self.padding == "valid", "'valid'")
        check("data_format", self.data_format, last, "'channels_last'; pass it as an argument")
        check("strides", strides, cover, f"at least 1 and at most pool_size={self.pool_size}")
        # Smallest input size (rows, columns) that gives at least one window.
        self.least = [k - stride + 1 for k, stride in zip(self.pool_size, self.strides)]

    def call(self, inputs):
        check_image(inputs.shape, self.least)
        inputs = ops.cast(inputs, self.compute_dtype)
        edge = [_edge(*side) for side in self._sides(ops.shape(inputs))]

        def averages(x):
            x = ops.pad(x, [(0, 0), *((0, zeros) for zeros in edge), (0, 0)])
            return ops.average_pool(x, self.pool_size, self.strides, "valid", "channels_last")

        # The average of ones is the fraction of each window that lies inside the image.
        seen = averages(ops.ones_like(inputs[:1, :, :, :1]))
        return averages(inputs) / seen

    def compute_output_shape(self, input_shape):
        check_image(input_shape, self.least)
        sizes = [
            None if size is None else 1 + -(-(size - kernel) // stride)
            for size, kernel, stride in self._sides(input_shape)
        ]
        return (input_shape[0], *sizes, input_shape[3])

    def _sides(self, shape):
        return list(zip(shape[1:3], self.pool_size, self.strides))


def _edge(size, kernel, stride):
    """Return the number of zeros to append to `size` pixels of one dimension.

    If the size is unknown while the graph is built, `size` is a tensor. The number of zeros is then
    large enough for at least one window.
    """
    zeros = overhang(size, kernel, stride)
    return zeros if isinstance(size, int) else ops.maximum(zeros, kernel - size)
