"""Training of models with auxiliary classifiers on one array of labels for all outputs."""

from typing import Any

import keras

from keras_ilsvrc.layers.graph import output_of


def take_plain_labels(model: keras.Model) -> keras.Model:
    """Let `fit` and `evaluate` accept one array of labels for all outputs of a model.

    For a model whose outputs are a dict, Keras expects a dict of labels with the same keys. After
    this call, both a dict and an array are accepted. `build` and `load_model` call this function.
    If Keras itself loads or clones the model, call this function again before the first `fit`.

    Args:
        model: Functional model. A model with a dict of outputs is changed in place. A model with
            one output does not change.

    Returns:
        The same model.
    """
    outputs = output_of(model)
    if not isinstance(outputs, dict):
        return model
    compute_loss, compute_metrics = model.compute_loss, model.compute_metrics

    def named(labels: Any) -> Any:
        return labels if keras.tree.is_nested(labels) else dict.fromkeys(outputs, labels)

    # Keras calls these two methods in each step, on every backend.
    def loss(
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        return compute_loss(x, named(y), y_pred, sample_weight, training)

    def metrics(x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return compute_metrics(x, named(y), y_pred, sample_weight)

    model.compute_loss, model.compute_metrics = loss, metrics
    return model
