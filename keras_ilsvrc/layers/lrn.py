"""Local response normalisation: Krizhevsky et al. 2012, section 3.3."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("keras_ilsvrc")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each activation by the energy of its neighbours in channel order.

    b_i = a_i / (k + alpha * sum_j a_j^2) ^ beta, j over `size` channels around i
    (Krizhevsky et al. 2012, section 3.3). The sum is not divided by `size`: Caffe's, PyTorch's
    and ONNX's alpha is `size` times this one. float16 and bfloat16 are computed in float32.

    Args:
        size: Channels summed over, n in the paper; odd.
        k: Added to the sum; keeps the divisor above zero.
        alpha: Weight of the sum.
        beta: Exponent.
        groups: Number of equal parts of the channels that do not see each other: 2 for the
            two towers of the 2012 code.

    Shape:
        (batch, ..., channels), channels last, unchanged.

    Raises:
        ValueError: If `size` is even or not positive, or `groups` does not divide the channels.
    """

    def __init__(self, size=5, k=2.0, alpha=1e-4, beta=0.75, groups=1, **kwargs):
        super().__init__(**kwargs)
        if size < 1 or size % 2 == 0:
            raise ValueError(f"size is {size}; expected an odd positive number of channels")
        if groups < 1:
            raise ValueError(f"groups is {groups}; expected 1 or more")
        self.size, self.k, self.alpha, self.beta, self.groups = size, k, alpha, beta, groups

    def build(self, input_shape):
        channels = input_shape[-1]
        if channels is None or channels % self.groups:
            raise ValueError(f"groups is {self.groups}, which does not divide {channels} channels")
        index = np.arange(channels)
        near = abs(index[:, None] - index) <= self.size // 2
        same_group = index[:, None] * self.groups // channels == index * self.groups // channels
        # Summing over a window of channels is a product with a banded matrix of ones: the
        # fastest form on a CPU, and the same on every backend.
        self.window = (near & same_group).astype("float32")
        self.built = True

    def call(self, inputs):
        inputs = ops.convert_to_tensor(inputs)
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        exact = "float64" if dtype == "float64" else "float32"
        window = ops.convert_to_tensor(self.window, dtype=exact)
        normalise = _normalisation(window, self.k, self.alpha, self.beta)
        return ops.cast(normalise(ops.cast(inputs, exact)), dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = {name: getattr(self, name) for name in ("size", "k", "alpha", "beta", "groups")}
        return {**super().get_config(), **own}


def _normalisation(window, k, alpha, beta):
    """The function a -> b with its gradient written out, which halves the time of both."""

    @ops.custom_gradient
    def normalise(a):
        energy = k + alpha * ops.matmul(ops.square(a), window)
        divisor = _inverse_power(energy, beta)
        b = a * divisor

        def gradient(*args, upstream=None):
            if upstream is None:  # TensorFlow and JAX pass it alone, torch after the inputs
                (upstream,) = args
            through = ops.matmul(upstream * b / energy, window)
            return upstream * divisor - (2 * alpha * beta) * a * through

        return b, gradient

    return normalise


def _inverse_power(x, beta):
    """x ** -beta; the papers' 0.75 by two square roots, which are several times faster."""
    if beta == 0.75:
        root = ops.rsqrt(x)
        return root * ops.sqrt(root)
    return ops.power(x, -beta)
