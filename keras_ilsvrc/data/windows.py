"""Positions of crop windows, computed from image sizes and seeds, without the pixels.

Heights, widths and positions are in pixels. They are ints, or int32 tensors in graphs for images of
different sizes.
"""

from collections.abc import Callable, Mapping

import tensorflow as tf

from keras_ilsvrc.data.types import Image, Range, Seed, Side
from keras_ilsvrc.utils.errors import InputError

Place = tuple[Side, Side]  # (height, width) or (top, left)
Window = tuple[Side, Side, Side, Side]  # top, left, height, width

# Maximum number of random windows that area_crop tries, as in fb.resnet.torch (transforms.lua).
TRIES = 10


def shorter(height: Side, width: Side, seed: Seed, size: int) -> Place:
    """Return (height, width), rounded down, after the shorter side is resized to `size`."""
    least = min(height, width) if _known(height, width) else tf.minimum(height, width)
    return height * size // least, width * size // least


def shorter_between(height: Side, width: Side, seed: Seed, least: int, most: int) -> Place:
    """Return (height, width) after resizing the shorter side to a random size in [least, most]."""
    check_order("scale_jitter: least, most", least, most)
    size = tf.random.stateless_uniform((), seed, least, most + 1, tf.int32)
    return shorter(height, width, seed, size)


def anywhere(height: Side, width: Side, seed: Seed, size: int) -> Place:
    """Return a random position (top, left) of a size x size window; all are equally likely."""
    height, width = fitting(height, width, size)
    draws = tf.random.stateless_uniform((3,), seed, maxval=tf.int32.max, dtype=tf.int32)
    return draws[0] % (height - size + 1), draws[1] % (width - size + 1)


def middle(height: Side, width: Side, seed: Seed, size: int) -> Place:
    """Return the position (top, left) of the size x size window in the middle of the image."""
    height, width = fitting(height, width, size)
    return (height - size) // 2, (width - size) // 2


def corner_or_middle(height: Side, width: Side, seed: Seed, size: int) -> Place:
    """Return the position (top, left) of a size x size window: a random corner, or the middle."""
    height, width = fitting(height, width, size)
    down, right = height - size, width - size
    which = tf.random.stateless_uniform((), seed, 0, 5, tf.int32)
    places = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    place = tf.gather(tf.convert_to_tensor(places), which)
    return place[0], place[1]


def share(height: Side, width: Side, seed: Seed, area: Range, aspect: Range) -> Window:
    """Return a window (top, left, height, width) of random area and aspect ratio.

    The window's share of the image's area is drawn uniformly from the range `area`, and its ratio
    of width to height uniformly from the range `aspect`. Height and width are then exchanged with
    probability 1/2. Up to ten windows are drawn, and the first that fits into the image is
    returned. If none fits, the largest square in the centre is returned.
    """
    check_order("area_crop: area", *area)
    check_order("area_crop: aspect", *aspect)
    if area[1] > 1:
        raise InputError(f"area_crop: the maximum of area is {area[1]}; expected at most 1")
    draws = tf.random.stateless_uniform((3 * TRIES + 2,), seed)
    shares, aspects, swaps = tf.unstack(tf.reshape(draws[:-2], (3, TRIES)))
    pixels = _between(shares, *area) * tf.cast(height * width, tf.float32)
    aspects = _between(aspects, *aspect)
    one = tf.cast(tf.round(tf.sqrt(pixels * aspects)), tf.int32)
    other = tf.cast(tf.round(tf.sqrt(pixels / aspects)), tf.int32)
    widths, heights = tf.where(swaps < 0.5, other, one), tf.where(swaps < 0.5, one, other)
    fits = (heights <= height) & (widths <= width) & (heights > 0) & (widths > 0)
    found, first = tf.reduce_any(fits), tf.argmax(fits)
    square = tf.minimum(height, width)
    tall = tf.where(found, heights[first], square)
    wide = tf.where(found, widths[first], square)
    rest = tf.stack([height - tall, width - wide])
    drawn = tf.cast(draws[-2:] * tf.cast(rest + 1, tf.float32), tf.int32)
    place = tf.where(found, drawn, rest // 2)
    return place[0], place[1], tall, wide


def fitting(height: Side, width: Side, size: int) -> Place:
    """Check that a size x size window fits into an image, and return the image's height and width.

    Raises:
        InputError: If the window does not fit. If the height or width is a tensor, TensorFlow
            raises an InvalidArgumentError instead, when the graph runs.
    """
    message = f"a crop of {size}x{size} does not fit into images of"
    if not _known(height, width):
        fits = (height >= size) & (width >= size)
        with tf.control_dependencies([tf.debugging.Assert(fits, [message, height, width])]):
            return tf.identity(height), tf.identity(width)
    if min(height, width) < size:
        raise InputError(f"{message} {height}x{width}")
    return height, width


def size_of(image: Image) -> Place:
    """Return height and width of an image: ints if its static shape is known, else tensors."""
    height, width = image.shape[:2]
    sizes = tf.shape(image)
    return sizes[0] if height is None else height, sizes[1] if width is None else width


def _known(*sizes: Side) -> bool:
    return all(isinstance(size, int) for size in sizes)


def _between(uniform: tf.Tensor, least: float, most: float) -> tf.Tensor:
    return least + (most - least) * uniform


def check_order(key: str, least: float, most: float) -> None:
    """Raise an InputError if `least` is larger than `most`; `key` is their name for the message."""
    if least > most:
        raise InputError(f"{key} = {least}, {most}; swap them, so that the smaller comes first")


# {op that resizes the shorter side: function that returns the new height and width}.
SCALES: Mapping[str, Callable[..., Place]] = {
    "resize_shorter": shorter,
    "scale_jitter": shorter_between,
}
# {op that crops: function that returns the top and left of its window}.
CROPS: Mapping[str, Callable[..., Place]] = {
    "random_crop": anywhere,
    "centre_crop": middle,
    "corner_crop": corner_or_middle,
}
