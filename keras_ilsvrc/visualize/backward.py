"""Projections of activations onto pixels: deconvnet, saliency, guided backprop, Grad-CAM."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.checks import numbers_of
from keras_ilsvrc.visualize.probe import Probe, maps_of

Maps = int | Sequence[int] | np.ndarray | None


@dataclass(frozen=True)
class Projections:
    """Projections of one activation per image onto the pixels of that image.

    Attributes:
        images: (images, height, width, channels), float32: the projections. A value of zero means
            that the pixel neither raises nor lowers the activation.
        maps: (images,): index of the feature map that contains the activation.
        places: (images, 2): row and column of the activation in its map; zeros for a dense layer.
        values: (images,): value of the activation.
    """

    images: np.ndarray
    maps: np.ndarray
    places: np.ndarray
    values: np.ndarray


class Deconvnet:
    """Callable form of `deconvnet` that traces its graph only once for many images.

    Args:
        model: Functional model with one image as its input.
        layer: Name of the layer, as in `Probe`.
        rule: Rule by which signals pass back through ReLU, as in `Probe`.
    """

    def __init__(self, model: keras.Model, layer: str | None, rule: str = "deconvnet"):
        self.probe = Probe(model, layer, rule)
        self._project = self.probe.graph(self._graph, tf.TensorSpec(None, tf.int32))

    def __call__(self, images: Any, maps: Maps = None) -> Projections:
        """Return the projections onto `images`; see `deconvnet`."""
        images = self.probe.batch(images)
        wanted = np.array([-1])  # -1 means the map with the strongest activation
        if maps is not None:
            wanted = numbers_of("maps", maps, self.probe.shape[-1])
        if len(images) != len(wanted) and 1 not in (len(images), len(wanted)):
            raise InputError(
                f"maps has {len(wanted)} indices for {len(images)} images; pass one index, or "
                "one for each image"
            )
        both = max(len(images), len(wanted))
        images = np.broadcast_to(images, (both, *images.shape[1:]))
        wanted = np.broadcast_to(wanted, both).astype("int32")
        return Projections(*(x.numpy() for x in self._project(images, wanted)))

    def _graph(self, images: tf.Tensor, wanted: tf.Tensor) -> tuple[tf.Tensor, ...]:
        count = self.probe.shape[-1]
        kept: dict[str, tf.Tensor] = {}

        def strongest(activations: tf.Tensor) -> tf.Tensor:
            width = tf.shape(activations)[2] if len(activations.shape) == 4 else 1
            by_place = tf.reshape(activations, (tf.shape(activations)[0], -1, count))
            best = tf.argmax(tf.reduce_max(by_place, 1), 1, tf.int32)
            maps = tf.where(wanted < 0, best, wanted)
            column = tf.gather(by_place, maps, axis=2, batch_dims=1)
            places, values = tf.argmax(column, 1, tf.int32), tf.reduce_max(column, 1)
            kept["maps"], kept["values"] = maps, values
            kept["places"] = tf.stack([places // width, places % width], 1)
            alone = tf.one_hot(places, tf.shape(by_place)[1], dtype=values.dtype)[:, :, None]
            of_map = tf.one_hot(maps, count, dtype=values.dtype)[:, None, :]
            alone *= of_map * values[:, None, None]
            return tf.reshape(alone, tf.shape(activations))

        _, projected = self.probe.pull_back(images, strongest)
        projected, values = (tf.cast(x, "float32") for x in (projected, kept["values"]))
        return projected, kept["maps"], kept["places"], values


def deconvnet(
    model: keras.Model, images: Any, layer: str, maps: Maps = None, rule: str = "deconvnet"
) -> Projections:
    """Project the strongest activation of a feature map onto the pixels of each image.

    Zeiler and Fergus, arXiv:1311.2901, section 2.1: all other activations of the layer are set to
    zero, and the layer's output is passed back to the pixels. On the way it is unpooled to the
    positions of the maxima, rectified, and convolved with the transposed filters.

    Args:
        model: Any functional model of one input, (batch, height, width, channels).
        images: (images, height, width, channels), preprocessed for the model, or a single image.
        layer: Name of the layer, for example `conv3_1/conv_2` in a residual unit or nested model.
        maps: Index of the feature map: one for all images, one for each image, or several for a
            single image. By default, the map with the strongest activation in each image.
        rule: "deconvnet", or for comparison "gradient" or "guided".

    Raises:
        InputError: If the model is not functional or has no such layer or map, or if the images do
            not fit the model.
    """
    return Deconvnet(model, layer, rule)(images, maps)


def saliency(model: keras.Model, images: Any, labels: Any = None) -> np.ndarray:
    """Return how much each pixel affects the score of a class (Simonyan et al., arXiv:1312.6034).

    Args:
        model: Functional classifier with one image as its input.
        images: (images, height, width, channels), preprocessed for the model, or a single image.
        labels: One class for all images or one for each; by default each image's most likely class.

    Returns:
        (images, height, width), at least 0: the absolute gradient of the score before the softmax.
        The maximum over the channels is taken.
    """
    return np.abs(_score_gradient(model, images, labels, "gradient")).max(-1)


def guided_backpropagation(model: keras.Model, images: Any, labels: Any = None) -> np.ndarray:
    """Return the guided gradient of a class score for each pixel of each image.

    Guided backpropagation is by Springenberg et al., arXiv:1412.6806, section 3.4.

    Args:
        model: Functional classifier with one image as its input.
        images: (images, height, width, channels), preprocessed for the model, or a single image.
        labels: One class for all images or one for each; by default each image's most likely class.

    Returns:
        (images, height, width, channels): the gradient of the score before the softmax. Each ReLU
        passes back positive signals only.
    """
    return _score_gradient(model, images, labels, "guided")


def _score_gradient(model: keras.Model, images: Any, labels: Any, rule: str) -> np.ndarray:
    """Return the gradient of the class scores for each pixel, with `rule` applied to ReLU."""
    probe = Probe(model, None, rule)
    images = probe.batch(images)
    labels = _labels(labels, len(images), probe.shape[-1])
    run = probe.graph(lambda images: probe.pull_back(images, lambda x: _chosen(x, labels))[1])
    return run(images).numpy().astype("float32")


def grad_cam(
    model: keras.Model, images: Any, layer: str | None = None, labels: Any = None
) -> np.ndarray:
    """Return the Grad-CAM map of a class (Selvaraju et al., arXiv:1610.02391, equations 1 and 2).

    Args:
        model: Functional classifier with one image as its input.
        images: (images, height, width, channels), preprocessed for the model, or a single image.
        layer: Name of a layer that returns feature maps; by default the last one with maps larger
            than 1x1.
        labels: One class for all images or one for each; by default each image's most likely class.

    Returns:
        (images, height, width), at least 0: the map, resized to the size of the images.

    Raises:
        InputError: If the layer is unknown or has no feature maps, or if the scores do not depend
            on it.
    """
    probe = Probe(model)
    images = probe.batch(images)
    labels = _labels(labels, len(images), probe.shape[-1])
    maps = maps_of(probe, layer)

    def run(images: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            values = probe.values(images)
            scores = values[id(probe.target)]
        gradients = tape.gradient(scores, values[id(maps)], _chosen(scores, labels))
        weights = tf.reduce_mean(gradients, (1, 2), keepdims=True)
        evidence = tf.nn.relu(tf.reduce_sum(weights * values[id(maps)], -1, keepdims=True))
        return tf.image.resize(tf.cast(evidence, "float32"), tf.shape(images)[1:3])[..., 0]

    return probe.graph(run)(images).numpy()


def _labels(labels: Any, images: int, classes: int) -> np.ndarray | None:
    if labels is None:
        return None
    given = numbers_of("labels", labels, classes)
    if len(given) not in (1, images):
        raise InputError(
            f"labels has {len(given)} classes for {images} images; pass one class, or one for "
            "each image"
        )
    return np.broadcast_to(given, images)


def _chosen(scores: tf.Tensor, labels: np.ndarray | None) -> tf.Tensor:
    """Return one-hot vectors of the labels; if they are None, of the most likely classes."""
    labels = tf.argmax(scores, 1) if labels is None else labels
    return tf.one_hot(labels, tf.shape(scores)[1], dtype=scores.dtype)
