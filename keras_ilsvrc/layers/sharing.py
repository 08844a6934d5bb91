"""Sharing of traced functions between identical residual units of a deep net."""

import weakref
from collections import Counter
from typing import Any

import keras

from keras_ilsvrc.layers.batch_norm import replica_count

# Number of identical units in a graph that are traced separately. All further ones share a traced
# function. No ImageNet network of the papers has more than this number of identical units, so their
# graphs contain no shared functions.
UNSHARED = 36
_traces: Any = weakref.WeakKeyDictionary()  # {graph: _Trace}


class _Trace:
    """Record of the units in one graph: number of units of each kind, and shared functions."""

    def __init__(self):
        self.calls, self.functions = Counter(), {}

    def function(self, unit):
        """Return the shared function for a unit; None for the first `UNSHARED` identical units."""
        shapes = [unit.body.input_shape, *(x.shape for x in unit.body.variables)]
        kind = repr([{**unit.get_config(), "name": None}, shapes])
        self.calls[kind] += 1
        if self.calls[kind] <= UNSHARED:
            return None
        if kind not in self.functions:
            self.functions[kind] = _traced(unit.body)
        return self.functions[kind]


def run(unit, x, training):
    """Return the output of a residual unit.

    In a TensorFlow training graph, identical units become calls of one function, except for the
    first `UNSHARED` of them. Tracing, differentiating and optimizing the graph of a deep net then
    take much less time. Values, gradients and statistics are the same as without sharing.
    """
    function = _function(unit, training)
    if function is None:
        return unit.body(x, training=training)
    import tensorflow as tf

    weights, state = unit.body.trainable_variables, unit.body.non_trainable_variables
    y, changed = function(
        x, *([tf.convert_to_tensor(v.value) for v in vs] for vs in (weights, state))
    )
    for number, value in changed.items():
        state[number].assign(value)
    return y


def _function(unit, training):
    """Return the function that a unit shares with identical units in this graph, or None."""
    if not training or keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    replicas = replica_count()
    if tf.executing_eagerly() or any(_prevents(x, unit, replicas) for x in unit.body.layers):
        return None
    return _traces.setdefault(tf.compat.v1.get_default_graph(), _Trace()).function(unit)


def _prevents(layer, unit, replicas):
    """Return whether a layer prevents sharing of its unit's function.

    It does so if it synchronizes with other replicas, adds a loss, or has another precision than
    the unit.
    """
    together = replicas > 1 and getattr(layer, "synchronized", False)
    own = layer.weights and layer.compute_dtype != unit.compute_dtype
    return together or own or layer.activity_regularizer is not None


def _traced(body):
    """Return a traced function that runs a unit's inner model in training mode.

    The function maps (x, weights, state) to (output, {index in `state`: new value}).
    """
    import tensorflow as tf

    @tf.function(autograph=False, experimental_attributes={"_noinline": True})
    def call(x, weights, state):
        variables = [*body.trainable_variables, *body.non_trainable_variables]
        with keras.StatelessScope(list(zip(variables, [*weights, *state]))) as scope:
            given = [scope.get_current_value(s) for s in body.non_trainable_variables]
            y = body(x, training=True)
            new = [scope.get_current_value(s) for s in body.non_trainable_variables]
        changed = {n: tf.stop_gradient(v) for n, v in enumerate(new) if v is not given[n]}
        return y, changed

    return call
