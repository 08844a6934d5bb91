"""Plots of the challenge from 2010 to 2016: the errors, and the depths of the networks."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

SOFTWARE, DPI = "keras_ilsvrc", 150
# Colours of medium lightness, visible on both white and black backgrounds.
INK, BLUE, RED = "#767676", "#2f86d1", "#d9622b"
ERRORS, DEPTHS = (3, 5, 10, 20, 30), (8, 20, 50, 100, 200)  # ticks of the two vertical axes
AREA = 9.0  # area of a disc in square points per million parameters
# Years by which points are shifted to the right in the upper and in the lower plot, by place.
ASIDE = {"first": 0.0, "second": 0.14, "beside": 0.14}
BELOW = {"first": 0.0, "second": 0.36, "beside": 0.36}
# Without dates and versions, equal pictures are equal files.
METADATA: dict[str, dict[str, str | None]] = {
    ".png": {"Software": SOFTWARE},
    ".svg": {"Creator": SOFTWARE, "Date": None},
    ".pdf": {"Creator": SOFTWARE, "CreationDate": None},
}

Entry = Mapping[str, Any]


def draw_story(entries: Sequence[Entry], human: Mapping[str, Any], path: Path) -> None:
    """Draw errors and depths of the entries of all years to a PNG, SVG or PDF file.

    Args:
        entries: For each entry, a mapping with the keys `year`, `place`, `name`, `error` (in %),
            `printed` (the error as text), `source` (of the error), `net`, `layers` and
            `parameters`; the last two are None for an unknown net.
        human: Error of a person, with the keys `value` (in %) and `source`.
        path: Path of the picture; its suffix gives the format. The background is transparent.
    """
    look = {"text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "font.size": 10}
    look |= {"xtick.color": INK, "ytick.color": INK, "svg.hashsalt": SOFTWARE}
    with matplotlib.rc_context(look):
        figure = Figure(figsize=(10, 8.6), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.2, 1))
        _draw_errors(above, entries, human)
        _draw_depths(below, entries)
        for axes in (above, below):
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", color=INK, alpha=0.18, linewidth=0.6)
            axes.set_axisbelow(True)
        figure.suptitle("The ImageNet challenge: errors fall as nets grow deeper", fontsize=15)
        figure.supxlabel(_small_print(entries, human), x=0.01, ha="left", fontsize=7)
        figure.savefig(path, dpi=DPI, transparent=True, metadata=METADATA[path.suffix])


def _draw_errors(axes: Axes, entries: Sequence[Entry], human: Mapping[str, Any]) -> None:
    """Plot the errors: a line of the winners, and the other entries to its right."""
    axes.axhline(human["value"], color=RED, linestyle="--", linewidth=1)
    note = f"one person: {human['value']} %"
    axes.annotate(note, (2008.85, human["value"]), (0, 4), textcoords="offset points", color=RED)
    first = [entry for entry in entries if entry["place"] == "first"]
    axes.plot([x["year"] for x in first], [x["error"] for x in first], "o-", color=BLUE, lw=2)
    for entry in entries:
        won = entry["place"] == "first"
        place = entry["year"] + ASIDE[entry["place"]], entry["error"]
        if not won:
            axes.plot(*place, "o", color=INK, markersize=4)
        text = f"{entry['name'].partition(':')[0]} {entry['printed']}"
        look: dict[str, Any] = (
            {"ha": "right", "va": "top"} if won else {"ha": "left", "va": "center"}
        )
        look |= {"color": BLUE, "fontweight": "bold"} if won else {"color": INK}
        shift = (-3, -5) if won else (6, 0)
        axes.annotate(text, place, shift, textcoords="offset points", fontsize=8.5, **look)
    _set_scale(axes, ERRORS, (2.3, 42))
    axes.set_ylabel("top-5 error (%)")


def _draw_depths(axes: Axes, entries: Sequence[Entry]) -> None:
    """Plot the depths: discs whose areas show the numbers of parameters."""
    known = [entry for entry in entries if entry["layers"]]
    first = [entry for entry in known if entry["place"] == "first"]
    axes.plot([x["year"] for x in first], [x["layers"] for x in first], color=BLUE, lw=2)
    for entry in known:
        place = entry["year"] + BELOW[entry["place"]], entry["layers"]
        area = AREA * entry["parameters"] / 1e6
        colour = BLUE if entry in first else INK
        axes.scatter(*place, s=area, color=colour, alpha=0.4, linewidth=0)
        axes.scatter(*place, s=8, color=colour)
        radius = (area / math.pi) ** 0.5
        won = entry in first
        shift = (-0.7 * radius - 2, 0.7 * radius + 2) if won else (radius + 5, 0)
        look: dict[str, Any] = (
            {"ha": "right", "va": "bottom"} if won else {"ha": "left", "va": "center"}
        )
        text = f"{entry['net']}\n{entry['layers']} layers, {entry['parameters'] / 1e6:.1f} M"
        axes.annotate(
            text, place, shift, textcoords="offset points", fontsize=8.5, color=colour, **look
        )
    axes.annotate("shallow systems", (2010.5, 6.3), ha="center", va="center", fontsize=8.5)
    axes.set_xlim(2008.75, 2017.9)
    axes.set_xticks(sorted({entry["year"] for entry in entries}))
    _set_scale(axes, DEPTHS, (5.5, 400))
    axes.set_ylabel("layers (disc area: parameters)")


def _set_scale(axes: Axes, ticks: Sequence[float], limits: tuple[float, float]) -> None:
    axes.set_yscale("log")
    axes.set_ylim(*limits)
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))


def _small_print(entries: Sequence[Entry], human: Mapping[str, Any]) -> str:
    """Return the caption: the meaning of the points, and the sources of all errors."""
    sources = dict.fromkeys(entry["source"] for entry in entries)
    text = (
        "Blue: winners; grey: second places and other published nets. Most entries are ensembles; "
        "the layers and parameters are those of a single net. A question mark: not checked against "
        f"the source. A person: {human['source']}. Errors: {'; '.join(sources)}."
    )
    return "\n".join(textwrap.wrap(text, 190))
