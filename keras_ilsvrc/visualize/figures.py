"""What all figures share: how they are saved, their colours, and names in them."""

import warnings
from pathlib import Path
from typing import BinaryIO

from matplotlib.figure import Figure

DPI = 120
BLUE, RED, GREY = "#2563a8", "#b3382c", "#666666"


def save(figure: Figure, to: Path | BinaryIO) -> None:
    """Writes a figure as a PNG; signs that its font lacks are boxes, and no warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(to, format="png", dpi=DPI)


def plain(text: str, most: int | None = None) -> str:
    """A name from outside as it reads: a dollar begins no formula; shortened to so many signs."""
    text = text if most is None or len(text) <= most else text[: most - 1] + "…"
    return text.replace("$", r"\$")
