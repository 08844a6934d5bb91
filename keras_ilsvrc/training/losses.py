"""Loss functions for models with one output or several: cross-entropy and squared error."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf


@dataclass(frozen=True)
class Loss(ABC):
    """Base class of loss functions: the weighted sum of the losses of all outputs of a model.

    Args:
        weights: Loss weights of the outputs, by name, for example
            `{"predictions": 1.0, "aux1": 0.3}`. An output that is not named has the weight 1.
        label_smoothing: Share of the label's probability that is spread evenly over all classes
            (Szegedy et al., arXiv:1512.00567, section 7); at least 0, below 1.
        class_weights: Loss weight of the images of each class; None for 1.
    """

    weights: Mapping[str, float] | None = None
    label_smoothing: float = 0.0
    class_weights: Sequence[float] | None = None

    def __call__(self, outputs: Any, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the loss summed over the images of a batch, and the number of correct predictions.

        Args:
            outputs: Probabilities (batch, classes), or a dict of them by output name.
            labels: Integer labels, (batch,).
        """
        named = outputs if isinstance(outputs, dict) else {"predictions": outputs}
        weights = self.weights or {}
        losses = [
            weights.get(name, 1.0) * tf.cast(tf.reduce_sum(self.each(output, labels)), "float32")
            for name, output in named.items()
        ]
        guesses = tf.argmax(named["predictions"], -1, output_type=labels.dtype)
        return tf.add_n(losses), tf.reduce_sum(tf.cast(guesses == labels, tf.float32))

    def each(self, output: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Return the loss of each image. Outputs in half precision are first cast to float32."""
        if output.dtype.size < 4:
            output = tf.cast(output, "float32")
        found = self.unweighted(output, labels)
        if self.class_weights is None:
            return found
        return found * tf.gather(tf.constant(self.class_weights, found.dtype), labels)

    @abstractmethod
    def unweighted(self, output: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Return the loss of each image without class weights, (batch,)."""


class CrossEntropy(Loss):
    """Loss function: the cross-entropy, -log(probability of the label) without smoothing.

    The arguments are those of `Loss`.
    """

    def unweighted(self, output: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        if not self.label_smoothing:
            return keras.losses.sparse_categorical_crossentropy(labels, output)
        wanted = tf.one_hot(labels, output.shape[-1], dtype=output.dtype)
        return keras.losses.categorical_crossentropy(
            wanted, output, label_smoothing=self.label_smoothing
        )


class SquaredError(Loss):
    """Loss function: half the squared distance of the probabilities from those of the label.

    Networks of sigmoids were trained with this error (Rumelhart, Hinton and Williams 1986). The
    arguments are those of `Loss`.
    """

    def unweighted(self, output: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        wanted = tf.one_hot(labels, output.shape[-1], dtype=output.dtype)
        if self.label_smoothing:
            wanted += self.label_smoothing * (1 / output.shape[-1] - wanted)
        return tf.reduce_sum((output - wanted) ** 2, -1) / 2
