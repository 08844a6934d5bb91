"""Plots of the challenge: errors against year, depth, parameters, multiply-adds and time."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from keras_ilsvrc.claims.challenge import Outcome, Result, mean_of
from keras_ilsvrc.utils import files
from keras_ilsvrc.visualize.figures import BLUE, GREY, RED, plain, save

PICTURE = "challenge.png"
SPREAD = 0.6  # width in years on the x axis over which the nets of one year are spread
FONT = 7.5  # font size of the names of entries, in points
# Possible offsets of a name from its mark, as (right, up) in points, nearest first.
PLACES = [
    (x, y) for far in (0, 9, 18, 27, 36) for y in (far, -far) for x in (6, -6) if far or y == 0
]
COLOURS = {"era": BLUE, "today": RED}
FORMS = {"small": "", "full": ", full form", "quick": ", quick form, which does not test the nets"}


class Mark(NamedTuple):
    """Entry in a panel: its name, its x value, and its errors in % for each recipe."""

    name: str
    x: float
    errors: dict[str, list[float]]


def write_picture(outcome: Outcome, folder: Path) -> None:
    """Draw the outcome to `challenge.png` in a folder."""
    with files.whole(folder / PICTURE) as part:
        draw(outcome, part)


def draw(outcome: Outcome, path: Path) -> None:
    """Draw the outcome of the challenge to a PNG file with six panels.

    The first panel shows the published top-5 errors, and the others the measured top-1 errors: blue
    with the recipe of the era, red with the recipe of today. A line joins the two of an entry.
    """
    figure = Figure(figsize=(15, 9), layout="constrained")
    seeds = f"{outcome.seeds} seeds" if outcome.seeds > 1 else "one seed"
    title = f"{outcome.title}: {outcome.dataset}, {outcome.epochs:g} epochs, {seeds}"
    figure.suptitle(plain(title) + FORMS.get(outcome.form, ""), fontweight="bold")
    axes = figure.subplots(2, 3)
    years = _years(outcome.results)
    published = [
        Mark(x.name, years[x.name], {"published": [x.top5_error]})
        for x in outcome.results
        if x.top5_error is not None
    ]
    panels = [(axes[0, 0], published)]
    _draw_marks(axes[0, 0], published, "year", "published top-5 error of a single net (%)")
    measured: list[tuple[str, dict[str, float], bool]] = [
        ("year", years, False),
        ("layers on the longest path", {x.name: x.depth for x in outcome.results}, False),
        ("parameters (millions)", {x.name: x.parameters / 1e6 for x in outcome.results}, True),
        ("multiply-adds (millions)", {x.name: x.macs / 1e6 for x in outcome.results}, True),
        ("seconds of training", _seconds(outcome.results), True),
    ]
    for one, (label, places, logarithmic) in zip(axes.flat[1:], measured):
        marks = [
            Mark(x.name, places[x.name], {by: run.test_error for by, run in x.by.items()})
            for x in outcome.results
            if x.name in places and any(run.test_error for run in x.by.values())
        ]
        _draw_marks(one, marks, label, "measured top-1 error (%)", logarithmic)
        panels.append((one, marks))
    for one, marks in panels[:2]:
        _join(one, marks, _winners(outcome))
    figure.legend(handles=_legend(), loc="outside lower center", ncols=4, frameon=False)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # so that adding names does not move the panels
    for one, marks in panels:
        _name_marks(one, marks, figure.dpi)
    save(figure, path)


def _draw_marks(
    axes: Axes, marks: Sequence[Mark], label: str, error: str, logarithmic: bool = False
) -> None:
    """Draw the marks of one panel, each with a bar from its lowest to its highest error."""
    axes.set_xlabel(label)
    axes.set_ylabel(error)
    axes.grid(alpha=0.3)
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    if label == "year":
        axes.set_xticks(range(2012, 2016))
    if not marks:
        axes.text(0.5, 0.5, "not measured", color=GREY, ha="center", transform=axes.transAxes)
        return
    for mark in marks:
        means = {by: mean_of(values) for by, values in mark.errors.items() if values}
        if len(means) > 1:
            axes.plot([mark.x] * 2, [*means.values()], color=GREY, lw=1, zorder=1)
        for by, values in mark.errors.items():
            if values:
                colour = COLOURS.get(by, "#000000")
                axes.plot([mark.x] * 2, [min(values), max(values)], color=colour, lw=3, alpha=0.4)
                axes.plot(mark.x, means[by], "o", color=colour, markersize=6)
    axes.margins(x=0.16, y=0.08)


def _join(axes: Axes, marks: Sequence[Mark], names: Sequence[str]) -> None:
    """Draw a line through the marks of the named entries."""
    by_name = {mark.name: mark for mark in marks}
    found = [by_name[name] for name in names if name in by_name]
    places = [(x.x, mean_of(next(v for v in x.errors.values() if v))) for x in found]
    if places:
        axes.plot(*zip(*places), color=GREY, lw=1, ls=":", zorder=0)


def _winners(outcome: Outcome) -> list[str]:
    """Return the winners by year: the entries of the first orders, while these form a chain."""
    names: list[str] = []
    for order in outcome.orders:
        if names and order["higher"] != names[-1]:
            break
        names += [order["lower"]] if names else [order["higher"], order["lower"]]
    return names


def _name_marks(axes: Axes, marks: Sequence[Mark], dpi: float) -> None:
    """Write the name of each mark next to it, where possible without covering names or marks."""
    points = 72 / dpi
    at = {
        mark.name: [
            axes.transData.transform((mark.x, mean_of(values))) * points
            for values in mark.errors.values()
            if values
        ]
        for mark in marks
    }
    taken = [(x - 4, y - 4, x + 4, y + 4) for places in at.values() for x, y in places]
    for places in at.values():  # keep names off the line between two marks
        heights = [y for _, y in places]
        taken.append((places[0][0] - 1, min(heights), places[0][0] + 1, max(heights)))
    left, right = axes.bbox.x0 * points, axes.bbox.x1 * points
    for mark in sorted(marks, key=lambda mark: mark.x):
        first = next(values for values in mark.errors.values() if values)
        x, y = at[mark.name][0]
        boxes = [(_box(x + dx, y + dy, mark.name, dx > 0), (dx, dy)) for dx, dy in PLACES]
        boxes = [each for each in boxes if left < each[0][0] and each[0][2] < right] or boxes
        free = [each for each in boxes if not any(_overlap(each[0], x) for x in taken)]
        box, (dx, dy) = (free or boxes)[0]
        taken.append(box)
        axes.annotate(
            plain(mark.name),
            (mark.x, mean_of(first)),
            (dx, dy),
            textcoords="offset points",
            ha="left" if dx > 0 else "right",
            va="center",
            fontsize=FONT,
            arrowprops={"arrowstyle": "-", "color": GREY, "lw": 0.5} if dy else None,
        )


def _box(x: float, y: float, text: str, right: bool) -> tuple[float, float, float, float]:
    """Return the box (left, bottom, right, top) of a text that starts or ends at a point."""
    width = 0.58 * FONT * len(text)
    return (x if right else x - width, y - FONT / 2, x + width if right else x, y + FONT / 2)


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _years(results: Sequence[Result]) -> dict[str, float]:
    """Return the x value of each entry on the axis of years; those of one year are spread out."""
    found: dict[str, float] = {}
    for year in {result.year for result in results}:
        names = [result.name for result in results if result.year == year]
        places = np.linspace(-SPREAD / 2, SPREAD / 2, len(names)) if len(names) > 1 else [0.0]
        found |= {name: float(year + place) for name, place in zip(names, places)}
    return found


def _seconds(results: Sequence[Result]) -> dict[str, float]:
    """Return the mean seconds of training of each entry with the recipe of the era."""
    return {
        x.name: mean_of(x.by["era"].seconds)
        for x in results
        if "era" in x.by and x.by["era"].seconds
    }


def _legend() -> list[Line2D]:
    words = {
        "recipe of the era (2012 to 2015)": BLUE,
        "recipe of today": RED,
        "published": "#000000",
    }
    dots = [Line2D([], [], marker="o", ls="", color=x, label=name) for name, x in words.items()]
    return [*dots, Line2D([], [], color=GREY, ls=":", label="winners by year")]
