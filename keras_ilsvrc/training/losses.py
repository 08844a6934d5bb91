"""Loss functions for models with one output or several: cross-entropy and squared error."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import keras
import tensorflow as tf

# Decays of the loss weights of auxiliary outputs, by name. From the number of epochs n, a decay
# returns the factor of the initial weight for each epoch. "cnds" is a_(t+1) = a_t * (1 - t / n) of
# Wang et al. (arXiv:1505.02496), with t from 0.
DECAYS: Mapping[str, Callable[[int], list[float]]] = {
    "cnds": lambda n: list(accumulate(range(n - 1), lambda a, t: a * (1 - t / n), initial=1.0)),
    "linear": lambda n: [1 - t / n for t in range(n)],
}


class Decay(NamedTuple):
    """Decay of the loss weights of auxiliary outputs.

    Attributes:
        factors: Factor of the weights in each epoch. The last factor also applies to later epochs.
        steps_per_epoch: Number of steps per epoch.
    """

    factors: tuple[float, ...]
    steps_per_epoch: int

    def at(self, step: Any) -> tf.Tensor:
        """Return the factor in a step, counted from 0."""
        epoch = tf.minimum(step // self.steps_per_epoch, len(self.factors) - 1)
        return tf.gather(tf.constant(self.factors, tf.float32), epoch)


@dataclass(frozen=True)
class Loss(ABC):
    """Base class of loss functions: the weighted sum of the losses of all outputs of a model.

    Args:
        weights: Loss weights of the outputs, by name, for example
            `{"predictions": 1.0, "aux1": 0.3}`. An output that is not named has the weight 1.
        label_smoothing: Share of the label's probability that is spread evenly over all classes
            (Szegedy et al., arXiv:1512.00567, section 7); at least 0, below 1.
        class_weights: Loss weight of the images of each class; None for a weight of 1 for all.
        decay: Decay of the loss weights of all outputs but `predictions`; None for no decay.
    """

    weights: Mapping[str, float] | None = None
    label_smoothing: float = 0.0
    class_weights: Sequence[float] | None = None
    decay: Decay | None = None

    def __call__(
        self, outputs: Any, labels: tf.Tensor, step: Any = 0
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the loss summed over the images of a batch, and the number of correct predictions.

        Args:
            outputs: Probabilities (batch, classes), or a dict of them by output name.
            labels: Integer labels, (batch,).
            step: Number of the step, for `decay`.
        """
        named = outputs if isinstance(outputs, dict) else {"predictions": outputs}
        weights: dict[str, Any] = {name: (self.weights or {}).get(name, 1.0) for name in named}
        if self.decay:
            factor = self.decay.at(step)
            weights |= {name: weights[name] * factor for name in named if name != "predictions"}
        losses = [
            weights[name] * tf.cast(tf.reduce_sum(self.each(output, labels)), "float32")
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
    """Loss function: half the squared distance between the probabilities and the one-hot label.

    Networks with sigmoid units were trained with this loss (Rumelhart, Hinton and Williams 1986).
    The arguments are those of `Loss`.
    """

    def unweighted(self, output: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        wanted = tf.one_hot(labels, output.shape[-1], dtype=output.dtype)
        if self.label_smoothing:
            wanted += self.label_smoothing * (1 / output.shape[-1] - wanted)
        return tf.reduce_sum((output - wanted) ** 2, -1) / 2
