"""Traced functions that equal residual units of a deep net share."""

import weakref
from collections import Counter
from typing import Any

import keras

# Number of equal units in a graph that are traced separately; all others share one function. No
# ImageNet network of the papers has more equal units, so the graphs of these do not change.
ALONE = 36
_traces: Any = weakref.WeakKeyDictionary()  # {graph: _Trace}


class _Trace:
    """Units that were called while one graph was traced: their number, and the shared functions."""

    def __init__(self):
        self.calls, self.functions = Counter(), {}

    def function(self, unit):
        """Return the function for a unit, or None if it is one of the first `ALONE` equal units."""
        shapes = [unit.body.input_shape, *(x.shape for x in unit.body.variables)]
        kind = repr([{**unit.get_config(), "name": None}, shapes])
        self.calls[kind] += 1
        if self.calls[kind] <= ALONE:
            return None
        if kind not in self.functions:
            self.functions[kind] = _traced(unit.body)
        return self.functions[kind]


def run(unit, x, training):
    """Return the output of a residual unit.

    In a TensorFlow training graph, equal units become calls of one function, except for the first
    `ALONE`. Tracing, differentiating and optimizing the graph of a deep net then takes much less
    time. Values, gradients and statistics are the same as without sharing.
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
    """Return the function that a unit shares with equal units in this graph, or None."""
    if not training or keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if tf.executing_eagerly() or any(_apart(x, unit, replicas) for x in unit.body.layers):
        return None
    return _traces.setdefault(tf.compat.v1.get_default_graph(), _Trace()).function(unit)


def _apart(layer, unit, replicas):
    """Return whether a layer needs other replicas, adds a loss, or has its own precision."""
    together = replicas > 1 and getattr(layer, "synchronized", False)
    own = layer.weights and layer.compute_dtype != unit.compute_dtype
    return together or own or layer.activity_regularizer is not None


def _traced(body):
    """Return an inner model as (x, weights, state) -> (output, {index in `state`: new value})."""
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
