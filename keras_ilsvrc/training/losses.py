"""What training makes small."""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import tensorflow as tf


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy on every output, of which `predictions` is also counted.

    Args:
        weights: Of the outputs by name, as `{"predictions": 1.0, "aux1": 0.3}`; 1 where not given.
        label_smoothing: Share of the label that is spread over all classes (Szegedy et al.,
            arXiv:1512.00567, section 7); 0 to below 1.
    """

    weights: Mapping[str, float] | None = None
    label_smoothing: float = 0.0

    def __call__(self, outputs, labels) -> tuple[tf.Tensor, tf.Tensor]:
        """The loss, and how many images are classified right, each summed over the images.

        Args:
            outputs: Probabilities (batch, classes), or a dict of them.
            labels: (batch,), integers.
        """
        named = outputs if isinstance(outputs, dict) else {"predictions": outputs}
        weights = self.weights or {}
        losses = [
            weights.get(name, 1.0) * tf.cast(tf.reduce_sum(self.each(output, labels)), "float32")
            for name, output in named.items()
        ]
        guesses = tf.argmax(named["predictions"], -1, output_type=labels.dtype)
        return tf.add_n(losses), tf.reduce_sum(tf.cast(guesses == labels, tf.float32))

    def each(self, output, labels) -> tf.Tensor:
        """The loss of each image; of half precision, in float32."""
        if output.dtype.size < 4:
            output = tf.cast(output, "float32")
        if not self.label_smoothing:
            return keras.losses.sparse_categorical_crossentropy(labels, output)
        wanted = tf.one_hot(labels, output.shape[-1], dtype=output.dtype)
        return keras.losses.categorical_crossentropy(
            wanted, output, label_smoothing=self.label_smoothing
        )
