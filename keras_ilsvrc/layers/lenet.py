"""What only LeNet-5 has: LeCun et al. 1998, Proceedings of the IEEE 86(11), section II.B."""

import reprlib

import keras
import numpy as np
from keras import layers, ops

from keras_ilsvrc.layers.arguments import check, check_image, is_whole

DEFAULT = "glorot_uniform"  # as in Keras' layers, also where an initializer is None


@keras.saving.register_keras_serializable("keras_ilsvrc")
def scaled_tanh(x):
    """f(x) = 1.7159 tanh(2 x / 3), equation 6 and appendix A: f(1) = 1 and f(-1) = -1."""
    return 1.7159 * ops.tanh(2 / 3 * x)


@keras.saving.register_keras_serializable("keras_ilsvrc")
class TableConv2D(layers.Layer):
    """A convolution whose output maps see only the input maps that a table lists for each.

    Table I of LeCun et al. 1998. There is one kernel a connection, 60 of them in LeNet-5, and one
    bias an output map. They are laid into a dense kernel, zero elsewhere, and convolved at once.

    Args:
        table: For each output map the input maps that feed it, as in `[[0, 1, 2], [1, 2, 3]]`.
        kernel_size: Rows and columns of every kernel.
        activation: A function, or its name in Keras; None for none.
        kernel_initializer: Of the kernels; each is drawn for the fan-in of its own output map.
        bias_initializer: Of the biases.

    Shape:
        (batch, height, width, maps), channels last, to
        (batch, height - kernel_size + 1, width - kernel_size + 1, rows of the table).

    Raises:
        ValueError: If the table is not lists of different maps, if the kernel has no size, or if
            the input has no four dimensions, fewer maps than the table names, or is smaller than
            a kernel.
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
            raise ValueError(f"table is {table!r}; expected a list of maps for each output map")
        for number, maps in enumerate(table):
            whole = isinstance(maps, (list, tuple)) and all(is_whole(index, 0) for index in maps)
            if not whole or not maps or len(set(maps)) < len(maps):
                raise ValueError(
                    f"table[{number}] is {maps!r}; expected different input maps, as in [0, 1, 2]"
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
            raise ValueError(f"table names map {last}; the input has {input_shape[3]} maps from 0")
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
        """Return an initializer that draws each kernel with the fan-in of its own output map."""

        def draw(shape, dtype=None):
            # A dense kernel for each number of inputs; an output map takes its column of its own.
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
        """Return units, connections and multiply-adds of an output (height, width, maps)."""
        positions = output_shape[0] * output_shape[1]
        products = positions * self.kernel_size**2 * len(self.connected)
        units = positions * output_shape[2]
        return units, products + units, products  # each unit has a bias

    def window(self):
        """Return kernel and stride, each of rows and columns."""
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
    """The sum over 2x2 windows, two apart, times a coefficient of the map, plus its bias.

    Layers S2 and S4 of LeCun et al. 1998. A last row or column without a partner is left out.

    Args:
        activation: A function, or its name in Keras; None for none.
        coefficient_initializer: Of the coefficients, drawn for a fan-in of 4.
        bias_initializer: Of the biases.

    Shape:
        (batch, height, width, maps), channels last, to (batch, height // 2, width // 2, maps).

    Raises:
        ValueError: If the input has no four dimensions, an unknown number of maps, or is smaller
            than a window.
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
        """Return an initializer that draws coefficients with a fan-in of 4, as of a 2x2 kernel."""
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
        """Return units, connections and multiply-adds of an output (height, width, maps).

        A unit has four inputs and a bias, which are five connections, and one product.
        """
        units = output_shape[0] * output_shape[1] * output_shape[2]
        return units, 5 * units, units

    def window(self):
        """Return kernel and stride, each of rows and columns."""
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
    """The negative squared distance of the input from each of some fixed codes.

    Equation 7 of LeCun et al. 1998, y_i = sum_j (x_j - w_ij)^2, with its sign turned, so that the
    largest output is the best match and a softmax of it is the posterior of equation 9 without
    the rubbish class. float16 and bfloat16 are computed in float32.

    Args:
        codes: A list of as many numbers as the input has, for each output unit.

    Shape:
        (batch, ..., values of a code) to (batch, ..., codes).

    Raises:
        ValueError: If the codes are not numbers in lists of one length, or the input has another
            number of values.
    """

    def __init__(self, codes, **kwargs):
        super().__init__(**kwargs)
        try:
            values = np.asarray(codes)
        except ValueError:  # lists of several lengths
            values = np.empty(0)
        numbers = values.dtype.kind in "iuf" and np.isfinite(values).all()
        if values.ndim != 2 or not values.size or not numbers:
            found = reprlib.repr(codes)
            raise ValueError(f"codes is {found}; expected lists of numbers, all of one length")
        self.values = values.astype("float64")
        self.supports_masking = True

    def build(self, input_shape):
        units, length = self.values.shape
        if input_shape[-1] != length:
            raise ValueError(f"the input has {input_shape[-1]} values; expected {length}, as codes")
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
        """Return units, connections and multiply-adds of an output (..., codes)."""
        units = int(np.prod(output_shape))
        connections = units * self.values.shape[1]
        return units, connections, connections

    def get_config(self):
        return {**super().get_config(), "codes": self.values.tolist()}
