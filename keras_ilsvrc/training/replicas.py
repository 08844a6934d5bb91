"""Read and write the variables of all replicas, and send the chief's state to all workers.

Every worker must run the same collectives in the same order. So never call a collective in a loop
over a set, whose order may differ between processes.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from keras_ilsvrc.layers.graph import batch_norms
from keras_ilsvrc.training.checkpoint import State, pack, unpack
from keras_ilsvrc.training.update import Update
from keras_ilsvrc.utils.errors import InputError

Values = dict[str, np.ndarray]


def values_of(update: Update) -> Values:
    """Return {name: value} for all variables that training changes, for example weights.

    BN statistics that differ between replicas have one row per replica.
    """
    rows = _rows(update)
    return {
        name: rows[name] if name in rows else variable.numpy()
        for name, variable in update.variables_of_training().items()
    }


def set_values(update: Update, values: Mapping[str, np.ndarray]) -> None:
    """Set all variables that training changes to values that `values_of` returned.

    Raises:
        InputError: If names or shapes do not match the variables that training changes.
    """
    variables, apart = update.variables_of_training(), _statistics(update)
    for names, why in (
        (sorted(values.keys() - variables.keys()), "is not a variable that this run changes"),
        (sorted(variables.keys() - values.keys()), "is missing"),
    ):
        if names:
            raise InputError(f"{names[0]} {why} (variables with this error: {len(names)})")
    replicas = update.strategy.num_replicas_in_sync
    for name, variable in variables.items():
        shape = (replicas,) * (name in apart) + tuple(variable.shape)
        if values[name].shape != shape:
            raise InputError(f"{name} has shape {values[name].shape}; expected {shape}")
    with update.strategy.scope():
        for name, variable in variables.items():
            if name in apart:
                _set_rows(update.strategy, variable, values[name])
            else:
                variable.assign(values[name])


@contextmanager
def as_tested(update: Update) -> Iterator[None]:
    """Set the weights and BN statistics to their values for evaluation, during a `with` block.

    Weights are set to their moving averages, if there are any, and BN statistics to their mean
    over the replicas. At the end of the block, the values used in training are restored exactly.
    """
    variables = update.variables_of_training()
    statistics = _rows(update)
    weights = [weight.value for weight in update.model.trainable_weights]
    own = [weight.numpy() for weight in weights] if update.averages else []
    with update.strategy.scope():
        for weight, average in zip(weights, update.averages):
            weight.assign(average.numpy())
        for name, rows in statistics.items():
            variables[name].assign(np.mean(rows, axis=0, dtype="float64").astype(rows.dtype))
    try:
        yield
    finally:
        with update.strategy.scope():
            for weight, value in zip(weights, own):
                weight.assign(value)
        for name, rows in statistics.items():
            _set_rows(update.strategy, variables[name], rows)


def workers_of(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """Return the number of workers, and the index of this worker."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.cluster_spec():
        return 1, 0
    return resolver.cluster_spec().num_tasks(resolver.task_type), resolver.task_id


def from_chief(strategy: tf.distribute.Strategy, state: State | None) -> State | None:
    """Send the chief's training state to all workers, and return an exact copy on each worker.

    The state is sent by an all-reduce, like gradients, so the workers need no shared disk.
    """
    workers, index = workers_of(strategy)
    if workers == 1:
        return state
    packed = io.BytesIO()
    if state and index == 0:
        pack(packed, state)
    content = np.frombuffer(packed.getvalue(), "uint8")
    size = int(_of_first(strategy, tf.constant([len(content)], tf.int64))[0])
    words = np.zeros(-(-size // 8), "int64")
    words.view("uint8")[: len(content)] = content
    if not size:
        return None
    sent = _of_first(strategy, tf.constant(words)).numpy().tobytes()[:size]
    return unpack(io.BytesIO(sent))


@tf.function(reduce_retracing=True)
def _of_first(strategy: tf.distribute.Strategy, words: tf.Tensor) -> tf.Tensor:
    """Broadcast the chief's tensor `words` to every worker, using an all-reduce."""

    def on_replica() -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        first = tf.cast(context.replica_id_in_sync_group == 0, tf.int64)
        return context.all_reduce("SUM", words * first)

    return strategy.experimental_local_results(strategy.run(on_replica))[0]


def _statistics(update: Update) -> list[str]:
    """Return the names of the BN statistics that differ between replicas, in layer order."""
    if update.strategy.num_replicas_in_sync == 1:
        return []
    layers = [layer for layer in batch_norms(update.model) if not layer.synchronized]
    return [f"model/{x.path}" for y in layers for x in (y.moving_mean, y.moving_variance)]


@tf.function
def _gathered(strategy: tf.distribute.Strategy, rows: tf.Tensor) -> tf.Tensor:
    """Gather `rows` from all workers.

    This function is the same for all models, so TensorFlow traces it only once.
    """
    first = len(rows) * workers_of(strategy)[1]

    def on_replica() -> tf.Tensor:
        own = tf.distribute.get_replica_context().replica_id_in_sync_group - first
        return rows[own][None]

    return strategy.gather(strategy.run(on_replica), 0)


def _rows(update: Update) -> Values:
    """Return {name: array with a row per replica} for the BN statistics named by `_statistics`."""
    strategy, variables = update.strategy, update.variables_of_training()
    found = {
        name: np.stack([x.numpy() for x in strategy.experimental_local_results(variables[name])])
        for name in _statistics(update)
    }
    if not found or workers_of(strategy)[0] == 1:
        return found
    # Gather all statistics at once, as float64, which can represent every float type exactly.
    local = [x.reshape(len(x), -1).astype("float64") for x in found.values()]
    rows = _gathered(strategy, tf.constant(np.concatenate(local, axis=1))).numpy()
    ends = np.cumsum([x.shape[1] for x in local])[:-1]
    return {
        name: part.reshape(-1, *own.shape[1:]).astype(own.dtype)
        for (name, own), part in zip(found.items(), np.split(rows, ends, axis=1))
    }


def _set_rows(strategy: tf.distribute.Strategy, variable: tf.Variable, rows: np.ndarray) -> None:
    own = strategy.experimental_local_results(variable)
    first = len(own) * workers_of(strategy)[1]
    for component, row in zip(own, rows[first:]):
        component.assign(row)
