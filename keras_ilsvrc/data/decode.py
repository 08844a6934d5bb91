"""Decoding of encoded images such as JPEGs, and detection of bad images."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

import tensorflow as tf
from PIL import Image, UnidentifiedImageError

from keras_ilsvrc.errors import printable, ran_out, reason

MAX_PIXELS = 100_000_000  # maximum pixels of an image; 300 MB when decoded to RGB
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
ORIENTATION = 0x0112  # EXIF tag that gives the rotation of an image
# Names reported for Pillow's image modes. Modes not listed, such as CMYK, keep Pillow's name.
MODE_NAMES = {
    "1": "grey",
    "L": "grey",
    "P": "palette",
    "LA": "alpha",
    "RGBA": "alpha",
    "PA": "alpha",
}


class BadImage(ValueError):
    """Error for an image that cannot be used. The message says in a few words why."""


class Fault(NamedTuple):
    """Unusable image, file or folder, and the reason. `size` is in bytes, or None if not known."""

    name: str
    size: int | None
    reason: str

    def __str__(self) -> str:
        size = "" if self.size is None else f" ({self.size} bytes)"
        return printable(f"{self.name}: {self.reason}{size}")


class Header(NamedTuple):
    """Format, size and colour mode, as read from the header of an encoded image.

    `rotated` is True if EXIF data ask for a rotation, which is not applied.
    """

    format: str
    height: int
    width: int
    mode: str
    rotated: bool


def decode_bytes(content: bytes | tf.Tensor, channels: int) -> tf.Tensor:
    """Decode bytes to a uint8 image (height, width, channels) without applying EXIF rotation.

    The format is JPEG or PNG, or with 3 channels also WebP, BMP or GIF (the first frame).
    """
    image = tf.io.decode_image(content, channels, expand_animations=False)
    image.set_shape((None, None, channels))
    return image


@contextmanager
def own_limit() -> Iterator[None]:
    """Suppress Pillow's warnings about large images inside this context.

    Use it in the main thread only, since Python's warning filters are global.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def read_header(file: BinaryIO) -> Header:
    """Read the header of an encoded image, without decoding the pixels.

    Raises:
        BadImage: If the file is not an image, or the image is too large or animated.
    """
    start = file.read(64)
    if not start:
        raise BadImage("an empty file, not an image")
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise BadImage(f"begins with {start[:20]!r}, looks like an HTML page: failed download?")
    sixteen_bits = start[:4] == b"\x89PNG" and start[24:25] == b"\x10"
    file.seek(0)
    try:
        with Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise BadImage(f"{width}x{height} is above the limit of 100 megapixels")
            # A JPEG with several pictures (MPO) is accepted: decoders read only the first picture.
            if image.format != "MPO" and getattr(image, "is_animated", False):
                raise BadImage(f"an animated {image.format} of {image.n_frames} frames")
            mode = "16 bit" if sixteen_bits else MODE_NAMES.get(image.mode, image.mode)
            format = "JPEG" if image.format == "MPO" else image.format
            return Header(format, height, width, mode, _orientation(image) != 1)
    except UnidentifiedImageError:
        known = ", ".join(FORMATS)
        raise BadImage(f"begins with {start[:8]!r}; not an image: expected {known}") from None
    except Image.DecompressionBombError:
        raise BadImage("above the limit of 100 megapixels") from None
    except (BadImage, MemoryError):
        raise
    except Exception as error:  # Pillow raises exceptions of any type for damaged files
        raise BadImage(f"a damaged image: {reason(error)}") from error


def _orientation(image: Image.Image) -> int:
    try:
        # Not PngImageFile.getexif, which would decode the whole image to find EXIF data after it.
        return Image.Image.getexif(image).get(ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # damaged EXIF data can raise any exception, but the image is usable
        return 1


def examine(content: bytes, channels: int) -> Header:
    """Decode a whole image to find out whether it is damaged, and return its header.

    Raises:
        BadImage: If the image cannot be decoded.
    """
    header = read_header(io.BytesIO(content))
    try:
        decode_bytes(content, channels)
    except Exception as error:
        if ran_out(error):
            raise
        if channels == 1 and header.format not in ("JPEG", "PNG"):
            raise BadImage(f"a {header.format} can only be decoded in colour") from error
        # Ignore zeros after the JPEG end marker, since some disks and cameras append them.
        whole = header.format != "JPEG" or content.rstrip(b"\0").endswith(b"\xff\xd9")
        raise BadImage(f"a {'damaged' if whole else 'truncated'} {header.format}") from error
    return header
