"""The values of variables on all replicas, taken out and put back."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from keras_ilsvrc.layers.graph import batch_norms
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
    return strategy.gather(strategy.run(lambda: variable.read_value()[None]), 0).numpy()


def _set_rows(strategy, variable, rows):
    own = strategy.experimental_local_results(variable)
    resolver = strategy.cluster_resolver
    first = len(own) * (resolver.task_id if len(own) < len(rows) else 0)
    for component, row in zip(own, rows[first:]):
        component.assign(row)
