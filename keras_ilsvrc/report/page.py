"""Building blocks of the HTML report: sections, templates, and pictures embedded in the page."""

import base64
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from PIL import Image

from keras_ilsvrc.visualize.figures import save

ENLARGED = 96  # smaller images are enlarged to sides of about this many pixels, without smoothing
QUALITY = 85  # JPEG quality of pictures

_templates = Environment(
    loader=PackageLoader("keras_ilsvrc.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def linked(text: str) -> Markup:
    """Return text as HTML. Numbers of arXiv papers become links."""
    link = r'<a href="https://arxiv.org/abs/\1">arXiv:\1</a>'
    return Markup(re.sub(r"arXiv:(\d{4}\.\d{4,5})", link, str(escape(text))))


_templates.filters["linked"] = linked


@dataclass(frozen=True)
class Section:
    """Section of the HTML report.

    Attributes:
        title: Heading.
        anchor: Name of the section in links, without `#`.
        html: Content.
        note: Text between heading and content; None for no text.
    """

    title: str
    anchor: str
    html: Markup
    note: str | None = None


def render(template: str, **values: Any) -> Markup:
    """Fill a template with values and return the HTML. Escape values that are not `Markup`."""
    return Markup(_templates.get_template(f"{template}.html").render(**values))


def data_url(content: bytes, kind: str) -> str:
    """Return the content of a file of a MIME type as a data URL."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def picture(
    shown: np.ndarray | Figure | Path, alt: str, most: int | None = None, photos: bool = False
) -> Markup:
    """Return the HTML of a picture, with the picture itself embedded as a data URL.

    The picture is a PNG, or a JPEG if `most` is set and the image is not smaller than `ENLARGED`.

    Args:
        shown: A figure, the path of a figure's PNG, or an image: (height, width) or (height,
            width, 1 or 3 channels), as uint8 or as floats from 0 to 1.
        alt: Description for readers who cannot see the picture.
        most: Maximum longer side of an image in pixels; a larger image is reduced to this size.
            None for no maximum.
        photos: Whether a figure contains photographs; its colours are then not inverted on a
            dark page.
    """
    held = io.BytesIO()
    if isinstance(shown, np.ndarray):
        image = _image(shown)
        if most:
            image.thumbnail((most, most), Image.Resampling.LANCZOS)
        photo = most and max(image.size) >= ENLARGED
        image.save(held, "jpeg" if photo else "png", optimize=True, quality=QUALITY)
    elif isinstance(shown, Path):
        held.write(shown.read_bytes())
    else:
        save(shown, held)
    opened = Image.open(held)
    width, height = opened.size
    drawn = not isinstance(shown, np.ndarray)
    scale = 1 if drawn else max(1, round(ENLARGED / max(width, height)))
    return render(
        "picture",
        source=data_url(held.getvalue(), opened.get_format_mimetype()),
        alt=alt,
        width=width * scale,
        height=height * scale,
        kind=("sheet" if photos else "plot") if drawn else "pixels" if scale > 1 else "photo",
    )


def _image(pixels: np.ndarray) -> Image.Image:
    if pixels.dtype != np.uint8:
        pixels = (np.nan_to_num(pixels).clip(0, 1) * 255).round().astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    return Image.fromarray(pixels)
