"""Keras layer that preprocesses raw images, to put in front of a network."""

import base64
import io
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.apply import NO_SEED, apply_ops
from keras_ilsvrc.data.ops import OPS
from keras_ilsvrc.data.portable import PORTABLE_OPS
from keras_ilsvrc.data.types import Rows, Statistics


@keras.saving.register_keras_serializable("keras_ilsvrc")
class Preprocessing(keras.layers.Layer):
    """Layer that applies the preprocessing ops for test images to each image of a batch.

    Shape:
        (batch, height, width, channels), uint8, to (batch, size, size, channels), float32.

    Args:
        rows: Ops with their arguments, applied in order; none may be random.
        statistics: Statistics of the training images that the ops need, as a dict, or as the text
            in the result of `get_config`.
        portable: Whether to use only operations that also exist in ONNX and LiteRT.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(
        self, rows: Rows, statistics: Statistics | str, portable: bool = False, **kwargs: Any
    ):
        super().__init__(trainable=False, **{"dtype": "float32", **kwargs})
        self.portable = portable
        self.rows = [dict(row) for row in rows]
        self.statistics = _decoded(statistics) if isinstance(statistics, str) else statistics

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Return the preprocessed images. If the static batch size is 1, the graph has no loop."""
        if images.shape[0] == 1:
            return self._one(images[0])[None]
        one = self._traced.get_concrete_function(tf.TensorSpec(images.shape[1:], images.dtype))
        made = tf.TensorSpec(one.output_shapes, tf.float32)
        return tf.map_fn(one, images, fn_output_signature=made)

    def _one(self, image: tf.Tensor) -> tf.Tensor:
        ops = PORTABLE_OPS if self.portable else OPS
        made = apply_ops(image, self.rows, NO_SEED, self.statistics, ops=ops)
        return tf.cast(made, tf.float32)

    @tf.function(autograph=False, reduce_retracing=True)
    def _traced(self, image: tf.Tensor) -> tf.Tensor:
        return self._one(image)

    def get_config(self) -> dict[str, Any]:
        """Return the layer's arguments, with the statistics as an .npz file in base-64 text."""
        held = io.BytesIO()
        np.savez_compressed(held, **dict(self.statistics))  # type: ignore[arg-type]
        statistics = base64.b64encode(held.getvalue()).decode()
        own = super().get_config()
        del own["trainable"]
        arguments = {"rows": self.rows, "statistics": statistics, "portable": self.portable}
        return {**own, **arguments}


def with_preprocessing(
    model: keras.Model,
    rows: Rows,
    statistics: Statistics,
    batch_size: int | None = None,
    portable: bool = False,
) -> keras.Model:
    """Return a model that preprocesses raw uint8 images and then applies `model`.

    The two models share their weights. If an op resizes the images, raw images may have any size,
    but all images of a batch must have the same size.

    Args:
        model: Functional model with one input.
        rows: Ops with their arguments, applied in order; none may be random.
        statistics: Statistics of the training images that the ops need.
        batch_size: Number of images in every batch; None for any number. If it is 1, the graph
            contains no loop over images.
        portable: Whether to use only operations that also exist in ONNX and LiteRT.
    """
    shape = model.inputs[0].shape[1:]
    for size in ((None, None), shape[:2]):
        raw = keras.Input((*size, shape[-1]), batch_size, "uint8", name="image")
        made = Preprocessing(rows, statistics, portable, name="preprocessing")(raw)
        if None not in made.shape[1:]:
            break
    return keras.Model(raw, model(made), name=model.name)


def _decoded(text: str) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False) as file:
        return dict(file)
