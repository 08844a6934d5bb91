"""Pictures of runs, and of nets side by side."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from keras_ilsvrc.errors import InputError

DPI = 120
BLUE, RED, GREY = "#2563a8", "#b3382c", "#666666"


def curves(history: Sequence[Mapping], path: Path, title: str, test_error: float | None = None):
    """Loss and error over epochs, side by side.

    Args:
        history: Rows with `epoch`, `loss`, `error`, and `validation_loss`, `validation_error`
            where there is a validation split; errors in %.
        path: Of the PNG.
        title: Above both.
        test_error: Drawn as a line where it is known, in %.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(plain(title))
    epochs = [row["epoch"] for row in history]
    for axes, name, unit in zip(figure.subplots(1, 2), ("loss", "error"), ("nats", "%")):
        axes.plot(epochs, [row[name] for row in history], color=BLUE, label="training")
        validation = [row.get(f"validation_{name}") for row in history]
        if validation and validation[-1] is not None:
            axes.plot(epochs, validation, color=RED, label="validation")
        if name == "error" and test_error is not None:
            label = f"test, {test_error:.2f} %"
            axes.axhline(test_error, color=RED, linestyle="--", linewidth=1, label=label)
        if name == "loss" and any(row[name] > 0 for row in history):
            axes.set_yscale("log")
        elif name == "loss":
            axes.set_ylim(bottom=0)
        else:  # linear below 1 %, where most of a good net's life is
            axes.set_yscale("symlog", linthresh=1)
            axes.set_ylim(0, 100)
            axes.set_yticks([0, 0.5, 1, 2, 5, 10, 20, 50, 100])
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"{name} ({unit})")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    save(figure, path)


def error_against_operations(nets: Sequence[Mapping], path: Path):
    """Published error over multiply-adds, a disc a net whose area is its parameters.

    Args:
        nets: Rows with `net`, `macs`, `parameters`, `top1_error`, `top5_error` (in %, or None) and
            `protocol`. The top-5 error is drawn, the top-1 error where no net has the other.
        path: Of the PNG.

    Raises:
        InputError: If no net has a published error.
    """
    key = next((k for k in ("top5_error", "top1_error") if any(net[k] for net in nets)), None)
    if key is None:
        names = ", ".join(net["net"] for net in nets)
        raise InputError(f"no error to draw is published of {names}")
    drawn = sorted((net for net in nets if net[key]), key=lambda net: -net["parameters"])
    largest = drawn[0]["parameters"]
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    for net in drawn:
        area = 3000 * net["parameters"] / largest  # square points
        place = net["macs"] / 1e9, net[key]
        axes.scatter(*place, s=area, color=BLUE, alpha=0.35, linewidth=0)
        axes.scatter(*place, s=6, color=BLUE)
        protocol = (net["protocol"] or "").replace("_", " ")
        label = f"{net['net']}\n{net['parameters'] / 1e6:.3g} M, {protocol}"
        shift = (0, 6 + area**0.5 / 2)
        axes.annotate(label, place, shift, textcoords="offset points", ha="center", fontsize=9)
    axes.set_xscale("log")
    axes.margins(0.15, 0.2)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
    axes.set_xlabel("multiply-adds of one image (G)")
    axes.set_ylabel(f"published top-{key[3]} error of one net (%)")
    axes.set_title("Error against operations; the area of a disc is the number of parameters")
    axes.grid(alpha=0.3)
    left_out = [net["net"] for net in nets if not net[key]]
    if left_out:
        figure.supxlabel(
            f"without a published top-{key[3]} error: {', '.join(left_out)}", fontsize=9
        )
    save(figure, path)


def doubtful(
    images: Sequence[np.ndarray],
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    path: Path,
    title: str,
):
    """Images with the net's answers; wrong ones in red.

    Args:
        images: Up to 16 of (height, width, channels), uint8.
        labels: Their classes.
        probabilities: (images, classes).
        classes: Names of the classes.
        path: Of the PNG.
        title: Above all.
    """
    rows = -(-len(images) // 4)
    figure = Figure(figsize=(8, 0.6 + 2.2 * rows), layout="constrained")
    figure.suptitle(plain(title))
    all_axes = figure.subplots(rows, 4, squeeze=False).ravel()
    for axes in all_axes:
        axes.axis("off")
    for axes, image, label, row in zip(all_axes, images, labels, probabilities):
        grey = image.shape[-1] == 1
        axes.imshow(image[..., 0] if grey else image, cmap="gray_r" if grey else None)
        guess = int(row.argmax())
        answer = f"{plain(classes[guess], 14)} ({row[guess]:.0%})"
        if guess == label:
            axes.set_title(answer, color=GREY, fontsize=10)
        else:
            axes.set_title(f"{answer} is {plain(classes[label], 14)}", color=RED, fontsize=10)
    save(figure, path)


def least_sure(probabilities: np.ndarray, count: int = 16) -> np.ndarray:
    """Indices of the images whose best guess is least probable, least sure first."""
    return np.argsort(probabilities.max(axis=1), kind="stable")[:count]


def save(figure: Figure, to: Path | BinaryIO) -> None:
    """Writes a figure as a PNG; signs that its font lacks are boxes, and no warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(to, format="png", dpi=DPI)


def plain(text: str, most: int | None = None) -> str:
    """A name from outside as it reads: a dollar begins no formula; shortened to so many signs."""
    text = text if most is None or len(text) <= most else text[: most - 1] + "…"
    return text.replace("$", r"\$")
