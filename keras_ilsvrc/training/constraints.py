"""What weights are held to after every step."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_ilsvrc")
class FilterRMS(keras.constraints.Constraint):
    """Scales a convolution's filter down where the root of its mean square is above `most`.

    Zeiler and Fergus (arXiv:1311.2901, section 3.1) hold the filters of all convolutions below
    0.1, so that a few of them in the first layer do not dominate.

    Args:
        most: Of each filter, over rows, columns and input channels; above 0.
    """

    def __init__(self, most: float = 0.1):
        self.most = most

    def __call__(self, kernel):
        square = ops.mean(ops.square(kernel), axis=(0, 1, 2), keepdims=True)
        return kernel * ops.minimum(self.most * ops.rsqrt(ops.maximum(square, 1e-30)), 1)

    def get_config(self):
        return {"most": self.most}


def hold_filters(model: keras.Model, most: float) -> None:
    """Gives every convolution of a model `FilterRMS`."""
    for weight in model.trainable_weights:
        if weight.name == "kernel" and len(weight.shape) == 4:
            weight.constraint = FilterRMS(most)
