"""Test images that most excite the maps of each layer, and their deconvnet projections."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from keras_ilsvrc.report.explain.images import picture_url
from keras_ilsvrc.runs.inspection import Inspection
from keras_ilsvrc.visualize.backward import Deconvnet
from keras_ilsvrc.visualize.probe import Probe, call_named
from keras_ilsvrc.visualize.sheets import centred, coloured, stretched
from keras_ilsvrc.visualize.top import TopActivations, Windows, cut, focused

MAPS = 16  # strongest images are searched for at most this many maps of a layer, the first ones
COUNT = 4  # number of strongest images of a map
LOOKED_AT = 1000  # maximum number of test images searched
WORK = 5e11  # maximum number of multiply-adds of the search, which take about a minute
SIDE = 64  # maximum side of an image part, in pixels; a multiple of 8, the size of a JPEG block
SMALL = 32  # image parts with sides of up to this many pixels are stored as PNG, without loss
QUALITY = 82  # JPEG quality of larger image parts


class Strongest:
    """Search for the test images that most excite the first maps of each layer.

    Args:
        net: Result of `for_inference`.
        view: Test images.
        names: Names of the layers.
        macs: Number of multiply-adds of the network for one image.
    """

    def __init__(self, net: keras.Model, view: Inspection, names: Sequence[str], macs: int):
        self.net, self.view, self.names = net, view, names
        self.count = min(LOOKED_AT, len(view.images()), max(COUNT, int(WORK / max(macs, 1))))
        self.image = lru_cache(maxsize=256)(view.image)
        self.picture = lru_cache(maxsize=256)(view.picture)

    def strengths(self, progress: Callable[[int, int], object]) -> list[np.ndarray]:
        """Return, for each layer, the largest value of each map in each image: (images, maps).

        Args:
            progress: Function called with the number of images done and the total.
        """
        probe = Probe(self.net)
        targets = [call_named(probe.root, name).outputs[0] for name in self.names]

        def largest(images: tf.Tensor) -> list[tf.Tensor]:
            values = probe.values(images)
            return [_largest(values[id(x)], x.shape[-1]) for x in targets]

        run = probe.graph(largest)
        batches = self.view.batches(self.count, progress)
        found = [[part.numpy() for part in run(probe.batch(batch))] for batch in batches]
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]

    def sprite(self, name: str, strengths: np.ndarray) -> dict[str, Any]:
        """Return one picture of the strongest images of a layer, with a row for each map.

        A row shows `count` image parts, cropped by `focused`, and then their projections.

        Args:
            name: Name of the layer.
            strengths: (images, maps): array of the layer from `strengths`.

        Returns:
            `source`, the data URL of the picture; `maps`, its rows; `count`.
        """
        best = np.argsort(-strengths, axis=0, kind="stable")[:COUNT].T
        maps, count = best.shape
        deconvnet = Deconvnet(self.net, name)
        windows = Windows(deconvnet.probe)
        images = np.stack([self.image(int(index)) for index in best.flat])
        projected = deconvnet(images, np.repeat(np.arange(maps), count))
        places = [windows.of(place, images.shape[1:3]) for place in projected.places]
        pictures = [stretched(self.picture(int(index))) for index in best.flat]
        parts = (
            places,
            [cut(*pair) for pair in zip(pictures, places, strict=True)],
            [cut(*pair) for pair in zip(projected.images, places, strict=True)],
        )
        arrays = (np.stack(part).reshape(maps, count, *np.shape(part[0])) for part in parts)
        values = projected.values.reshape(maps, count)
        found = focused(TopActivations(name, np.arange(maps), values, best, *arrays))
        rows = [
            np.concatenate([_tile(one) for one in (*patches, *map(centred, signals))], 1)
            for patches, signals in zip(found.patches, found.projections, strict=True)
        ]
        sheet = np.concatenate(rows)
        quality = None if sheet.shape[0] <= SMALL * maps else QUALITY
        return {"source": picture_url(sheet, quality), "maps": maps, "count": count}


def _largest(values: tf.Tensor, maps: int) -> tf.Tensor:
    by_place = tf.reshape(values, (tf.shape(values)[0], -1, maps))
    return tf.reduce_max(by_place, 1)[:, :MAPS]


def _tile(image: np.ndarray) -> np.ndarray:
    """Convert an image with values from 0 to 1 to uint8, and reduce its sides to at most `SIDE`."""
    made = Image.fromarray((coloured(image).clip(0, 1) * 255).round().astype("uint8"))
    made.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.asarray(made)
