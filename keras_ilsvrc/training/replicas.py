"""The values of variables on all replicas, taken out and put back; what the chief knows, told."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from keras_ilsvrc.layers.graph import batch_norms
from keras_ilsvrc.training.checkpoint import State, pack, unpack
from keras_ilsvrc.training.update import Update

Values = dict[str, np.ndarray]


def values_of(update: Update) -> Values:
    """Everything that training changes; of what replicas have of their own, a row for each."""
    apart = _apart(update)
    return {
        name: _rows(update.strategy, variable) if name in apart else variable.numpy()
        for name, variable in update.variables_of_training().items()
    }


def set_values(update: Update, values: Mapping[str, np.ndarray]) -> None:
    """Puts back what `values_of` took.

    Raises:
        ValueError: If names or shapes are not those of the model and its training.
    """
    variables, apart = update.variables_of_training(), _apart(update)
    for names, why in (
        (sorted(values.keys() - variables.keys()), "has no place in this training"),
        (sorted(variables.keys() - values.keys()), "is missing"),
    ):
        if names:
            raise ValueError(f"{names[0]} {why}; so it is with {len(names)} in all")
    replicas = update.strategy.num_replicas_in_sync
    for name, variable in variables.items():
        shape = (replicas,) * (name in apart) + tuple(variable.shape)
        if values[name].shape != shape:
            raise ValueError(f"{name} is of shape {values[name].shape}; expected {shape}")
    with update.strategy.scope():
        for name, variable in variables.items():
            if name in apart:
                _set_rows(update.strategy, variable, values[name])
            else:
                variable.assign(values[name])


@contextmanager
def as_tested(update: Update) -> Iterator[None]:
    """The model as it is tested and kept: averages of weights, statistics equal everywhere.

    Training's own values are put back behind it, to the bit.
    """
    variables = update.variables_of_training()
    held = {name: _rows(update.strategy, variables[name]) for name in _apart(update)}
    weights = [weight.value for weight in update.model.trainable_weights]
    own = [weight.numpy() for weight in weights] if update.averages else []
    with update.strategy.scope():
        for weight, average in zip(weights, update.averages):
            weight.assign(average.numpy())
        for name, rows in held.items():
            variables[name].assign(np.mean(rows, axis=0, dtype="float64").astype(rows.dtype))
    try:
        yield
    finally:
        with update.strategy.scope():
            for weight, value in zip(weights, own):
                weight.assign(value)
        for name, rows in held.items():
            _set_rows(update.strategy, variables[name], rows)


def workers_of(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """How many workers there are, and which of them this process is."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.cluster_spec():
        return 1, 0
    return resolver.cluster_spec().num_tasks(resolver.task_type), resolver.task_id


def from_chief(strategy: tf.distribute.Strategy, state: State | None) -> State | None:
    """The state that the first worker has, on all of them, to the bit.

    They need no common disk: it goes the way that gradients go.
    """
    workers, index = workers_of(strategy)
    if workers == 1:
        return state
    packed = io.BytesIO()
    if state and index == 0:
        pack(packed, state)
    content = np.frombuffer(packed.getvalue(), "uint8")
    size = int(_of_first(strategy, np.array([len(content)]))[0])
    words = np.zeros(-(-size // 8), "int64")
    words.view("uint8")[: len(content)] = content
    return unpack(_of_first(strategy, words).tobytes()[:size]) if size else None


def _of_first(strategy, array):
    """The first worker's integers."""

    def on_replica(words):
        context = tf.distribute.get_replica_context()
        first = tf.cast(context.replica_id_in_sync_group == 0, tf.int64)
        return context.all_reduce("SUM", words * first)

    @tf.function
    def reduced(words):
        return strategy.experimental_local_results(strategy.run(on_replica, (words,)))[0]

    return reduced(tf.constant(array)).numpy()


def _apart(update):
    """Names of the statistics that each replica keeps of its own images."""
    if update.strategy.num_replicas_in_sync == 1:
        return set()
    layers = [layer for layer in batch_norms(update.model) if not layer.synchronized]
    statistics = [x for layer in layers for x in (layer.moving_mean, layer.moving_variance)]
    return {f"model/{x.path}" for x in statistics}


def _rows(strategy, variable):
    own = [x.numpy() for x in strategy.experimental_local_results(variable)]
    if len(own) == strategy.num_replicas_in_sync:
        return np.stack(own)

    @tf.function
    def gathered():
        return strategy.gather(strategy.run(lambda: variable.read_value()[None]), 0)

    return gathered().numpy()


def _set_rows(strategy, variable, rows):
    own = strategy.experimental_local_results(variable)
    first = len(own) * workers_of(strategy)[1]
    for component, row in zip(own, rows[first:]):
        component.assign(row)
