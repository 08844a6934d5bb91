"""Rules by which signals pass back through ReLU: deconvnet, guided backpropagation, gradient.

All of these rules run a net backwards as a vector-Jacobian product. Convolutions and dense layers
apply their transposes, max pools send a signal to the position of the maximum (Zeiler and Fergus'
switches), and sums, concatenations and paddings need no special treatment.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_ilsvrc.layers import LocalResponseNormalization

Backward = Callable[[Any, Any], Any]  # function of (signal at an op's output, the op's input)


class Rule(NamedTuple):
    """Rule by which signals pass back through a network.

    Attributes:
        relu: Function that replaces the gradient of ReLU; None keeps the gradient.
        past_normalization: Whether signals pass through LRN layers unchanged.
    """

    relu: Backward | None
    past_normalization: bool


def rectified_signal(signal: Any, x: Any) -> Any:
    """Pass back positive signals only, whatever the ReLU's input was (deconvnet)."""
    return tf.nn.relu(signal)


def rectified_twice(signal: Any, x: Any) -> Any:
    """Pass back positive signals where the ReLU's input was positive (guided backpropagation)."""
    return tf.where(x > 0, tf.nn.relu(signal), tf.zeros_like(signal))


RELUS = (keras.activations.relu, keras.ops.relu, tf.nn.relu)
RULES = {
    "gradient": Rule(None, False),
    # Zeiler and Fergus, arXiv:1311.2901, section 2.1. The paper does not say how to invert local
    # response normalisation. As in other implementations, signals pass through it unchanged.
    "deconvnet": Rule(rectified_signal, True),
    # Springenberg et al., arXiv:1412.6806, section 3.4. Their nets have no normalisation.
    "guided": Rule(rectified_twice, False),
}


def by_rule(operation: Any, rule: Rule) -> Callable[..., Any]:
    """Return a copy of an operation in which ReLU and LRN backpropagate by `rule`.

    The rule applies to ReLU as a layer, as an operation, and as the `activation` of any layer. It
    does not apply to a ReLU in the code of a layer's `call`, or to a maximum with zero.
    """
    if rule.past_normalization and isinstance(operation, LocalResponseNormalization):
        return _with_backward(operation, lambda signal, x: signal)
    if rule.relu is None:
        return operation
    relu = _with_backward(tf.nn.relu, rule.relu)
    if not is_relu(operation):
        return operation
    if _rectifies(getattr(operation, "activation", None)):
        return twin(operation, activation=relu)
    return lambda x, *args, **kwargs: relu(x)


def twin(layer: Any, **attributes: Any) -> Any:
    """Return a copy of a layer with changed attributes. The copy shares the layer's weights."""
    made = object.__new__(type(layer))
    made.__dict__.update(layer.__dict__, **attributes)
    return made


def _with_backward(forward: Callable[[Any], Any], backward: Backward) -> Callable[[Any], Any]:
    @tf.custom_gradient
    def run(x: Any) -> Any:
        return forward(x), lambda signal: backward(signal, x)

    return run


def is_relu(operation: Any) -> bool:
    """Return whether a layer or an operation is a ReLU, or has ReLU as its activation."""
    return _rectifies(operation) or _rectifies(getattr(operation, "activation", None))


def _rectifies(what: Any) -> bool:
    """Return whether a function, layer or operation is a plain ReLU, max(x, 0)."""
    if what in RELUS:
        return True
    if type(what).__name__ == "Relu" and isinstance(what, keras.Operation):
        return True
    if type(what).__name__ == "ReLU" and isinstance(what, keras.Operation):  # keras.layers.ReLU
        return what.max_value is None and not (what.negative_slope or what.threshold)
    return False
