"""Partial decoding of JPEGs: if the first ops crop the image, only the crop is decoded."""

from collections.abc import Sequence

import tensorflow as tf

from keras_ilsvrc.data import windows
from keras_ilsvrc.data.decode import to_channels
from keras_ilsvrc.data.ops import interpolated, resampled
from keras_ilsvrc.data.types import Image, Rows, Seed, Side
from keras_ilsvrc.data.windows import Place, Window


def window_ops(rows: Rows) -> int:
    """Return the number of leading ops of `rows` for which only a part of a JPEG must be decoded.

    These ops are an `area_crop`, or one or more other crops, possibly after a `resize_shorter` or
    `scale_jitter`. The number is 0 if the ops do not begin like this, or if the first op resizes
    without antialiasing, since it is then faster to resize the whole image.
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


def decode_window(content: tf.Tensor, rows: Rows, seeds: Sequence[Seed], channels: int) -> Image:
    """Apply cropping ops to a JPEG, decoding only the part of the image that they keep.

    The result is almost the same as if the whole image were decoded. The last bit of a float may
    differ; this changes fewer than one in a thousand uint8 values.

    Args:
        content: Encoded bytes, a scalar string.
        rows: First ops, as many as `window_ops` returns.
        seeds: Seeds of these ops.
        channels: Number of channels, 1 or 3.

    Returns:
        Image (size, size, channels), uint8.
    """
    height, width, _ = tf.unstack(tf.image.extract_jpeg_shape(content))
    taken = ("op", "antialias")
    keys = [{key: value for key, value in row.items() if key not in taken} for row in rows]
    names = [row["op"] for row in rows]
    if names == ["area_crop"]:
        own = keys[0]
        window = windows.share(height, width, seeds[0], own["area"], own["aspect"])
        pixels = _decode(content, window, width, channels)
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
        return _decode(content, (top, left, *shown), width, channels)
    return tf.cond(
        tf.reduce_all(tf.equal(size, (height, width))),
        lambda: tf.ensure_shape(
            _decode(content, (top, left, *shown), width, channels), (*shown, channels)
        ),
        lambda: _scaled(content, (height, width), size, (top, left), shown, channels),
    )


def _scaled(
    content: tf.Tensor, sizes: Place, scaled_sizes: Place, place: Place, shown: Place, channels: int
) -> Image:
    """Resize a JPEG to `scaled_sizes` and crop it, decoding only the pixels that are needed."""
    sizes = tf.stack(sizes)
    scale = tf.cast(tf.stack(scaled_sizes), tf.float32) / tf.cast(sizes, tf.float32)
    place = tf.cast(tf.stack(place), tf.float32)
    start, stop = place / scale, (place + shown) / scale
    # Half the width of the filter in pixels, plus a margin of 2.
    reach = tf.maximum(1 / scale, 1) + 2
    first = tf.maximum(tf.cast(start - reach, tf.int32), 0)
    last = tf.minimum(tf.cast(stop + reach, tf.int32), sizes)
    window = tf.concat([first, last - first], 0)
    pixels = _crop(content, window, channels)
    shift = tf.cast(first, tf.float32) * scale - place
    return resampled(pixels, shown, scale, shift)


def _decode(content: tf.Tensor, window: Window, whole_width: Side, channels: int) -> Image:
    """Decode a window of a JPEG to the same values as if the whole image were decoded.

    At the left and right border of a window, libjpeg-turbo upsamples colours without the pixels
    outside the window. So one more column is decoded on each side and then removed.
    """
    top, left, height, width = window
    before = tf.minimum(left, 1)
    after = tf.minimum(whole_width - left - width, 1)
    wider = tf.stack([top, left - before, height, before + width + after])
    pixels = _crop(content, wider, channels)
    return tf.slice(pixels, [0, before, 0], [height, width, channels])


def _crop(content: tf.Tensor, window: tf.Tensor, channels: int) -> Image:
    pixels = tf.image.decode_and_crop_jpeg(content, window, 3, dct_method="INTEGER_ACCURATE")
    return to_channels(pixels, channels)
