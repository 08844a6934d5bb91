"""Plots of a run: training curves, and test images with the least certain predictions."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from keras_ilsvrc.runs.finished import FinishedRun
from keras_ilsvrc.runs.flow import draw_flow
from keras_ilsvrc.runs.reading import CURVES, DOUBTFUL, FLOW, PAGE
from keras_ilsvrc.training.cluster import log_stderr
from keras_ilsvrc.utils.errors import printable, reason
from keras_ilsvrc.utils.files import whole
from keras_ilsvrc.visualize.figures import BLUE, GREY, RED, plain, save

Page = Callable[[FinishedRun], object]
WIDE = 8  # minimum ratio of the largest to the smallest value for a logarithmic axis
TICKS = [digit * 10.0**power for power in range(-8, 5) for digit in (1, 2, 5)]


def draw(run: FinishedRun, page: Page | None, log: Callable[[str], object] = log_stderr) -> None:
    """Draw the plots of a finished run, then its HTML report.

    If drawing fails, the error is only logged, since the result is already saved.
    """
    pictures: dict[str, Callable[[FinishedRun], object]] = {
        CURVES: _draw_curves,
        DOUBTFUL: _draw_doubtful,
        **({FLOW: _draw_flow} if run.experiment.recipe.watch else {}),
    }
    for name, make in (pictures | ({PAGE: page} if page else {})).items():
        try:
            make(run)
        except Exception as error:
            path, why = run.directory.path, printable(reason(error))
            again = "to draw it, repeat the `train` command with --resume"
            log(f"{path / name}: not drawn: {why}; {again} (the result is saved)")


def draw_curves(
    rows: Sequence[Mapping[str, Any]], path: Path, title: str, test_error: float | None = None
) -> None:
    """Plot loss and error over epochs to a PNG file, which is written atomically; see `curves`."""
    with whole(path) as part:
        curves(rows, part, title, test_error)


def _draw_curves(run: FinishedRun) -> None:
    path, title = run.directory.path / CURVES, run.experiment.title
    draw_curves(run.history, path, title, run.result["top1_error"])


def _draw_flow(run: FinishedRun) -> None:
    path = run.directory.path / FLOW
    draw_flow(run.directory.gradients(), path, run.experiment.title)


def _draw_doubtful(run: FinishedRun) -> None:
    chosen, test = least_sure(run.probabilities), run.experiment.test
    with whole(run.directory.path / DOUBTFUL) as part:
        doubtful(
            [test.image(index).numpy() for index in chosen],
            test.labels[chosen],
            run.probabilities[chosen],
            run.classes,
            part,
            f"{run.experiment.title}: the least certain test images",
        )


def curves(
    history: Sequence[Mapping[str, Any]], path: Path, title: str, test_error: float | None = None
) -> None:
    """Plot loss and error over epochs, side by side, to a PNG file.

    Args:
        history: Rows with `epoch`, `loss` and `error`, and with `validation_loss` and
            `validation_error` if there is a validation split; errors in %.
        path: Path of the PNG file.
        title: Title of the figure.
        test_error: Test error in %, drawn as a line; None if unknown.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(plain(title))
    epochs = [row["epoch"] for row in history]
    for axes, name, unit in zip(figure.subplots(1, 2), ("loss", "error"), ("", " (%)")):
        axes.plot(epochs, [row[name] for row in history], color=BLUE, label="training")
        validation = [row.get(f"validation_{name}") for row in history]
        if validation and validation[-1] is not None:
            axes.plot(epochs, validation, color=RED, label="validation")
        if name == "error" and test_error is not None:
            label = f"test, {test_error:.2f} %"
            axes.axhline(test_error, color=RED, linestyle="--", linewidth=1, label=label)
        _scale(axes, linear_below=1 if name == "error" else 0)
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"{name}{unit}")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    save(figure, path)


def _scale(axes: Axes, linear_below: float) -> None:
    """Scale the vertical axis of a plot: logarithmically if the values vary by a factor of `WIDE`.

    Below `linear_below`, a logarithmic axis becomes linear, since values may be 0.
    """
    values = np.concatenate([np.array(line.get_ydata(), float) for line in axes.get_lines()])
    values = values[np.isfinite(values)]
    low, high = values.min(initial=np.inf), values.max(initial=0)
    if 0 < WIDE * max(low, linear_below) <= high:
        ticks = TICKS
        if low < linear_below:
            axes.set_yscale("symlog", linthresh=linear_below)
            axes.set_ylim(0, 1.3 * high)
            ticks = [0, *(tick for tick in TICKS if tick >= linear_below / 2)]
        else:
            axes.set_yscale("log")
        axes.yaxis.set_major_locator(FixedLocator(ticks))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(bottom, 0), max(top, 0.1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))


def doubtful(
    images: Sequence[np.ndarray],
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    path: Path,
    title: str,
) -> None:
    """Plot images to a PNG file, with predicted classes as titles; wrong predictions are red.

    Args:
        images: Up to 16 images of (height, width, channels), uint8.
        labels: True class indices of the images, (images,).
        probabilities: Class probabilities of the images, (images, classes).
        classes: Names of the classes.
        path: Path of the PNG file.
        title: Title of the figure.
    """
    rows = -(-len(images) // 4)
    figure = Figure(figsize=(8, 0.6 + 2.2 * rows), layout="constrained")
    figure.suptitle(plain(title))
    all_axes = figure.subplots(rows, 4, squeeze=False).ravel()
    for axes in all_axes:
        axes.axis("off")
    for axes, image, label, row in zip(all_axes, images, labels, probabilities):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        guess = int(row.argmax())
        answer = f"{plain(classes[guess], 14)} ({row[guess]:.0%})"
        if guess == label:
            axes.set_title(answer, color=GREY, fontsize=10)
        else:
            title = f"{answer}\ntrue: {plain(classes[label], 14)}"
            axes.set_title(title, color=RED, fontsize=10)
    save(figure, path)


def least_sure(probabilities: np.ndarray, count: int = 16) -> np.ndarray:
    """Return the indices of the `count` least certain predictions, the least certain first."""
    return np.argsort(probabilities.max(axis=1), kind="stable")[:count]
