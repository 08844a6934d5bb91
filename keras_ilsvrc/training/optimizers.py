"""Optimizers as in Caffe: weight decay of kernels only, and separate learning rates of biases."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras
from keras import ops

from keras_ilsvrc.training.schedules import Rate

NONE: Mapping[str, float] = MappingProxyType({})


class ByName:
    """Mixin for optimizers: weight decay of kernels, and learning rate factors by weight.

    The decay `l2` is added to the gradient. The decay `decoupled` shrinks the weight before the
    update. Only kernels decay; biases, gamma and beta do not. By contrast, Keras' own
    `weight_decay` applies to all weights. Besides, Keras does not apply it in `update_step`, the
    only method that `training.update.Update` calls.
    """

    def set_up(self, l2: float, rates: Mapping[str, float], decoupled: float = 0.0) -> None:
        self.l2, self.rates, self.decoupled = l2, dict(rates), decoupled

    def build(self, variables: Sequence[keras.Variable]) -> None:
        super().build(variables)  # type: ignore[misc]
        self._names = [variable.name for variable in variables]
        named = [(self.rates.get(x.name, 1.0), x.path) for x in variables]
        self._factors = [self.rates.get(path, factor) for factor, path in named]

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)  # type: ignore[attr-defined]
        name, factor = self._names[index], self._factors[index]
        if self.l2 and name == "kernel":
            decay = ops.multiply(ops.cast(self.l2, variable.dtype), variable)
            gradient = ops.add(gradient, ops.cast(decay, gradient.dtype))
        if factor != 1:
            learning_rate = ops.multiply(learning_rate, factor)
        if self.decoupled and name == "kernel":
            share = ops.cast(ops.multiply(learning_rate, self.decoupled), variable.dtype)
            self.assign_sub(variable, ops.multiply(share, variable))  # type: ignore[attr-defined]
        super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()  # type: ignore[misc]
        return {**config, "l2": self.l2, "rates": dict(self.rates)}


@keras.saving.register_keras_serializable("keras_ilsvrc")
class SGD(ByName, keras.optimizers.SGD):
    """SGD with momentum, and with weight decay added to the gradient, as in the papers and Caffe.

    v = momentum * v - rate * (gradient + l2 * w), w = w + v (Krizhevsky et al. 2012, section 5).
    Only kernels decay, as in Caffe's networks; biases, gamma and beta do not.

    Args:
        l2: Coefficient of the weight decay `l2 * w`, 0 or above.
        rates: Factors by which the learning rate is multiplied, by weight name, for example
            `{"bias": 2.0}` as in Caffe's networks, or by weight path, for example
            `{"fc8/kernel": 10.0}`. If both are given for a weight, the factor of the path is used.
        **kwargs: Arguments of `keras.optimizers.SGD`.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.0,
        l2: float = 0.0,
        rates: Mapping[str, float] = NONE,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, momentum, **kwargs)
        self.set_up(l2, rates)


@keras.saving.register_keras_serializable("keras_ilsvrc")
class RMSprop(ByName, keras.optimizers.RMSprop):
    """RMSProp with epsilon inside the square root (Szegedy et al., arXiv:1512.00567, section 8).

    s = rho * s + (1 - rho) * g^2, v = momentum * v + rate * g / sqrt(s + epsilon), w = w - v, for
    g = gradient + l2 * w. The paper uses rho 0.9 and epsilon 1.0. TensorFlow, which its authors
    used, adds epsilon inside the square root.

    Args:
        l2: Coefficient of the weight decay `l2 * w` of kernels, 0 or above.
        rates: Factors by which the learning rate is multiplied, as in `SGD`.
        **kwargs: Arguments of `keras.optimizers.RMSprop`.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.045,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1.0,
        l2: float = 0.0,
        rates: Mapping[str, float] = NONE,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, rho, momentum, epsilon, **kwargs)
        self.set_up(l2, rates)


@keras.saving.register_keras_serializable("keras_ilsvrc")
class AdamW(ByName, keras.optimizers.Adam):
    """Adam with decoupled weight decay of kernels (Loshchilov and Hutter, arXiv:1711.05101).

    Before each step of Adam, kernels are multiplied by `1 - learning_rate * weight_decay`. Without
    weight decay, this is Adam (Kingma and Ba, arXiv:1412.6980), with epsilon placed as in Keras.

    Args:
        weight_decay: Coefficient of the weight decay of kernels, 0 or above.
        rates: Factors of the learning rate, as in `SGD`.
        **kwargs: Arguments of `keras.optimizers.Adam`.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        weight_decay: float = 0.0,
        rates: Mapping[str, float] = NONE,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.set_up(0.0, rates, weight_decay)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["l2"]
        return {**config, "weight_decay": self.decoupled}
