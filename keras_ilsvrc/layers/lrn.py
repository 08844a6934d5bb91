"""Local response normalisation layer (Krizhevsky et al. 2012, section 3.3)."""

import keras
import numpy as np
from keras import ops

from keras_ilsvrc.layers.arguments import check, is_number, is_whole


@keras.saving.register_keras_serializable("keras_ilsvrc")
class LocalResponseNormalization(keras.layers.Layer):
    """Layer for local response normalisation across adjacent channels.

    b_i = a_i / (k + alpha * sum_j a_j^2) ^ beta, where j runs over the `size` channels around i
    (Krizhevsky et al. 2012, section 3.3). Unlike in Caffe, PyTorch and ONNX, the sum is not divided
    by `size`, so their alpha is `size` times this alpha. float16 and bfloat16 inputs are cast to
    float32.

    Args:
        size: Number of channels in the sum (n in the paper), an odd number.
        k: Constant added to the weighted sum, so that the divisor is above zero.
        alpha: Weight of the sum.
        beta: Exponent.
        groups: Number of equal groups of channels that are normalised separately; 2 for the two
            towers of AlexNet's code.

    Shape:
        (batch, ..., channels), channels last, unchanged.

    Raises:
        ValueError: If `size` is not an odd whole number, `k` is not above 0, `alpha` or `beta` is
            below 0, or the number of channels is not a multiple of `groups`.
    """

    def __init__(self, size=5, k=2.0, alpha=1e-4, beta=0.75, groups=1, **kwargs):
        super().__init__(**kwargs)
        odd = is_whole(size, 1) and size % 2 == 1
        check("size", size, odd, "an odd positive number of channels")
        check("k", k, is_number(k, 0) and k > 0, "a number above 0")
        check("alpha", alpha, is_number(alpha, 0), "a number of at least 0")
        check("beta", beta, is_number(beta, 0), "a number of at least 0")
        check("groups", groups, is_whole(groups, 1), "a whole number of at least 1")
        self.size, self.groups = int(size), int(groups)
        self.k, self.alpha, self.beta = float(k), float(alpha), float(beta)
        self.supports_masking = True

    def build(self, input_shape):
        channels = input_shape[-1]
        if channels is None or channels % self.groups:
            raise ValueError(
                f"the input has {channels} channels; expected a multiple of groups={self.groups}"
            )
        index = np.arange(channels)
        near = abs(index[:, None] - index) <= self.size // 2
        same_group = index[:, None] * self.groups // channels == index * self.groups // channels
        # The sums over windows of channels are computed as a product with a banded matrix of ones.
        # This is the fastest way on a CPU, and it works on every backend.
        self.window = (near & same_group).astype("float32")
        self.input_spec = keras.InputSpec(min_ndim=2, axes={-1: channels})
        self.built = True

    def call(self, inputs):
        exact = "float64" if self.compute_dtype == "float64" else "float32"
        window = ops.convert_to_tensor(self.window, dtype=exact)
        normalise = _normalisation(window, self.k, self.alpha, self.beta)
        return ops.cast(normalise(ops.cast(inputs, exact)), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = {name: getattr(self, name) for name in ("size", "k", "alpha", "beta", "groups")}
        return {**super().get_config(), **own}


def _normalisation(window, k, alpha, beta):
    """Return the normalisation as a function with a custom gradient, which speeds up training."""

    @ops.custom_gradient
    def normalise(a):
        energy = k + ops.matmul(ops.square(a), alpha * window)
        divisor = _inverse_power(energy, beta)

        def gradient(*args, upstream=None):
            if upstream is None:  # TensorFlow and JAX pass the gradient by position
                (upstream,) = args
            scaled = upstream * divisor
            return scaled + a * ops.matmul(scaled * a / energy, -2 * alpha * beta * window)

        return a * divisor, gradient

    return normalise


def _inverse_power(x, beta):
    """Return x ** -beta."""
    if beta == 0.75:  # two square roots are several times faster than `ops.power`
        root = ops.rsqrt(x)
        return root * ops.sqrt(root)
    return ops.power(x, -beta)
