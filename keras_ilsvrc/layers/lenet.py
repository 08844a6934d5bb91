"""Layers of LeNet-5 (LeCun et al. 1998, Proceedings of the IEEE 86(11), section II.B)."""

import reprlib

import keras
import numpy as np
from keras import layers, ops

from keras_ilsvrc.layers.arguments import check, check_image, is_whole

DEFAULT = "glorot_uniform"  # Keras' default; also used if an initializer is None


@keras.saving.register_keras_serializable("keras_ilsvrc")
def scaled_tanh(x):
    """Return 1.7159 tanh(2 x / 3), which maps 1 to 1 and -1 to -1 (LeCun et al., equation 6)."""
    return 1.7159 * ops.tanh(2 / 3 * x)


@keras.saving.register_keras_serializable("keras_ilsvrc")
class TableConv2D(layers.Layer):
    """Convolution with a table that lists the input feature maps of each output feature map.

    This is layer C3 of LeNet-5 (LeCun et al. 1998, table I). Each connection from an input map to
    an output map has a kernel (60 in LeNet-5), and each output map has a bias. To compute all maps
    with a single convolution, the kernels are copied into one dense kernel that is zero elsewhere.

    Args:
        table: Indices of the input maps of each output map, for example `[[0, 1, 2], [1, 2, 3]]`.
        kernel_size: Height and width of every kernel, as a single number.
        activation: Activation function or name of a Keras activation; None for no activation.
        kernel_initializer: Initializer of the kernels. The fan-in of a kernel depends on the number
            of input maps of its output map.
        bias_initializer: Initializer of the biases.

    Shape:
        (batch, height, width, maps), channels last, to
        (batch, height - kernel_size + 1, width - kernel_size + 1, number of rows in the table).

    Raises:
        ValueError: If the table is not a list of lists of distinct indices, if `kernel_size` is not
            a whole number above 0, or if the input is not four-dimensional, is smaller than a
            kernel, or has fewer maps than the table uses.
    """

    def __init__(
        self,
        table,
        kernel_size,
        activation=None,
        kernel_initializer=DEFAULT,
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(table, (list, tuple)) or not table:
            raise ValueError(
                f"table is {table!r}; expected one list of input maps for each output map"
            )
        for number, maps in enumerate(table):
            whole = isinstance(maps, (list, tuple)) and all(is_whole(index, 0) for index in maps)
            if not whole or not maps or len(set(maps)) < len(maps):
                raise ValueError(
                    f"table[{number}] is {maps!r}; expected distinct input maps, for example "
                    "[0, 1, 2]"
                )
        check("kernel_size", kernel_size, is_whole(kernel_size, 1), "a whole number above 0")
        self.table = tuple(tuple(int(index) for index in maps) for maps in table)
        self.kernel_size = int(kernel_size)
        self.connected = [(i, o) for o, maps in enumerate(self.table) for i in maps]
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer or DEFAULT)
        self.bias_initializer = keras.initializers.get(bias_initializer or "zeros")

    def build(self, input_shape):
        last = max(index for index, _ in self.connected)
        check_image(input_shape, (self.kernel_size, self.kernel_size))
        if input_shape[3] <= last:
            raise ValueError(
                f"table uses input map {last}, but the last input map is {input_shape[3] - 1}; "
                "change the table, or use an input with more maps"
            )
        side, connections = self.kernel_size, len(self.connected)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(side, side, connections),
            initializer=self.by_fan_in(self.kernel_initializer),
        )
        self.bias = self.add_weight(
            name="bias", shape=(len(self.table),), initializer=self.bias_initializer
        )
        self.place = np.zeros((connections, input_shape[3], len(self.table)), "float32")
        for number, (i, o) in enumerate(self.connected):
            self.place[number, i, o] = 1
        self.input_spec = keras.InputSpec(ndim=4, axes={-1: input_shape[3]})
        self.built = True

    def by_fan_in(self, initializer):
        """Return an initializer that draws each kernel with the fan-in of its output map."""

        def draw(shape, dtype=None):
            # The rows of the table differ in length. For each length n, draw a dense kernel with n
            # input maps. A row of length n then uses the part of this kernel for its output map.
            filters, counts = len(self.table), sorted({len(maps) for maps in self.table})
            dense = [initializer((*shape[:2], count, filters), dtype=dtype) for count in counts]
            dense = ops.reshape(ops.concatenate(dense, axis=2), (*shape[:2], -1))
            start = dict(zip(counts, np.cumsum([0, *counts])))
            own = [
                (start[len(maps)] + number) * filters + output
                for output, maps in enumerate(self.table)
                for number in range(len(maps))
            ]
            return ops.take(dense, np.array(own), axis=-1)

        return draw

    def call(self, inputs):
        check_image(inputs.shape, (self.kernel_size, self.kernel_size))
        inputs = ops.cast(inputs, self.compute_dtype)
        connections, maps, filters = self.place.shape
        place = ops.convert_to_tensor(self.place, dtype=self.compute_dtype)
        dense = ops.matmul(self.kernel, ops.reshape(place, (connections, maps * filters)))
        dense = ops.reshape(dense, (self.kernel_size, self.kernel_size, maps, filters))
        x = ops.conv(inputs, dense, padding="valid", data_format="channels_last")
        return self.activation(ops.add(x, self.bias))

    def compute_output_shape(self, input_shape):
        check_image(input_shape, (self.kernel_size, self.kernel_size))
        sizes = [size and size - self.kernel_size + 1 for size in input_shape[1:3]]
        return (input_shape[0], *sizes, len(self.table))

    def cost(self, output_shape):
        """Return (units, connections, multiply-adds) for outputs of shape (height, width, maps)."""
        positions = output_shape[0] * output_shape[1]
        products = positions * self.kernel_size**2 * len(self.connected)
        units = positions * output_shape[2]
        return units, products + units, products  # each unit's bias is a connection too

    def window(self):
        """Return the kernel size and the strides, each as (rows, columns)."""
        return (self.kernel_size, self.kernel_size), (1, 1)

    def get_config(self):
        return {
            **super().get_config(),
            "table": [list(maps) for maps in self.table],
            "kernel_size": self.kernel_size,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }


@keras.saving.register_keras_serializable("keras_ilsvrc")
class Subsampling2D(layers.Layer):
    """Layer that sums 2x2 windows (stride 2), with a trainable coefficient and bias for each map.

    Layers S2 and S4 of LeNet-5 are of this kind (LeCun et al. 1998). If the height or width is odd,
    the last row or column is ignored.

    Args:
        activation: Activation function or name of a Keras activation; None for no activation.
        coefficient_initializer: Initializer of the coefficients, drawn with a fan-in of 4.
        bias_initializer: Initializer of the biases.

    Shape:
        (batch, height, width, maps), channels last, to (batch, height // 2, width // 2, maps).

    Raises:
        ValueError: If the input is not four-dimensional, has an unknown number of maps, or is
            smaller than a window.
    """

    def __init__(
        self,
        activation=None,
        coefficient_initializer=DEFAULT,
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)
        self.coefficient_initializer = keras.initializers.get(coefficient_initializer or DEFAULT)
        self.bias_initializer = keras.initializers.get(bias_initializer or "zeros")

    def build(self, input_shape):
        check_image(input_shape, (2, 2))
        self.coefficient = self.add_weight(
            name="coefficient",
            shape=input_shape[3:],
            initializer=self.by_fan_in(self.coefficient_initializer),
        )
        self.bias = self.add_weight(
            name="bias", shape=input_shape[3:], initializer=self.bias_initializer
        )
        self.input_spec = keras.InputSpec(ndim=4, axes={-1: input_shape[3]})
        self.built = True

    def by_fan_in(self, initializer):
        """Return an initializer that draws coefficients with a fan-in of 4, as for a 2x2 kernel."""
        return lambda shape, dtype=None: initializer((2, 2, 1, *shape), dtype=dtype)[0, 0, 0]

    def call(self, inputs):
        check_image(inputs.shape, (2, 2))
        inputs = ops.cast(inputs, self.compute_dtype)
        mean = ops.average_pool(inputs, 2, 2, "valid", data_format="channels_last")
        return self.activation(ops.add(ops.multiply(4 * mean, self.coefficient), self.bias))

    def compute_output_shape(self, input_shape):
        check_image(input_shape, (2, 2))
        return (input_shape[0], *(size and size // 2 for size in input_shape[1:3]), input_shape[3])

    def cost(self, output_shape):
        """Return (units, connections, multiply-adds) for outputs of shape (height, width, maps).

        A unit has five connections (four inputs and a bias) and one multiply-add.
        """
        units = output_shape[0] * output_shape[1] * output_shape[2]
        return units, 5 * units, units

    def window(self):
        """Return the kernel size and the strides, each as (rows, columns)."""
        return (2, 2), (2, 2)

    def get_config(self):
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "coefficient_initializer": keras.initializers.serialize(self.coefficient_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }


@keras.saving.register_keras_serializable("keras_ilsvrc")
class RadialBasis(layers.Layer):
    """Layer that returns the negative squared distances between its input and its fixed codes.

    This is equation 7 of LeCun et al. 1998, y_i = sum_j (x_j - w_ij)^2, with the sign changed. So
    the largest output belongs to the code that matches best. The softmax of the outputs is the
    posterior probability in equation 9, but without the paper's rubbish class. float16 and bfloat16
    inputs are cast to float32.

    Args:
        codes: List of codes, one per output unit. Each code has as many numbers as the input.

    Shape:
        (batch, ..., numbers in a code) to (batch, ..., number of codes).

    Raises:
        ValueError: If the codes are not lists of numbers of the same length, or the input has a
            different length.
    """

    def __init__(self, codes, **kwargs):
        super().__init__(**kwargs)
        try:
            values = np.asarray(codes)
        except ValueError:  # the lists have different lengths
            values = np.empty(0)
        numbers = values.dtype.kind in "iuf" and np.isfinite(values).all()
        if values.ndim != 2 or not values.size or not numbers:
            found = reprlib.repr(codes)
            raise ValueError(f"codes is {found}; expected lists of numbers, all of the same length")
        self.values = values.astype("float64")
        self.supports_masking = True

    def build(self, input_shape):
        units, length = self.values.shape
        if input_shape[-1] != length:
            raise ValueError(
                f"the input has {input_shape[-1]} values; expected {length}, the length of a code"
            )
        self.codes = self.add_weight(
            name="codes",
            shape=(units, length),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(self.values, dtype=dtype),
            trainable=False,
            autocast=False,
        )
        self.input_spec = keras.InputSpec(min_ndim=2, axes={-1: length})
        self.built = True

    def call(self, inputs):
        exact = "float64" if self.compute_dtype == "float64" else "float32"
        x = ops.cast(ops.expand_dims(inputs, -2), exact)
        distance = ops.sum(ops.square(x - ops.cast(self.codes, exact)), axis=-1)
        return ops.cast(-distance, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], len(self.values))

    def cost(self, output_shape):
        """Return (units, connections, multiply-adds) for outputs of shape (..., codes)."""
        units = int(np.prod(output_shape))
        connections = units * self.values.shape[1]
        return units, connections, connections

    def get_config(self):
        return {**super().get_config(), "codes": self.values.tolist()}
