"""Headers of encoded images: format, size and mode, and reasons why a file cannot be used."""

import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple, TypeVar

from PIL import Image, UnidentifiedImageError

from keras_ilsvrc.utils.errors import printable, reason

MAX_PIXELS = 100_000_000  # maximum number of pixels of an image; in colour, it then has 300 MB
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
# {file name extension: image format}.
ENDINGS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    ".png": "PNG",
    ".gif": "GIF",
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    ".webp": "WEBP",
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm"), "PPM"),
}
Default = TypeVar("Default")
ORIENTATION = 0x0112  # number of the EXIF tag
# {EXIF orientation: operation that turns the image upright}; orientation 1 is upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Our names for Pillow's image modes. Some modes, such as CMYK, have the same name as in Pillow.
MODE_NAMES = {
    **dict.fromkeys(("1", "L"), "grey"),
    "P": "palette",
    **dict.fromkeys(("LA", "La", "PA", "RGBA", "RGBa"), "alpha"),
    **dict.fromkeys(("I;16", "I;16B", "I;16L"), "16 bit"),
    **{mode: mode for mode in ("RGB", "CMYK", "YCbCr")},
    "RGBX": "RGB",
}
RAW = "a RAW file of a camera; convert it to JPEG"
HEIC = (
    "a HEIC image; convert it to JPEG, for example with heif-convert, or with Python's pillow-heif "
    "(pip install pillow-heif)"
)
VIDEO = "a video; remove it, or save frames of it as JPEG"
# Unsupported files, as {pattern of the first bytes: kind of file, and advice for the user}.
OTHERS = {
    rb"%PDF": "a PDF document; save its pictures as JPEG",
    rb"8BPS": "a Photoshop file (PSD); save it as PNG",
    rb"(\xef\xbb\xbf)?\s*(<\?xml.*)?<svg": "an SVG drawing; save it as PNG",
    rb".{4}ftyp(hei|hev|mif1|msf1)": HEIC,
    rb".{4}ftypavi": "an AVIF image; convert it to JPEG",
    rb"\xff\x0a|.{4}JXL ": "a JPEG XL image; convert it to JPEG",
    rb".{4}jP  |\xff\x4f\xff\x51": "a JPEG 2000 image; convert it to JPEG",
    rb"FUJIFILMCCD-RAW|II(RO|RS|U\0)|MMOR|.{8}CR\x02|.{4}ftypcrx": RAW,
    rb".{4}(ftyp|moov|mdat)|\x1aE\xdf\xa3|RIFF.{4}AVI |FLV|\0\0\1[\xb3\xba]": VIDEO,
    rb"PK\x03\x04|\x1f\x8b|Rar!|7z\xbc\xaf": "an archive; unpack it",
}
# Numbers of two TIFF tags, and the bit in the value of `PREVIEW` that marks a preview image.
PREVIEW, DNG, REDUCED = 254, 50706, 1


class BadImage(ValueError):
    """Error about an image that cannot be used; the message says why in a few words."""


class NotAnImage(BadImage):
    """Error about a file whose content is not that of an image, such as a text file."""


class Fault(NamedTuple):
    """Image, file or folder that cannot be used. `size` is in bytes, or None if it is unknown."""

    name: str
    size: int | None
    reason: str

    def __str__(self) -> str:
        size = "" if self.size is None else f" ({self.size} bytes)"
        return printable(f"{self.name}: {self.reason}{size}")


class Header(NamedTuple):
    """Metadata from the header of an image file.

    Attributes:
        format: One of `FORMATS`; in `data.check`, also "pixels".
        height: Height in pixels, after any EXIF rotation.
        width: Width in pixels, after any EXIF rotation.
        mode: One of the values of `MODE_NAMES`.
        turned: Whether the EXIF data asks for a rotation or reflection, which the decoder applies.
        several: Whether there are several frames or pages, of which only the first is used.
    """

    format: str
    height: int
    width: int
    mode: str
    turned: bool = False
    several: bool = False


def count_endings(paths: Iterable[str]) -> Counter[str]:
    """Count files by the lowercase extension of their names."""
    return Counter(os.path.splitext(path)[1].lower() or "without extension" for path in paths)


@contextmanager
def own_limit() -> Iterator[None]:
    """Suppress Pillow's warnings about large images, since we check our own limit.

    The warnings are suppressed inside a `with` block, which must be in the main thread.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def read_header(file: BinaryIO) -> Header:
    """Read only the header of an encoded image.

    Raises:
        NotAnImage: If the content is not that of an image.
        BadImage: If the image is damaged, too large, or of an unsupported kind.
    """
    with opened(file) as image:
        width, height = image.size
        turn = orientation(image)
        # For a TIFF, Pillow already returns the size of the turned image.
        if turn in (5, 6, 7, 8) and image.format != "TIFF":
            width, height = height, width
        file.seek(0)
        start = file.read(32)
        sixteen_bits = start[:4] == b"\x89PNG" and start[24:25] == b"\x10"
        mode = "16 bit" if sixteen_bits else MODE_NAMES[image.mode]
        several = _or_if_damaged(False, lambda: bool(getattr(image, "is_animated", False)))
        # Pillow calls the format of a JPEG with several pictures MPO.
        format = str(image.format).replace("MPO", "JPEG")
        return Header(format, height, width, mode, turn in TURNS, several)


@contextmanager
def opened(file: BinaryIO) -> Iterator[Image.Image]:
    """Open an image with Pillow for a `with` block, without decoding it.

    Raises:
        NotAnImage: If the content is not that of an image.
        BadImage: If the image is damaged, too large, or of an unsupported kind. Errors that Pillow
            raises in the block are converted to `BadImage` too.
    """
    start = file.read(512)
    _check_start(start)
    file.seek(0)
    try:
        with Image.open(file, formats=FORMATS) as image:
            _check(image)
            yield image
    except UnidentifiedImageError:
        known = ", ".join(FORMATS)
        raise NotAnImage(f"begins with {start[:8]!r}; not an image: expected {known}") from None
    except Image.DecompressionBombError as error:
        # The message begins like "Image size (9 pixels) exceeds limit".
        size = str(error).partition("(")[2].partition(")")[0]
        raise BadImage(f"{size or 'its pixels'} exceed the limit of 100 megapixels") from None
    except (BadImage, MemoryError):
        raise
    except Exception as error:  # Pillow raises exceptions of any type for damaged files
        raise BadImage(f"a damaged image: {reason(error)}") from error


def _check_start(start: bytes) -> None:
    """Raise a `BadImage` if the first bytes of a file show that its format is not supported."""
    if not start:
        raise NotAnImage("an empty file, not an image")
    for pattern, what in OTHERS.items():
        if re.match(pattern, start, re.DOTALL):
            raise BadImage(f"{what}; supported: {', '.join(FORMATS)}")
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise NotAnImage(f"begins with {start[:20]!r}, looks like an HTML page: failed download?")


def _check(image: Image.Image) -> None:
    """Raise a `BadImage` if an image is too large, of an unknown mode, or a camera's RAW file."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadImage(f"{width}x{height} is above the limit of 100 megapixels")
    if image.mode not in MODE_NAMES:
        raise BadImage(
            f"a {image.format} with pixels of type {image.mode}; expected 8 or 16 bits per channel"
        )
    if image.format == "TIFF":
        tags = image.tag_v2
        if DNG in tags or tags.get(PREVIEW, 0) & REDUCED:  # the first page is only a preview
            raise BadImage(RAW)


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an image, 1 to 8; 1 if it is missing or damaged."""
    # Do not call PngImageFile.getexif, which decodes the whole image to find EXIF data behind it.
    return _or_if_damaged(1, lambda: Image.Image.getexif(image).get(ORIENTATION, 1))


def _or_if_damaged(default: Default, read: Callable[[], Default]) -> Default:
    """Return `read()`, or the default if `read` fails on damaged metadata."""
    try:
        return read()
    except MemoryError:
        raise
    except Exception:  # Pillow raises exceptions of any type; the image itself is usable
        return default
