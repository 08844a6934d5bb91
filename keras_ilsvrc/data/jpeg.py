"""Of a JPEG no more is decoded than the window which the first ops of a row show."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from keras_ilsvrc.data import windows
from keras_ilsvrc.data.ops import interpolated, resampled


def window_ops(rows: Sequence[Mapping]) -> int:
    """How many of the first ops say together which window of an image is shown.

    Those are an `area_crop`, or crops, which may stand behind an op that resizes with
    antialiasing. Without it, resizing the whole image is faster.
    """
    names = [row["op"] for row in rows]
    if rows and not rows[0].get("antialias", True):
        return 0
    if names[:1] == ["area_crop"]:
        return 1
    first = int(bool(names) and names[0] in windows.SCALES)
    last = first
    while last < len(names) and names[last] in windows.CROPS:
        last += 1
    return last if last > first else 0


def decode_window(content, rows, seeds, channels: int) -> tf.Tensor:
    """What the first ops make of the image in a JPEG, but from its window alone.

    The same places and interpolations as the ops have, from the same pixels: what differs is the
    last bit of a float, which a grey level in a thousand shows.

    Args:
        content: The encoded bytes, a scalar string.
        rows: As many as `window_ops` says.
        seeds: Of each of them.
        channels: 1 or 3.

    Returns:
        (size, size, channels), uint8.
    """
    height, width, _ = tf.unstack(tf.image.extract_jpeg_shape(content))
    taken = ("op", "antialias")
    keys = [{key: value for key, value in row.items() if key not in taken} for row in rows]
    names = [row["op"] for row in rows]
    if names == ["area_crop"]:
        own = keys[0]
        window = windows.share(height, width, seeds[0], own["area"], own["aspect"])
        pixels = _decode(content, *window, width, channels)
        return interpolated(pixels, seeds[0], own["size"], own["interpolation"])
    scaled = names[0] in windows.SCALES
    size = height, width
    if scaled:
        size = windows.SCALES[names[0]](height, width, seeds[0], **keys[0])
    top = left = 0
    shown = size
    for name, seed, own in list(zip(names, seeds, keys))[scaled:]:
        down, right = windows.CROPS[name](*shown, seed, **own)
        top, left, shown = top + down, left + right, (own["size"], own["size"])
    if not scaled:
        return _decode(content, top, left, *shown, width, channels)
    return _scaled(content, (height, width), size, (top, left), shown, channels)


def _scaled(content, sizes, scaled_sizes, place, shown, channels):
    """The window at a place of the image resized to `scaled_sizes`, from what it is made of."""
    sizes = tf.stack(sizes)
    scale = tf.cast(tf.stack(scaled_sizes), tf.float32) / tf.cast(sizes, tf.float32)
    place = tf.cast(tf.stack(place), tf.float32)
    start, stop = place / scale, (place + shown) / scale
    reach = tf.maximum(1 / scale, 1) + 2  # of the triangle that antialiases, in pixels
    first = tf.maximum(tf.cast(start - reach, tf.int32), 0)
    last = tf.minimum(tf.cast(stop + reach, tf.int32), sizes)
    window = tf.concat([first, last - first], 0)
    pixels = tf.image.decode_and_crop_jpeg(content, window, channels)
    shift = tf.cast(first, tf.float32) * scale - place
    return resampled(pixels, shown, scale, shift)


def _decode(content, top, left, height, width, whole_width, channels):
    """A window of the image, as if all of it were decoded.

    What libjpeg-turbo decodes lacks at its left and right border the colour of the neighbours, so
    one column more is decoded on both sides.
    """
    before = tf.minimum(left, 1)
    after = tf.minimum(whole_width - left - width, 1)
    window = tf.stack([top, left - before, height, before + width + after])
    pixels = tf.image.decode_and_crop_jpeg(content, window, channels)
    return tf.slice(pixels, [0, before, 0], [height, width, channels])
