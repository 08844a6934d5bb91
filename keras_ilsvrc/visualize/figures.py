"""Helpers for all figures: colours, saving as PNG, and escaping of names."""

import warnings
from pathlib import Path
from typing import Any, BinaryIO

from matplotlib.figure import Figure
from PIL import Image

DPI = 120
SOFTWARE = "keras_ilsvrc"  # written to the metadata of each PNG, so that `is_ours` recognises it
BLUE, RED, GREY = "#2563a8", "#b3382c", "#666666"


def save(figure: Figure, to: Path | BinaryIO, **options: Any) -> None:
    """Write a figure without warnings about characters that the font lacks; by default as a PNG.

    `options` are arguments of Matplotlib's `savefig`.
    """
    own: dict[str, Any] = {"format": "png", "dpi": DPI, "metadata": {"Software": SOFTWARE}}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(to, **own | options)


def is_ours(path: Path) -> bool:
    """Return whether a file is a PNG that `save` wrote."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return image.info.get("Software") == SOFTWARE
    except Exception:  # Pillow raises exceptions of any type for damaged files
        return False


def plain(text: str, most: int | None = None) -> str:
    """Shorten each line to `most` characters; escape `$`, which starts a formula in Matplotlib."""
    if most is not None:
        lines = text.split("\n")
        text = "\n".join(x if len(x) <= most else x[: most - 1] + "…" for x in lines)
    return text.replace("$", r"\$")
