"""Parts of a page: sections, templates, and pictures embedded in the page itself."""

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

ENLARGED = 96  # enlarge smaller pictures to about this many pixels, without smoothing

_templates = Environment(
    loader=PackageLoader("keras_ilsvrc.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Attributes:
        title: Heading.
        anchor: Name in links, `#anchor`.
        html: Content.
        note: Text below the heading.
    """

    title: str
    anchor: str
    html: Markup
    note: str | None = None


def render(template: str, **values: Any) -> Markup:
    """Fill a template with values, which are escaped unless they are markup."""
    return Markup(_templates.get_template(f"{template}.html").render(**values))


def picture(
    shown: np.ndarray | Figure | Path, alt: str, most: int | None = None, photos: bool = False
) -> Markup:
    """Return the HTML of a picture that is embedded in the page.

    Args:
        shown: Figure, path of a figure's PNG, or image: (height, width), or (height, width, 1 or
            3 channels); uint8, or floats from 0 to 1.
        alt: Description for readers who cannot see the picture.
        most: Longer side, in pixels, to which a larger image is reduced.
        photos: Whether a figure contains images, whose colours are not inverted on a dark page.
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
    scale = 1 if drawn else max(1, round(ENLARGED / max(width, height)))
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
