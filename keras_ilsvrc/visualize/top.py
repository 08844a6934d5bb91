"""The images that excite a map most, and why: Zeiler and Fergus, arXiv:1311.2901, figure 2."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.accounting.geometry import pixels, window
from keras_ilsvrc.accounting.span import Window
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.visualize.backward import Deconvnet
from keras_ilsvrc.visualize.checks import batches_of, check_count, numbers_of, silent
from keras_ilsvrc.visualize.probe import Probe

SHOWN = 16  # maps, where none are named


@dataclass(frozen=True)
class TopActivations:
    """The strongest activations of maps of a layer over many images, the strongest first.

    Attributes:
        layer: Its name.
        maps: (maps,): their numbers.
        values: (maps, count): the activations.
        indices: (maps, count): the images they are in, from 0 in the order in which they came.
        windows: (maps, count, 4): top, left, height and width in pixels of what the units see,
            moved inside the image where it reaches over the border; all of one size.
        patches: (maps, count, height, width, channels), float32: that much of the images.
        projections: The same of the activations' projections by the deconvnet.
    """

    layer: str
    maps: np.ndarray
    values: np.ndarray
    indices: np.ndarray
    windows: np.ndarray
    patches: np.ndarray
    projections: np.ndarray


class Top:
    """Finds the top activations of a layer, as often as one likes, by the same graphs.

    Args:
        model: Functional, of one image.
        layer: As for `Probe`.
        maps: Their numbers; the first sixteen where they are not given.
        count: How many activations of each map.

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
        self, images: Any, batch_size: int = 32, progress: Callable[[int], object] = silent
    ) -> TopActivations:
        """As `top_activations`."""
        values, indices, held = self._search(images, batch_size, progress)
        if not held:
            raise InputError("images hold no image; give at least one")
        chosen = indices.reshape(-1)
        sizes = {image.shape for image in held.values()}
        if len(sizes) > 1:
            raise InputError(f"images are of several sizes, {sizes}; resize them to one")
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

    def _search(self, images, batch_size, progress):
        """Values, indices, and the images that are among them; no others are held."""
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
            held |= {index: image.copy() for index, image in zip(own, batch) if index in kept}
            progress(done)
        return values, indices, held

    def _strengths_of(self, images):
        """(images, maps): the strongest activation of each."""
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
    progress: Callable[[int], object] = silent,
) -> TopActivations:
    """The strongest activations of maps, one an image, with what caused them.

    The images are read once; of them only those are held that are among the strongest.

    Args:
        model: Functional, of one image (batch, height, width, channels); ours or another.
        images: (images, height, width, channels) as the model takes them, or batches of them,
            alone or as (images, labels): a `tf.data.Dataset`, a generator.
        layer: By name; inside units and nested models as `conv3_1/conv_2`.
        maps: Their numbers; the first sixteen where they are not given.
        count: How many activations of each map, nine in the paper.
        batch_size: Of an array, and of the projections.
        progress: Called with the images done.

    Raises:
        InputError: If the model is not functional, has no such layer or map, or takes other images.
    """
    return Top(model, layer, maps, count)(images, batch_size, progress)


class Windows:
    """What the units of a probe's layer see, in the image.

    Attributes:
        seen: Windows of all layers of which that one is made, by the `id` of their tensors.
    """

    def __init__(self, probe: Probe):
        known = None not in probe.image.shape[1:3]  # else no padding is
        seen: dict[int, Window | None] = {id(probe.image): pixels(probe.image) if known else None}
        for call, _ in probe.steps:
            spans = window(call, [seen.get(id(x)) for x in call.inputs])
            seen.update((id(x), spans) for x in call.outputs)
        self.seen, self.spans, self.probe = seen, seen[id(probe.target)], probe

    def of(self, place: Sequence[int], sizes: Sequence[int]) -> tuple[int, int, int, int]:
        """Top, left, height and width of the window of a unit; of the whole image if unknown.

        Args:
            place: Row and column of the unit.
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
    """The part of an image in a window: top, left, height, width."""
    top, left, height, width = window
    return image[top : top + height, left : left + width]
