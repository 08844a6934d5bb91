"""Features of boxes: activations of network layers, or histograms of oriented gradients (HOG)."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.device import apply_to_batch
from keras_ilsvrc.data.types import Rows, Statistics
from keras_ilsvrc.rcnn.proposals import INSTALL
from keras_ilsvrc.rcnn.recipe import HOG
from keras_ilsvrc.rcnn.warp import warp
from keras_ilsvrc.utils.errors import InputError, out_of_memory
from keras_ilsvrc.visualize.probe import Probe, call_named

LARGEST = float(np.finfo("float16").max)
HOG_SIDE = 64  # pixels; side of a crop for HOG, which gives 1,764 values
Arrays = dict[str, np.ndarray]


class Extractor(Protocol):
    """Interface of functions that return the features of crops.

    Attributes:
        key: Settings that determine the features of given crops, as JSON types.
    """

    key: dict[str, Any]

    def __call__(self, crops: tf.Tensor, inside: np.ndarray) -> Arrays:
        """Return the features of crops, as {layer: array (crops, values)}.

        Args:
            crops: Crops, (crops, height, width, 3).
            inside: Whether each pixel is inside the image, (crops, height, width), bool.
        """


class NetFeatures:
    """Features of crops: the activations of layers of a network.

    Args:
        model: Functional model of one image input.
        layers: Names of layers, which may be inside residual units. One of them must come after
            all others.
        rows: Arithmetic ops that preprocess crops. Pixels outside the image are then set to 0.
        statistics: Statistics that the ops need.

    Raises:
        InputError: If a layer is unknown, or if none of the layers comes after all others.
    """

    def __init__(
        self, model: keras.Model, layers: Sequence[str], rows: Rows, statistics: Statistics
    ):
        probe, targets = _last([Probe(model, name) for name in layers], layers)
        self.model = model
        self.key = {
            "net": model.name,
            "weights": digest_of(model),
            "layers": list(layers),
            "ops": [dict(row) for row in rows],
            "statistics": _digest(list(statistics.values())),
        }
        side = (None, *model.inputs[0].shape[1:])

        @tf.function(
            input_signature=[tf.TensorSpec(side, tf.float32), tf.TensorSpec(side[:3], tf.bool)],
            autograph=False,
        )
        def run(crops: tf.Tensor, inside: tf.Tensor) -> dict[str, tf.Tensor]:
            images = apply_to_batch(crops, rows, statistics)
            images *= tf.cast(inside, images.dtype)[..., None]
            values = probe.values(images)
            flat = (tf.shape(images)[0], -1)
            return {
                name: tf.cast(tf.reshape(values[target], flat), tf.float32)
                for name, target in targets.items()
            }

        self.run = run

    def __call__(self, crops: tf.Tensor, inside: np.ndarray) -> Arrays:
        return {name: values.numpy() for name, values in self.run(crops, inside).items()}


def _last(probes: Sequence[Probe], layers: Sequence[str]) -> tuple[Probe, dict[str, int]]:
    """Return the probe of the layer that comes after all others, and the `id` of each output."""
    for probe in probes:
        targets = {name: id(call_named(probe.root, name).outputs[0]) for name in layers}
        made = {id(tensor) for call, _ in probe.steps for tensor in call.outputs}
        if made.issuperset(targets.values()):
            return probe, targets
    raise InputError(
        f"layers {', '.join(layers)}: none comes after all others; choose layers on one path"
    )


class Hog:
    """Features of crops: histograms of oriented gradients (Dalal and Triggs 2005), by OpenCV."""

    def __init__(self) -> None:
        try:
            import cv2
        except ImportError as error:
            raise InputError(
                f"features.net is {HOG!r}, which needs OpenCV; install it: {INSTALL}"
            ) from error
        self.resize = cv2.resize
        side = (HOG_SIDE, HOG_SIDE)
        self.histogram = cv2.HOGDescriptor(side, (16, 16), (8, 8), (8, 8), 9)
        self.key: dict[str, Any] = {"net": HOG, "side": HOG_SIDE}

    def __call__(self, crops: tf.Tensor, inside: np.ndarray) -> Arrays:
        pixels = np.rint(np.asarray(crops)).clip(0, 255).astype("uint8")
        rows = [self.histogram.compute(self.resize(x, (HOG_SIDE, HOG_SIDE))) for x in pixels]
        return {HOG: np.stack(rows).reshape(len(rows), -1)}


def features(
    extractor: Extractor,
    image: np.ndarray | tf.Tensor,
    boxes: np.ndarray,
    size: int,
    context: int,
    batch_size: int,
) -> Arrays:
    """Return the features of boxes in an image: {layer: (boxes, values)}, float16.

    The relative error of float16 is below 0.0005, and it halves the size of the cache.

    Args:
        extractor: Function that returns the features of crops.
        image: RGB image (height, width, 3), uint8.
        boxes: Boxes in pixels, (boxes, 4), at least one.
        size: Height and width of a crop.
        context: Pixels of context at each side of a crop, as in `warp`.
        batch_size: Number of crops in a batch.

    Raises:
        InputError: If memory runs out.
    """
    with out_of_memory("set a smaller features.batch_size"):
        parts = list(
            _batches(extractor, tf.convert_to_tensor(image), boxes, size, context, batch_size)
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _batches(
    extractor: Extractor,
    image: tf.Tensor,
    boxes: np.ndarray,
    size: int,
    context: int,
    batch_size: int,
) -> Iterator[Arrays]:
    for first in range(0, len(boxes), batch_size):
        crops, inside = warp(image, boxes[first : first + batch_size], size, context)
        found = extractor(crops, inside)
        yield {name: x.clip(-LARGEST, LARGEST).astype("float16") for name, x in found.items()}


def digest_of(model: keras.Model) -> str:
    """Return the SHA-256 digest of all weights of a model."""
    return _digest([weight.numpy() for weight in model.weights])


def _digest(arrays: Sequence[np.ndarray]) -> str:
    found = hashlib.sha256()
    for each in arrays:
        found.update(np.ascontiguousarray(each).data)
    return found.hexdigest()
