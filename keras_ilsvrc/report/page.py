"""What a page is made of: sections, templates, pictures that are held in the page itself."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from keras_ilsvrc.visualize.figures import save

SMALL = 96  # pixels; a picture of fewer is enlarged about to that, its pixels as squares

_templates = Environment(
    loader=PackageLoader("keras_ilsvrc.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: Its heading.
        anchor: Its name in addresses, `#anchor`.
        html: What it shows.
        note: A sentence below the heading.
    """

    title: str
    anchor: str
    html: Markup
    note: str | None = None


def page(title: str, sections: list[Section]) -> str:
    """The whole page; its title stands in the first section."""
    return render("page", title=title, sections=sections)


def render(template: str, **values: Any) -> Markup:
    """A template with its values, which are escaped unless they are markup."""
    return Markup(_templates.get_template(f"{template}.html").render(**values))


def picture(
    shown: np.ndarray | Figure | Path, alt: str, most: int | None = None, photos: bool = False
) -> Markup:
    """A picture, held in the page.

    Args:
        shown: A figure, the PNG of one, or an image: (height, width), or with 1 or 3 channels;
            uint8, or numbers from 0 to 1.
        alt: What it shows, for those who do not see it.
        most: Pixels of an image's longer side; a larger image is made smaller.
        photos: Whether a figure holds images, whose colours stay as they are on a dark page.
    """
    held = io.BytesIO()
    if isinstance(shown, np.ndarray):
        image = _image(shown)
        if most:
            image.thumbnail((most, most), Image.Resampling.LANCZOS)
        image.save(held, format="png", optimize=True)
    elif isinstance(shown, Path):
        held.write(shown.read_bytes())
    else:
        save(shown, held)
    width, height = Image.open(held).size
    drawn = not isinstance(shown, np.ndarray)
    scale = 1 if drawn else max(1, round(SMALL / max(width, height)))
    return render(
        "picture",
        source=f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}",
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
