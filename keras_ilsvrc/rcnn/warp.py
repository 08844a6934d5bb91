"""Warping of boxes to crops of a fixed size, with context around them."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf


class Samples(NamedTuple):
    """Positions at which crops sample an image along one axis.

    Attributes:
        first: Position of the first sample of each crop, (crops,), in pixels from the centre of the
            first pixel of the image.
        step: Distance between samples in pixels, (crops,).
        inside: Whether each sample is inside the image, (crops, size), bool.
    """

    first: np.ndarray
    step: np.ndarray
    inside: np.ndarray


def samples(low: np.ndarray, high: np.ndarray, length: int, size: int, context: int) -> Samples:
    """Return the sample positions of crops along one axis, as in the authors' rcnn_im_crop.m.

    Each box is enlarged about its centre by a factor of size / (size - 2 * context) and rounded to
    whole pixels. The part inside the image is resized to its share of the crop, which is also
    rounded to whole pixels.

    Args:
        low: Coordinates of the lower ends of the boxes, (crops,).
        high: Coordinates of the upper ends of the boxes, (crops,).
        length: Height or width of the image in pixels.
        size: Height or width of the crops in pixels.
        context: Pixels of context at each end of a crop.
    """
    if context:
        half = (high - low) / 2 * size / (size - 2 * context)
        centre = (low + high) / 2
        # in MATLAB's inclusive coordinates, which count from 1, a box is from low + 1 to high
        low = _rounded(centre + 1 - half) - 1
        high = _rounded(centre + 1 + half)
    else:
        low, high = _rounded(low), _rounded(high)
    start, end = np.clip(low, 0, length - 1), np.clip(high, 1, length)
    end = np.maximum(end, start + 1)
    scale = size / np.maximum(high - low, 1)
    before = np.minimum(_rounded((start - low) * scale), size - 1)
    share = np.clip(_rounded((end - start) * scale), 1, size - before)
    step = (end - start) / share
    places = np.arange(size)
    inside = (places >= before[:, None]) & (places < (before + share)[:, None])
    return Samples(start - 0.5 + (0.5 - before) * step, step, inside)


def _rounded(values: np.ndarray) -> np.ndarray:
    """Round to the nearest integer as in MATLAB: halves are rounded away from zero."""
    return np.sign(values) * np.floor(np.abs(values) + 0.5)


def warp(
    image: tf.Tensor | np.ndarray, boxes: np.ndarray, size: int, context: int
) -> tuple[tf.Tensor, np.ndarray]:
    """Return each box as a square crop, with context around it (appendix A of arXiv:1311.2524).

    The aspect ratio is not kept. The interpolation is bilinear without antialiasing. At the edges
    of a box, it also uses pixels outside the box, whereas MATLAB repeats the last pixel.

    Args:
        image: Image (height, width, channels).
        boxes: Boxes (boxes, 4) in pixels.
        size: Height and width of a crop.
        context: Pixels of context at each side of a crop.

    Returns:
        Crops (boxes, size, size, channels), float32, in the image's range of values; and whether
        each of their pixels is inside the image, (boxes, size, size), bool. Crops are 0 outside.
    """
    height, width = image.shape[:2]
    rows = samples(boxes[:, 1], boxes[:, 3], height, size, context)
    columns = samples(boxes[:, 0], boxes[:, 2], width, size, context)
    # Repeat one pixel at each border, since samples may be up to half a pixel outside the image.
    padded = tf.pad(tf.cast(image, tf.float32), [[1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    ends = []
    for axis, length in ((rows, height), (columns, width)):
        first = axis.first + 1
        last = first + (size - 1) * axis.step
        ends.append((first / (length + 1), last / (length + 1)))
    (top, bottom), (left, right) = ends
    corners = np.stack([top, left, bottom, right], axis=1).astype("float32")
    crops = tf.image.crop_and_resize(
        padded[None], corners, np.zeros(len(boxes), "int32"), (size, size)
    )
    inside = rows.inside[:, :, None] & columns.inside[:, None, :]
    if not inside.all():
        crops *= tf.cast(inside, tf.float32)[..., None]
    return crops, inside
