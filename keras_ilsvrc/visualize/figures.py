"""Helpers for all figures: colours, saving as PNG, and escaping of names."""

import warnings
from pathlib import Path
from typing import BinaryIO

from matplotlib.figure import Figure

DPI = 120
BLUE, RED, GREY = "#2563a8", "#b3382c", "#666666"


def save(figure: Figure, to: Path | BinaryIO) -> None:
    """Write a figure as a PNG, without warnings about characters that the font lacks."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(to, format="png", dpi=DPI)


def plain(text: str, most: int | None = None) -> str:
    """Shorten a name to `most` characters, and escape `$`, which starts a formula in Matplotlib."""
    text = text if most is None or len(text) <= most else text[: most - 1] + "…"
    return text.replace("$", r"\$")
