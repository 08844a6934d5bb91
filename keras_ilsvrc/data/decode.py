"""Encoded images: how they are decoded, and what is wrong with one."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

import tensorflow as tf
from PIL import Image, UnidentifiedImageError

from keras_ilsvrc.errors import printable, ran_out, reason

MAX_PIXELS = 100_000_000  # pixels of an image; 300 MB as uint8 in colour
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
ORIENTATION = 0x0112  # of EXIF
# Pillow's name of what an image holds; what is not here, as CMYK, keeps its name.
MODES = {"1": "grey", "L": "grey", "P": "palette", "LA": "alpha", "RGBA": "alpha", "PA": "alpha"}


class BadImage(ValueError):
    """What is wrong with an image, in a few words."""


class Fault(NamedTuple):
    """An image, a file or a folder that cannot be used; `size` in bytes, None of a folder."""

    name: str
    size: int | None
    reason: str

    def __str__(self) -> str:
        size = "" if self.size is None else f" ({self.size} bytes)"
        return printable(f"{self.name}: {self.reason}{size}")


class Header(NamedTuple):
    """What an image says of itself; `rotated`: EXIF asks to turn it, which nobody does."""

    format: str
    height: int
    width: int
    mode: str
    rotated: bool


def decode_bytes(content, channels: int) -> tf.Tensor:
    """The uint8 image (height, width, channels) in encoded bytes.

    JPEG or PNG; in colour also WebP, BMP or a GIF's first frame. EXIF rotations are not applied.
    """
    image = tf.io.decode_image(content, channels, expand_animations=False)
    image.set_shape((None, None, channels))
    return image


@contextmanager
def own_limit() -> Iterator[None]:
    """Keeps Pillow from warning of images below our limit; not to be entered by a thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def read_header(file: BinaryIO) -> Header:
    """The header of an encoded image, which is read and nothing else.

    Raises:
        BadImage: If it is none, is too large, or moves.
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
            # A JPEG of several pictures is read as its first by every decoder.
            if image.format != "MPO" and getattr(image, "is_animated", False):
                raise BadImage(f"an animated {image.format} of {image.n_frames} frames")
            mode = "16 bit" if sixteen_bits else MODES.get(image.mode, image.mode)
            format = "JPEG" if image.format == "MPO" else image.format
            return Header(format, height, width, mode, _orientation(image) != 1)
    except UnidentifiedImageError:
        known = ", ".join(FORMATS)
        raise BadImage(f"begins with {start[:8]!r}, not an image ({known})") from None
    except Image.DecompressionBombError:
        raise BadImage("above the limit of 100 megapixels") from None
    except (BadImage, MemoryError):
        raise
    except Exception as error:  # of any kind: Pillow's decoders trust what they read
        raise BadImage(f"a damaged image: {reason(error)}") from error


def _orientation(image):
    try:
        # Not the method of PNG, which decodes the whole image to look behind it.
        return Image.Image.getexif(image).get(ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # of any kind; the image is as good without it
        return 1


def examine(content: bytes, channels: int) -> Header:
    """The header of an image that decodes whole.

    Raises:
        BadImage: If it does not.
    """
    header = read_header(io.BytesIO(content))
    try:
        decode_bytes(content, channels)
    except Exception as error:
        if ran_out(error):
            raise
        if channels == 1 and header.format not in ("JPEG", "PNG"):
            raise BadImage(f"a {header.format} is decoded in colour only") from error
        # Files are padded with zeros behind their end by some disks and cameras.
        whole = header.format != "JPEG" or content.rstrip(b"\0").endswith(b"\xff\xd9")
        raise BadImage(f"a {'damaged' if whole else 'truncated'} {header.format}") from error
    return header
