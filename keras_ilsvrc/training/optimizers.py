"""The papers' optimizers."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_ilsvrc")
class SGD(keras.optimizers.SGD):
    """Momentum with weight decay inside it, as the papers and Caffe have it.

    v = momentum * v - rate * (gradient + l2 * w), w = w + v (Krizhevsky et al. 2012, section 5).
    Only kernels decay; biases, gamma and beta do not. Keras' own `weight_decay` stands outside
    the momentum and decays everything.

    Args:
        l2: Weight of w in the gradient, 0 or above.
        **kwargs: As for `keras.optimizers.SGD`.
    """

    def __init__(self, learning_rate=0.01, momentum=0.0, l2=0.0, **kwargs):
        super().__init__(learning_rate, momentum, **kwargs)
        self.l2 = l2

    def build(self, variables):
        super().build(variables)
        self._is_kernel = [variable.name == "kernel" for variable in variables]

    def update_step(self, gradient, variable, learning_rate):
        if self.l2 and self._is_kernel[self._get_variable_index(variable)]:
            decay = ops.multiply(ops.cast(self.l2, variable.dtype), variable)
            gradient = ops.add(gradient, ops.cast(decay, gradient.dtype))
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        return {**super().get_config(), "l2": self.l2}
