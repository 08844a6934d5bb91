"""Pages of network drawings: colours, texts and outlines, and writing them to files."""

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

from keras_ilsvrc.utils.errors import file_errors
from keras_ilsvrc.utils.files import whole
from keras_ilsvrc.visualize.figures import save

# Colours as in figure 3 of the GoogLeNet paper: convolutions blue, pools red, softmax yellow, other
# layers green. They are light versions of Okabe and Ito's colours, which colour-blind readers can
# distinguish.
GREEN = "#b5dfcd"
FILLS = {"conv": "#a8cdea", "pool": "#f2a98c", "softmax": "#f8ea8c", "image": "#ffffff"}
FRAME_FILL, INK, FAINT, EDGE = "#f2f2f2", "#111111", "#454545", "#333333"
# Space around a page, above a network for its name, and between networks, in points
MARGIN, TITLE, ASIDE = 14.0, 22.0, 40.0
DPI, MOST_PIXELS = 150, 60_000  # Matplotlib draws at most 65,535 pixels along an axis
SETTINGS = {
    "svg.fonttype": "none",  # write text as text, not as outlines
    "pdf.fonttype": 42,  # embed TrueType fonts
    "svg.hashsalt": "keras_ilsvrc",  # write the same IDs each time
    "font.family": "DejaVu Sans",
}


def page(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure and axes that fill it. Its size and all coordinates are in points."""
    figure = Figure(figsize=(width / 72, height / 72))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def write(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    size: float,
    colour: str = INK,
    align: str = "center",
    weight: str = "normal",
) -> None:
    """Write a text, centred vertically at y. `$` in it does not start a formula."""
    options: dict[str, Any] = {
        "ha": align,
        "va": "center",
        "size": size,
        "color": colour,
        "weight": weight,
    }
    axes.text(x, y, text, parse_math=False, **options)


def patch(
    axes: Axes, outlines: list[Outline], fill: str, width: float, style: Any = "-", edge: str = EDGE
) -> None:
    """Draw outlines as one compound path, which keeps SVG files small."""
    if outlines:
        options = {"facecolor": fill, "edgecolor": edge, "linewidth": width, "linestyle": style}
        axes.add_patch(PathPatch(Outline.make_compound_path(*outlines), **options))


def save_drawing(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the file's suffix; replace the file only when it is complete.

    Raises:
        InputError: If the file cannot be written.
    """
    dpi = min(DPI, MOST_PIXELS / max(figure.get_size_inches()))
    stamp = {"CreationDate": None} if path.suffix == ".pdf" else {}
    stamp |= {"Date": None} if path.suffix == ".svg" else {}
    with file_errors(path, "written"), matplotlib.rc_context(SETTINGS), whole(path) as part:
        save(figure, part, format=path.suffix[1:], dpi=dpi, metadata=stamp)
