"""Images that most activate a feature map (Zeiler and Fergus, arXiv:1311.2901, figure 2)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.accounting.geometry import Window, pixels, window
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.backward import Deconvnet
from keras_ilsvrc.visualize.checks import batches_of, check_count, numbers_of
from keras_ilsvrc.visualize.probe import Probe

SIGNAL = 0.9  # fraction of a projection's energy (squared values) kept along each axis
MOST = 90  # percentage of projections that keep the fraction `SIGNAL` of their energy when cropped
LEAST = 1 / 3  # minimum side of a crop, as a fraction of the receptive field's side
SMALLEST = 8  # minimum side of a crop, in pixels
SHOWN = 16  # default number of feature maps; our choice, since the paper gives none


@dataclass(frozen=True)
class TopActivations:
    """Strongest activations of each feature map of a layer over many images, strongest first.

    Attributes:
        layer: Name of the layer.
        maps: (maps,): indices of the feature maps.
        values: (maps, count): the activations.
        indices: (maps, count): indices, from 0, of the images with these activations.
        windows: (maps, count, 4): top, left, height and width of the receptive fields in pixels.
            All windows have the same size; they are shifted to lie inside the image.
        patches: (maps, count, height, width, channels), float32: the images in these windows.
        projections: Deconvnet projections in these windows, in the shape of `patches`.
    """

    layer: str
    maps: np.ndarray
    values: np.ndarray
    indices: np.ndarray
    windows: np.ndarray
    patches: np.ndarray
    projections: np.ndarray


class Top:
    """Callable form of `top_activations` that traces its graph only once for several image sets.

    Args:
        model: Functional model with one image as its input.
        layer: Name of the layer, as in `Probe`.
        maps: Indices of the maps; by default the first sixteen.
        count: Number of activations per map.

    Raises:
        InputError: If the model is not functional, or has no such layer or map.
    """

    def __init__(
        self, model: keras.Model, layer: str, maps: Sequence[int] | None = None, count: int = 9
    ):
        self.deconvnet = Deconvnet(model, layer)
        self.probe, self.layer, self.count = self.deconvnet.probe, layer, count
        known = self.probe.shape[-1]
        self.maps = np.arange(min(SHOWN, known))
        if maps is not None:
            self.maps = numbers_of("maps", maps, known)
        check_count("count", count)
        self.windows = Windows(self.probe)
        self._strengths = self.probe.graph(self._strengths_of)

    def __call__(
        self,
        images: Any,
        batch_size: int = 32,
        progress: Callable[[int], object] = lambda done: None,
    ) -> TopActivations:
        """Return the top activations over `images`; see `top_activations`."""
        values, indices, held = self._search(images, batch_size, progress)
        if not held:
            raise InputError("images is empty; pass at least one image")
        chosen = indices.reshape(-1)
        sizes = {image.shape for image in held.values()}
        if len(sizes) > 1:
            raise InputError(f"images have different sizes: {sizes}; resize them to one size")
        maps = np.repeat(self.maps, indices.shape[1])
        shape = indices.shape
        windows, patches, projections = [], [], []
        for start in range(0, len(chosen), batch_size):
            some = slice(start, start + batch_size)
            batch = np.stack([held[index] for index in chosen[some]])
            size = batch.shape[1:3]
            found = self.deconvnet(batch, maps[some])
            for image, projected, place in zip(batch, found.images, found.places):
                windows.append(self.windows.of(place, size))
                patches.append(cut(image, windows[-1]).astype("float32"))
                projections.append(cut(projected, windows[-1]))
        arrays = [np.stack(x).reshape(*shape, *x[0].shape) for x in (patches, projections)]
        placed = np.array(windows).reshape(*shape, 4)
        return TopActivations(self.layer, self.maps, values, indices, placed, *arrays)

    def _search(
        self, images: Any, batch_size: int, progress: Callable[[int], object]
    ) -> tuple[np.ndarray, np.ndarray, dict[int, np.ndarray]]:
        """Return the top activations, the indices of their images, and a dict of these images."""
        values = np.empty((len(self.maps), 0), "float32")
        indices = np.empty((len(self.maps), 0), "int64")
        held: dict[int, np.ndarray] = {}
        done = 0
        for batch in batches_of(images, batch_size):
            batch = self.probe.batch(batch)
            own = np.arange(done, done + len(batch))
            done += len(batch)
            values = np.concatenate([values, self._strengths(batch).numpy().T], 1)
            indices = np.concatenate([indices, np.tile(own, (len(self.maps), 1))], 1)
            best = np.argsort(-values, axis=1, kind="stable")[:, : self.count]
            values = np.take_along_axis(values, best, 1)
            indices = np.take_along_axis(indices, best, 1)
            kept = set(indices.reshape(-1).tolist())
            held = {index: image for index, image in held.items() if index in kept}
            held |= {
                index: image.copy() for index, image in zip(own.tolist(), batch) if index in kept
            }
            progress(done)
        return values, indices, held

    def _strengths_of(self, images: tf.Tensor) -> tf.Tensor:
        """Return the strongest activation of each map in each image, as (images, maps)."""
        activations = self.probe.values(images)[id(self.probe.target)]
        by_place = tf.reshape(activations, (tf.shape(activations)[0], -1, self.probe.shape[-1]))
        return tf.gather(tf.reduce_max(by_place, 1), self.maps, axis=1)


def top_activations(
    model: keras.Model,
    images: Any,
    layer: str,
    maps: Sequence[int] | None = None,
    count: int = 9,
    batch_size: int = 32,
    progress: Callable[[int], object] = lambda done: None,
) -> TopActivations:
    """Find the images that most activate each feature map, and project these activations to pixels.

    An image counts at most once for each map. The images are read once, and only those with the
    strongest activations are kept in memory.

    Args:
        model: Any functional model of one input, (batch, height, width, channels).
        images: (images, height, width, channels), preprocessed for the model, or an iterable of
            batches of images or of (images, labels), for example a `tf.data.Dataset`.
        layer: Name of the layer, for example `conv3_1/conv_2` in a residual unit or nested model.
        maps: Indices of the maps; by default the first sixteen.
        count: Number of activations per map; nine in the paper.
        batch_size: Batch size for images given as an array, and for the projections.
        progress: Function called with the number of images done.

    Raises:
        InputError: If the model is not functional or has no such layer or map, or if the images do
            not fit the model.
    """
    return Top(model, layer, maps, count)(images, batch_size, progress)


def focused(found: TopActivations) -> TopActivations:
    """Crop patches and projections to the part of the receptive field with most of the signal.

    The signal of a deep layer often fills only the middle of its receptive field. All crops have
    the same size. It is large enough for `MOST` % of the projections, and at least the fraction
    `LEAST` of the receptive field.
    """
    energy = np.square(found.projections).sum(-1)
    size = energy.shape[-2:]
    spans = [_middle(energy.sum(axis)) for axis in (-1, -2)]  # range of rows, range of columns
    lengths = [
        min(side, max(SMALLEST, round(LEAST * side), int(np.percentile(high - low, MOST))))
        for (low, high), side in zip(spans, size)
    ]
    if all(length >= SIGNAL * side for length, side in zip(lengths, size)):
        return found
    starts = [
        ((low + high - length) // 2).clip(0, side - length)
        for (low, high), length, side in zip(spans, lengths, size)
    ]
    inside = np.stack([*starts, *(np.full_like(starts[0], length) for length in lengths)], -1)
    patches, projections = (
        np.stack([[cut(x, w) for x, w in zip(*row)] for row in zip(images, inside)])
        for images in (found.patches, found.projections)
    )
    windows = np.concatenate([found.windows[..., :2] + inside[..., :2], inside[..., 2:]], -1)
    return replace(found, windows=windows, patches=patches, projections=projections)


def _middle(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (begin, end) of the middle of each row that contains the fraction `SIGNAL` of it."""
    totals = np.maximum(sums.sum(-1, keepdims=True), np.finfo("float32").tiny)
    share = np.cumsum(sums, -1) / totals
    rest = (1 - SIGNAL) / 2
    return (share < rest).sum(-1), np.minimum((share < 1 - rest).sum(-1) + 1, sums.shape[-1])


class Windows:
    """Receptive fields of the units of a `Probe`'s layer, in pixels of the image.

    Attributes:
        seen: Receptive fields of this layer and of all earlier layers, as {`id` of the layer's
            output tensor: rows and columns, or None if unknown}.
    """

    def __init__(self, probe: Probe):
        known = None not in probe.image.shape[1:3]  # padding depends on the size of the image
        seen: dict[int, Window | None] = {id(probe.image): pixels(probe.image) if known else None}
        for call, _ in probe.steps:
            spans = window(call, [seen.get(id(x)) for x in call.inputs])
            seen.update((id(x), spans) for x in call.outputs)
        self.seen, self.spans, self.probe = seen, seen[id(probe.target)], probe

    def of(self, place: Sequence[int], sizes: Sequence[int]) -> tuple[int, int, int, int]:
        """Return a unit's receptive field (top, left, height, width); if unknown, the whole image.

        Args:
            place: Row and column of the unit in its feature map.
            sizes: Height and width of the image.
        """
        if not self.spans:
            return 0, 0, sizes[0], sizes[1]
        fields = [min(span.field, size) for span, size in zip(self.spans, sizes)]
        starts = [
            min(max(span.start + int(at) * span.stride, 0), size - field)
            for span, at, size, field in zip(self.spans, place, sizes, fields)
        ]
        return starts[0], starts[1], fields[0], fields[1]


def cut(image: np.ndarray, window: Sequence[int]) -> np.ndarray:
    """Return the part of an image inside a window (top, left, height, width)."""
    top, left, height, width = window
    return image[top : top + height, left : left + width]
