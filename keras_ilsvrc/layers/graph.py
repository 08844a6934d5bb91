"""The one walk over the layers of a functional model."""

from collections.abc import Iterator

import keras


def leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Every layer that holds no other, through nested models and residual units, in order."""
    for layer in model.layers:
        inner = getattr(layer, "body", layer)
        if isinstance(inner, keras.Model):
            yield from leaves(inner)
        else:
            yield layer


def batch_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Every batch normalisation of the model."""
    return [x for x in leaves(model) if isinstance(x, keras.layers.BatchNormalization)]


def synchronize(model: keras.Model, synchronized: bool) -> None:
    """Makes every batch normalisation use the statistics of all replicas, or of its own."""
    for layer in [*model.layers, *batch_norms(model)]:
        if hasattr(layer, "synchronized"):
            layer.synchronized = synchronized
