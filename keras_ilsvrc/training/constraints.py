"""Constraints that are applied to weights after every step."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_ilsvrc")
class FilterRMS(keras.constraints.Constraint):
    """Constraint that keeps the root mean square of each filter's weights at or below `most`.

    Filters with a smaller root mean square are not changed. Zeiler and Fergus (arXiv:1311.2901,
    section 3) use 0.1 in all convolutions, so that a few filters of conv1 do not dominate.

    Args:
        most: Maximum root mean square over rows, columns and input channels; above 0.
    """

    def __init__(self, most: float = 0.1):
        self.most = most

    def __call__(self, kernel: Any) -> Any:
        square = ops.mean(ops.square(kernel), axis=(0, 1, 2), keepdims=True)
        return kernel * ops.minimum(self.most * ops.rsqrt(ops.maximum(square, 1e-30)), 1)

    def get_config(self) -> dict[str, Any]:
        return {"most": self.most}


def hold_filters(model: keras.Model, most: float) -> None:
    """Set `FilterRMS` as the constraint of every convolution kernel in a model."""
    for weight in model.trainable_weights:
        if weight.name == "kernel" and len(weight.shape) == 4:
            weight.constraint = FilterRMS(most)
