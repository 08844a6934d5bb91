"""`Array`: a tensor on its way from a file to a weight, and the steps that convert its values."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.weights.tensors import Tensors

Values = np.ndarray


class Array(NamedTuple):
    """A tensor of a file whose values are read and converted when they are used.

    Attributes:
        key: Name of the tensor in the file.
        stored_shape: Shape of the tensor in the file.
        shape: Shape after all steps.
        load: Function that reads the tensor and applies all steps.
        steps: The steps in words, for example "transposed".
    """

    key: str
    stored_shape: tuple[int, ...]
    shape: tuple[int, ...]
    load: Callable[[], Values]
    steps: tuple[str, ...] = ()

    def then(
        self, step: str, change: Callable[[Values], Values], shape: Sequence[int] | None = None
    ) -> "Array":
        """Return this array with one more step; `shape` is the shape after it, if it differs."""
        after = self.shape if shape is None else tuple(shape)
        load = self.load
        return self._replace(
            shape=after, load=lambda: change(load()), steps=(*self.steps, *([step] * bool(step)))
        )

    def transposed(self) -> "Array":
        """Return a kernel (out, in, rows, columns) or (out, in) in Keras' order of axes."""
        axes = {4: (2, 3, 1, 0), 2: (1, 0)}.get(len(self.shape))
        if axes is None:
            return self
        return self.then(
            "transposed", lambda x: x.transpose(axes), [self.shape[axis] for axis in axes]
        )

    def flattened(self, keep: int = 0) -> "Array":
        """Return the array with all axes but the last `keep` as one axis."""
        kept = self.shape[len(self.shape) - keep :]
        shape = (math.prod(self.shape[: len(self.shape) - keep]), *kept)
        return self.then("flattened", lambda x: x.reshape(shape), shape)

    def rows_last(self, maps: tuple[int, int, int]) -> "Array":
        """Return a matrix whose rows are in the order (H, W, C) of a flattened map, not (C, H, W).

        A matrix with another number of rows is returned as it is, and so is one that was stored as
        a kernel of rows and columns.
        """
        height, width, channels = maps
        spatial = len(self.stored_shape) == 4 and self.stored_shape[:2] != (1, 1)
        if spatial or self.shape[0] != height * width * channels or maps[:2] == (1, 1):
            return self
        shape = self.shape

        def reorder(x: Values) -> Values:
            cube = x.reshape(channels, height, width, -1)
            return cube.transpose(1, 2, 0, 3).reshape(shape)

        return self.then("rows to (H, W, C)", reorder)

    def ordered(self, axis: int, order: Sequence[int]) -> "Array":
        """Return the array with the entries along an axis in another order."""
        backward = list(order) == list(range(len(order)))[::-1]
        what = "channels reversed" if backward else "channels permuted"
        return self.then(what, lambda x: np.take(x, order, axis))


Arrays = dict[str, Array]  # {path of a weight, such as `conv2_1/conv_1/kernel`: Array}


def shape_of(tensors: Mapping[str, Values], key: str) -> tuple[int, ...]:
    """Return the shape of a tensor in a file, or of an array or variable in a mapping."""
    if isinstance(tensors, Tensors):
        return tensors.shape(key)
    return tuple(map(int, tensors[key].shape))


def array_of(tensors: Mapping[str, Values], key: str) -> Array:
    """Return the `Array` of a tensor, before any step. The tensor is not read."""
    shape = shape_of(tensors, key)
    return Array(key, shape, shape, lambda: np.asarray(tensors[key]))


def divide_by_factors(arrays: Arrays) -> Arrays:
    """Divide the statistics of batch normalisation by Caffe's factor, and remove the factors.

    Caffe stores sums of statistics, and the sum of their weights as a blob with one value. Where
    the factor is 0, the statistics are 0, as in Caffe.
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
        (by,) = factor.load().ravel()
        return values / by if by else np.zeros_like(values)

    return array.then("divided by factor", change)


def norm_of(layer: str) -> str:
    """Return the name of the batch normalisation that follows a convolution of ours."""
    unit, slash, name = layer.rpartition("/")
    return f"{unit}/{name.replace('conv_', 'bn_')}" if slash else f"{layer}_bn"


def fold_biases(arrays: Arrays, places: Mapping[str, object]) -> Arrays:
    """Remove biases that the model lacks, and subtract them from the moving means of BN instead.

    Batch normalisation computes gamma (w x + b - mean) / s + beta. The result is the same if b is
    subtracted from the mean instead. The normalisation after a layer `conv1` is called `conv1_bn`,
    that after a layer `conv_1` of a residual unit `bn_1`.

    Args:
        arrays: Arrays by paths of weights.
        places: Paths of the weights of the model.
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
    """Add gammas of 1 to batch normalisations that have a beta but no gamma."""
    filled = dict(arrays)
    for path, beta in arrays.items():
        layer, _, word = path.rpartition("/")
        gamma = f"{layer}/gamma"
        if word == "beta" and gamma not in arrays:
            one = beta._replace(key="(none)", stored_shape=())
            filled[gamma] = one.then("set to 1", np.ones_like)
    return filled


def check_finite(array: Array, where: str) -> None:
    """Raise an InputError that names the tensor if one of its values is not finite."""
    values = array.load()
    if values.dtype.kind not in "fiu":
        raise InputError(
            f"{where}: {array.key} has values of type {values.dtype}; expected numbers: convert "
            "the file"
        )
    # A sum is faster than a look at each value, and is finite only if each value is.
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum(dtype="float32")) or np.isfinite(values).all():
            return
    raise InputError(
        f"{where}: a value of {array.key} is not finite; expected finite values: use another copy "
        "of the file"
    )
