"""What comes back through a ReLU: the rules that part deconvnets from gradients.

All of them run a net backwards as a vector-Jacobian product. Convolutions and dense layers are then
their own transposes, max pools send a signal to where the maximum was (Zeiler and Fergus'
switches), and sums, concatenations and paddings take care of themselves.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_ilsvrc.layers import LocalResponseNormalization

Backward = Callable[[Any, Any], Any]  # of the signal from above, and of the ReLU's input


class Rule(NamedTuple):
    """What replaces the gradient of ReLU, and whether response normalisation passes signals by."""

    relu: Backward | None
    past_normalization: bool


def rectified_signal(signal: Any, x: Any) -> Any:
    """The deconvnet's: what comes back is rectified, whatever went forth."""
    return tf.nn.relu(signal)


def rectified_twice(signal: Any, x: Any) -> Any:
    """Guided backpropagation's: both what comes back and where nothing went forth."""
    return tf.where(x > 0, tf.nn.relu(signal), tf.zeros_like(signal))


RELUS = (keras.activations.relu, keras.ops.relu, tf.nn.relu)
RULES = {
    "gradient": Rule(None, False),
    # Zeiler and Fergus, arXiv:1311.2901, section 2.1; they do not say how they invert local
    # response normalisation, and others leave it out as here.
    "deconvnet": Rule(rectified_signal, True),
    # Springenberg et al., arXiv:1412.6806, section 3.4; of nets without normalisation.
    "guided": Rule(rectified_twice, False),
}


def by_rule(operation: Any, rule: Rule) -> Callable[..., Any]:
    """What runs in place of a layer or an operation of `keras.ops`: the same forwards.

    Found are ReLU as a layer, as an operation, and as the activation of any layer that has an
    `activation`. One that a layer computes in its own code, or a maximum with zero, is not.
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
    """A layer over the same weights with other attributes; the layer itself stays as it is."""
    made = object.__new__(type(layer))
    made.__dict__.update(layer.__dict__, **attributes)
    return made


def _with_backward(forward: Callable[[Any], Any], backward: Backward) -> Callable[[Any], Any]:
    @tf.custom_gradient
    def run(x: Any) -> Any:
        return forward(x), lambda signal: backward(signal, x)

    return run


def is_relu(operation: Any) -> bool:
    """Whether a layer or an operation ends in ReLU."""
    return _rectifies(operation) or _rectifies(getattr(operation, "activation", None))


def _rectifies(what: Any) -> bool:
    """Whether it is ReLU: a function, a layer or an operation, without a slope or a limit."""
    if what in RELUS:
        return True
    if type(what).__name__ == "Relu" and isinstance(what, keras.Operation):
        return True
    if type(what).__name__ == "ReLU" and isinstance(what, keras.Operation):  # the layer too
        return what.max_value is None and not (what.negative_slope or what.threshold)
    return False
