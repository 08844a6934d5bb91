"""`Array`: a tensor in a weight file, with the steps that convert it to a weight of our model."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.weights.tensors import Stored, Tensors

Values = np.ndarray
PART = 2**21  # bytes of a tensor that are converted at a time; they fit into the CPU cache
ALIGNMENT = 64  # alignment of TensorFlow's tensors in memory, in bytes


class Array(NamedTuple):
    """Tensor in a file, whose values are read and converted only when they are used.

    Attributes:
        key: Name of the tensor in the file.
        stored: Shape, dtype and reading functions of the tensor in the file.
        shape: Shape after all conversion steps.
        steps: Names of the conversion steps, for example "transposed".
        changes: Functions of the conversion steps.
        axis: Axis (0 or -1) of the converted values that corresponds to the first axis in the
            file. None if the steps need the whole tensor at once.
    """

    key: str
    stored: Stored
    shape: tuple[int, ...]
    steps: tuple[str, ...] = ()
    changes: tuple[Callable[[Values], Values], ...] = ()
    axis: int | None = 0

    def then(
        self,
        step: str,
        change: Callable[[Values], Values],
        shape: Sequence[int] | None = None,
        axis: int | None = None,
    ) -> "Array":
        """Return this array with one more step.

        Args:
            step: Name of the step.
            change: Function that converts the values.
            shape: Shape after the step; None if it is unchanged.
            axis: As in the attributes, after the step.
        """
        return self._replace(
            shape=self.shape if shape is None else tuple(shape),
            steps=(*self.steps, step),
            changes=(*self.changes, change),
            axis=axis,
        )

    def transposed(self) -> "Array":
        """Return a kernel (out, in, rows, columns) or (out, in) with the axes in Keras' order."""
        axes = {4: (2, 3, 1, 0), 2: (1, 0)}.get(len(self.shape))
        if axes is None:
            return self
        shape = [self.shape[axis] for axis in axes]
        return self.then("transposed", lambda x: x.transpose(axes), shape, -1)

    def flattened(self) -> "Array":
        """Return a kernel (rows, columns, in, out) as a matrix (rows * columns * in, out)."""
        shape = (math.prod(self.shape[:-1]), self.shape[-1])
        return self.then("flattened", lambda x: x.reshape(shape[0], -1), shape, self.axis)

    def rows_last(self, maps: tuple[int, int, int]) -> "Array":
        """Return a matrix with its rows reordered from (C, H, W) to Keras' order, (H, W, C).

        The matrix belongs to a dense layer after flattened feature maps of the shape `maps`,
        (height, width, channels). It is returned unchanged if the file stores it as a kernel of a
        convolution, or if it has another number of rows.
        """
        height, width, channels = maps
        rows = height * width * channels
        if len(self.stored.shape) != 2 or self.shape[0] != rows or maps[:2] == (1, 1):
            return self

        def reorder(x: Values) -> Values:
            cube = x.reshape(channels, height, width, -1)
            return cube.transpose(1, 2, 0, 3).reshape(rows, -1)

        return self.then("rows to (H, W, C)", reorder, axis=self.axis)

    def ordered(self, axis: int, order: Sequence[int]) -> "Array":
        """Return the array, permuted along an axis: entry `order[i]` becomes entry i."""
        backward = list(order) == list(range(len(order)))[::-1]
        what = "channels reversed" if backward else "channels permuted"
        along = self.axis is not None and axis == self.axis % len(self.shape)
        return self.then(what, lambda x: np.take(x, order, axis), axis=None if along else self.axis)

    def load(self) -> Values:
        """Return all values after all steps, as float32."""
        values = np.empty(math.prod(self.shape) * 4 + ALIGNMENT, "u1")
        start = -values.ctypes.data % ALIGNMENT
        values = values[start : start - ALIGNMENT].view("float32").reshape(self.shape)
        for place, part in self._parts():
            for change in self.changes:
                part = change(part)
            values[place] = part
        return values

    def _parts(self) -> Iterator[tuple[Any, Values]]:
        """Yield parts of the tensor in the file, as (index in the converted values, part)."""
        read, shape = self.stored.rows, self.stored.shape
        if self.axis is None or not shape:
            yield ..., self.stored.load()
            return
        if read is None:
            values = self.stored.load()
            read = lambda start, stop: values[start:stop]  # noqa: E731
        count = max(1, PART // (math.prod(shape[1:]) * self.stored.dtype.itemsize))
        for start in range(0, shape[0], count):
            part = slice(start, min(start + count, shape[0]))
            yield (part if self.axis == 0 else (..., part)), read(part.start, part.stop)


Arrays = dict[str, Array]  # {path of a weight, such as `conv2_1/conv_1/kernel`: Array}


def shape_of(tensors: Mapping[str, Values], key: str) -> tuple[int, ...]:
    """Return the shape of a tensor in a file, or of an array or variable in a mapping."""
    if isinstance(tensors, Tensors):
        return tensors.shape(key)
    return tuple(map(int, tensors[key].shape))


def array_of(tensors: Mapping[str, Values], key: str) -> Array:
    """Return a tensor as an `Array` without steps. Values in a file are not read yet."""
    if isinstance(tensors, Tensors):
        return Array(key, tensors.stored[key], tensors.shape(key))
    values = np.asarray(tensors[key])
    return Array(key, Stored(values.shape, values.dtype, lambda: values), values.shape)


def divide_by_factors(arrays: Arrays) -> Arrays:
    """Divide the statistics of batch normalisation by Caffe's factor, and remove the factors.

    Caffe stores sums of means and of variances, and the factor by which to divide both, which is a
    blob with one value. If the factor is 0, the statistics become 0, as in Caffe.
    """
    divided = {path: array for path, array in arrays.items() if not path.endswith("/factor")}
    for path, factor in arrays.items():
        if path not in divided:
            for word in ("moving_mean", "moving_variance"):
                place = path.removesuffix("factor") + word
                if place in divided:
                    divided[place] = _divided(divided[place], factor)
    return divided


def _divided(array: Array, factor: Array) -> Array:
    def change(values: Values) -> Values:
        by = float(factor.load().ravel()[0])
        return values / by if by else np.zeros_like(values)

    return array.then("divided by factor", change)


def norm_of(layer: str) -> str:
    """Return the name of the batch normalisation layer after one of our convolutions."""
    unit, slash, name = layer.rpartition("/")
    return f"{unit}/{name.replace('conv_', 'bn_')}" if slash else f"{layer}_bn"


def fold_biases(arrays: Arrays, places: Mapping[str, object]) -> Arrays:
    """Fold biases that layers of the model lack into the moving means after these layers.

    Batch normalisation computes gamma (w x + b - mean) / s + beta. The result is the same if b is
    subtracted from the mean instead. The normalisation after layer `conv1` is called `conv1_bn`;
    the one after layer `conv_1` of a residual unit is called `bn_1`.

    Args:
        arrays: {path of a weight: array}.
        places: Mapping whose keys are the paths of the model's weights.
    """
    folded = dict(arrays)
    for path, bias in arrays.items():
        layer, _, word = path.rpartition("/")
        mean = f"{norm_of(layer)}/moving_mean"
        if word == "bias" and path not in places and mean in folded and mean in places:
            folded[mean] = _minus(folded[mean], bias)
            del folded[path]
    return folded


def _minus(mean: Array, bias: Array) -> Array:
    return mean.then(f"minus {bias.key}", lambda x: x - bias.load())


def with_gammas(arrays: Arrays) -> Arrays:
    """Add gammas of 1 for batch normalisation layers that have a beta but no gamma."""
    filled = dict(arrays)
    for path, beta in arrays.items():
        layer, _, word = path.rpartition("/")
        gamma = f"{layer}/gamma"
        if word == "beta" and gamma not in arrays:
            filled[gamma] = beta.then("set to 1", np.ones_like)._replace(key="(none)")
    return filled


def check_finite(array: Array, where: str) -> None:
    """Raise an InputError that names the tensor if one of its values is not finite in float32."""
    if array.stored.dtype.kind not in "fiu":
        raise InputError(
            f"{where}: {array.key} has values of type {array.stored.dtype}, expected numbers; "
            "convert them to float32"
        )
    with np.errstate(all="ignore"):
        values = array.load() if array.axis is None else array.stored.load()
        # A sum is faster to check than each value, and is finite only if each value is finite.
        if np.isfinite(values.sum(dtype="float32")):
            return
        if np.isfinite(values.astype("float32", copy=False)).all():
            return
    raise InputError(f"{where}: a value of {array.key} is not finite; use another copy of the file")
