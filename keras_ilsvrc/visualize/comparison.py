"""Plot that compares networks: published error against the number of operations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.figures import BLUE, save


def error_against_operations(nets: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Plot published errors against multiply-adds. Disc areas show the numbers of parameters.

    Args:
        nets: For each net, a mapping with the keys `net`, `macs`, `parameters`, `top1_error`,
            `top5_error` (in %, or None) and `protocol`. The top-5 error is drawn, or the top-1
            error if no net has a top-5 error.
        path: Path of the PNG.

    Raises:
        InputError: If no net has a published error.
    """
    key = next((k for k in ("top5_error", "top1_error") if any(net[k] for net in nets)), None)
    if key is None:
        names = ", ".join(net["net"] for net in nets)
        raise InputError(
            f"there is no published error to draw for {names}; add a net with a published error"
        )
    drawn = sorted((net for net in nets if net[key]), key=lambda net: -net["parameters"])
    largest = drawn[0]["parameters"]
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    for net in drawn:
        _draw_disc(axes, net, net[key], 3000 * net["parameters"] / largest)
    axes.set_xscale("log")
    axes.margins(0.15, 0.2)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
    axes.set_xlabel("multiply-adds per image (G)")
    axes.set_ylabel(f"published top-{key[3]} error of a single net (%)")
    axes.set_title("Error against operations; disc area is proportional to parameters")
    axes.grid(alpha=0.3)
    left_out = [net["net"] for net in nets if not net[key]]
    if left_out:
        figure.supxlabel(
            f"without a published top-{key[3]} error: {', '.join(left_out)}", fontsize=9
        )
    save(figure, path)


def _draw_disc(axes: Axes, net: Mapping[str, Any], error: float, area: float) -> None:
    """Draw a net as a disc with a label above it. `area` is the disc's area in square points."""
    place = net["macs"] / 1e9, error
    axes.scatter(*place, s=area, color=BLUE, alpha=0.35, linewidth=0)
    axes.scatter(*place, s=6, color=BLUE)
    protocol = (net["protocol"] or "").replace("_", " ")
    label = f"{net['net']}\n{net['parameters'] / 1e6:.3g} M, {protocol}"
    shift = (0, 6 + area**0.5 / 2)
    axes.annotate(label, place, shift, textcoords="offset points", ha="center", fontsize=9)
