"""Decoding of image files to exactly the pixels that Pillow returns.

TensorFlow decodes ordinary JPEG and PNG files and raw pixels, because it is fast and does not block
Python's global interpreter lock. Pillow decodes all other formats and modes, and images with an
EXIF rotation.
"""

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_ilsvrc.data.headers import (
    TURNS,
    BadImage,
    Header,
    opened,
    orientation,
    read_header,
)
from keras_ilsvrc.data.markers import ENOUGH
from keras_ilsvrc.utils.errors import InputError, file_errors, ran_out

# Pattern of a JPEG's header up to the first scan, which includes all metadata. It matches 8-bit
# images with 1 or 3 components. It contains only ASCII bytes, since TensorFlow's regular
# expressions cannot match other bytes.
JPEG = (
    r"\C*\x00(\x11\x08\C{4}\x03|\x0b\x08\C{4}\x01)\C*"
    r"\x00(\x0c\x03[\x00-\x7f]{6}|\x08\x01[\x00-\x7f]{2})\x00[\x00\x3f][\x00-\x1f]\C*"
)
PNG = r"\CPNG\C{20}\x08[\x00\x02]\C*"  # 8 bits per channel; grey or RGB
# Patterns of the PPM header of fixed length that `raw_image` writes, by number of channels.
RAW = {channels: rf"P{kind}\n\d{{5}} \d{{5}}\n255\n" for channels, kind in ((1, 5), (3, 6))}
RAW_HEADER = 18  # length of this header in bytes
# Pattern of metadata that may contain an orientation, and of PNG chunks that change pixels.
SPECIAL = r"\C*(Exif|ns\.adobe\.com|eXIf|Raw profile|XML:com|tRNS|acTL)\C*"
# Weights of red, green and blue in Pillow's conversion to grey, in units of 1 / 65,536.
GREY = (19595, 38470, 7471)
matches = tf.strings.regex_full_match
OfBytes = Callable[[tf.Tensor], tf.Tensor]


def decode_bytes(content: bytes | tf.Tensor, channels: int) -> tf.Tensor:
    """Decode bytes to a uint8 image (height, width, channels), turned upright according to EXIF.

    The pixels are the same as with Pillow: only the first frame is used, 16-bit values are reduced
    to their upper 8 bits, transparent images are put on a white background, and the result is
    converted to the mode `RGB` or `L`. The format is detected from the content.

    Args:
        content: Encoded bytes, a scalar string.
        channels: Number of channels, 1 or 3.
    """
    content = tf.convert_to_tensor(content)
    decode = _decoder(channels)
    return decode(content) if tf.executing_eagerly() else _traced(decode)(content)


def raw_image(image: np.ndarray) -> bytes:
    """Return a uint8 image (height, width, 1 or 3), at most 99,999 pixels wide, as a PPM file."""
    height, width, channels = image.shape
    return b"P%d\n%05d %05d\n255\n" % (5 if channels == 1 else 6, width, height) + image.tobytes()


def is_plain_jpeg(content: tf.Tensor) -> tf.Tensor:
    """Return whether bytes are a JPEG that TensorFlow decodes to the same pixels as Pillow.

    These are the RGB and grey JPEGs without EXIF rotation. Usually the first bytes of the file show
    that it is such a JPEG. If they do not, Pillow reads the header.
    """
    return _plain_jpeg(content) if tf.executing_eagerly() else _traced(_plain_jpeg)(content)


def to_channels(image: tf.Tensor, channels: int) -> tf.Tensor:
    """Convert an RGB uint8 image to 1 or 3 channels, with the same greys as Pillow."""
    if channels == 3:
        return image
    weighted = tf.reduce_sum(tf.cast(image, tf.int32) * GREY, -1, keepdims=True)
    return tf.cast((weighted + 0x8000) // 0x10000, tf.uint8)


@cache
def _traced(function: OfBytes) -> OfBytes:
    """Return the graph of a function of encoded bytes, which all pipelines of the process share.

    Otherwise, each new pipeline would trace the function again. The graph, and the Python functions
    that it calls, exist as long as the process, even after `clear_session`.
    """
    with tf.init_scope(), tf.device(None):
        traced = tf.function(function, [tf.TensorSpec((), tf.string)], autograph=False)
        return traced.get_concrete_function()


@cache
def _decoder(channels: int) -> OfBytes:
    """Return the function that decodes bytes to an image with a number of channels."""

    def by_pillow(content: bytes | np.ndarray) -> np.ndarray:
        return _by_pillow(content, channels)

    def decode(content: tf.Tensor) -> tf.Tensor:
        def of_jpeg() -> tf.Tensor:
            pixels = tf.io.decode_jpeg(content, 3, dct_method="INTEGER_ACCURATE")
            return to_channels(pixels, channels)

        def of_png() -> tf.Tensor:
            return to_channels(tf.io.decode_png(content, 3), channels)

        def raw() -> tf.Tensor:
            return matches(tf.strings.substr(content, 0, RAW_HEADER), RAW[channels])

        def of_raw() -> tf.Tensor:
            width, height = (
                tf.strings.to_number(tf.strings.substr(content, first, 5), tf.int32)
                for first in (3, 9)
            )
            values = tf.io.decode_raw(content, tf.uint8)
            last = RAW_HEADER + height * width * channels
            return tf.reshape(values[RAW_HEADER:last], (height, width, channels))

        def of_others() -> tf.Tensor:
            image = tf.numpy_function(by_pillow, [content], tf.uint8)
            return tf.ensure_shape(image, (None, None, channels))

        image = tf.cond(
            is_plain_jpeg(content),
            of_jpeg,
            lambda: tf.cond(_plain_png(content), of_png, lambda: tf.cond(raw(), of_raw, of_others)),
        )
        image.set_shape((None, None, channels))
        return image

    return decode


def _plain_jpeg(content: tf.Tensor) -> tf.Tensor:
    def by_pillow() -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(_is_plain, [content], tf.bool), ())

    def by_head() -> tf.Tensor:
        head = tf.strings.substr(content, 0, ENOUGH)
        plain = matches(head, JPEG) & ~matches(head, SPECIAL)
        return tf.cond(plain, lambda: True, by_pillow)

    return tf.cond(tf.io.is_jpeg(content), by_head, lambda: False)


def _plain_png(content: tf.Tensor) -> tf.Tensor:
    """Return whether the bytes are a PNG that TensorFlow decodes to the same pixels as Pillow."""
    return tf.cond(matches(content, PNG), lambda: ~matches(content, SPECIAL), lambda: False)


def _is_plain(content: bytes | np.ndarray) -> bool:
    try:
        with opened(_file(content)) as image:
            return image.mode in ("L", "RGB") and orientation(image) not in TURNS
    except BadImage:  # the image is decoded later, which raises the error
        return False


def _file(content: bytes | np.ndarray) -> io.BytesIO:
    """Return bytes as a file object. In eager mode, TensorFlow passes them in a NumPy array."""
    return io.BytesIO(content.item() if isinstance(content, np.ndarray) else content)


def _by_pillow(content: bytes | np.ndarray, channels: int) -> np.ndarray:
    with opened(_file(content)) as image:
        # Read the orientation before loading, as `read_header` does. Pillow turns TIFFs itself.
        turn = TURNS.get(orientation(image)) if image.format != "TIFF" else None
        image.load()
        if image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) >> 8).astype("uint8"))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("L" if channels == 1 else "RGB")
        if turn is not None:
            image = image.transpose(turn)
        return np.asarray(image).reshape(image.height, image.width, channels)


def examine(content: bytes, channels: int) -> Header:
    """Decode a whole image and return its header.

    Raises:
        BadImage: If the image cannot be decoded.
    """
    header = read_header(io.BytesIO(content))
    try:
        decode_bytes(content, channels)
    except Exception as error:
        if ran_out(error):
            raise
        # Zeros after the end marker are ignored, since some disks and cameras append them.
        whole = header.format != "JPEG" or content.rstrip(b"\0").endswith(b"\xff\xd9")
        raise BadImage(f"a {'damaged' if whole else 'truncated'} {header.format}") from error
    return header


def read_image(path: Path, channels: int) -> tf.Tensor:
    """Return the image in a file, (height, width, channels), uint8.

    Raises:
        InputError: If the file cannot be read, or is not an image.
    """
    try:
        with file_errors(path, "read"):
            content = path.read_bytes()
            examine(content, channels)
    except BadImage as error:
        raise InputError(f"{path}: {error}") from error
    return decode_bytes(content, channels)
