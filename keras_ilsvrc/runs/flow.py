"""Gradients and responses of layers during training: measurement and plot (recipe key `watch`)."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from keras_ilsvrc.data.pipeline import training_batches
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.runs.experiment import Experiment
from keras_ilsvrc.runs.reading import GRADIENTS
from keras_ilsvrc.training.gradient_flow import GradientFlow, LayerFlow
from keras_ilsvrc.training.update import Update
from keras_ilsvrc.training.watch import MOST, WATCHED, Watch
from keras_ilsvrc.utils.files import whole
from keras_ilsvrc.visualize.figures import plain, save

MOST_LAYERS = 30  # maximum number of layer names on the vertical axis
MOST_STEPS = 12  # maximum number of step numbers on the horizontal axis
RANGE = 1e-12  # lower end of the colour scale, as a fraction of the largest value
TITLES = {
    "weight_gradient": "gradient of weights (mean absolute value)",
    "activation_gradient": "gradient of responses (mean absolute value)",
    "response": "responses (standard deviation)",
}


def watch_of(
    experiment: Experiment, update: Update, directory: RunDirectory, log: Callable[[str], object]
) -> Watch:
    """Return the callback that measures what the recipe key `watch` lists.

    It measures on the first images of step 0 (at most `MOST`), with the preprocessing ops for
    training. Only the chief measures, on its first replica, so no collective op is needed.
    """
    recipe = experiment.recipe
    made: list[tuple[GradientFlow, Any, tf.Tensor]] = []

    def measure(step: int) -> list[LayerFlow]:
        if not made:
            images, labels = _first_images(experiment)
            flow = GradientFlow(experiment.model, update.loss, recipe.seed)
            made.append((flow, update.prepare(images), labels))
        flow, images, labels = made[0]
        return flow(images, labels, step)

    path = directory.file(GRADIENTS)
    return Watch(path, measure, recipe.watch or (), experiment.steps_per_epoch, log)


def _first_images(experiment: Experiment) -> tuple[Any, tf.Tensor]:
    """Return the first images of step 0, not yet processed on the device, and their labels."""
    recipe, left_out = experiment.recipe, experiment.left_out
    batches = training_batches(
        experiment.train,
        experiment.host_rows,
        experiment.statistics,
        min(MOST, recipe.data.batch_size),
        recipe.seed,
        last_step=1,
        stand_ins=left_out.stand_ins() if left_out else None,
        later=experiment.device_rows,
    )
    return next(iter(batches))


def draw_flow(rows: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Draw the gradients and responses of a run to a PNG file, which is written atomically."""
    with whole(path) as part:
        flow(rows, part, title)


def flow(rows: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Draw a heatmap of each measured quantity over steps and layers, on a logarithmic scale.

    Args:
        rows: Rows of `gradients.csv`, in the order in which they were written.
        path: Path of the PNG file.
        title: Title of the figure.
    """
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    steps = list(dict.fromkeys(int(row["step"]) for row in rows))
    columns = [name for names in WATCHED.values() for name in names]
    drawn = [name for name in columns if any(row[name] is not None for row in rows)]
    height = 2 + 0.2 * min(max(len(layers), 8), 1.5 * MOST_LAYERS)
    figure = Figure(figsize=(2 + 4.2 * max(len(drawn), 1), height), layout="constrained")
    figure.suptitle(plain(title))
    all_axes = figure.subplots(1, max(len(drawn), 1), squeeze=False, sharey=True)[0]
    for axes, name in zip(all_axes, drawn):
        values = np.full((len(layers), len(steps)), np.nan)
        for row in rows:
            if row[name] is not None:
                values[layers.index(row["layer"]), steps.index(int(row["step"]))] = row[name]
        _heatmap(axes, values)
        axes.set_title(TITLES[name], fontsize=10)
        axes.set_xlabel("step")
        places = _thinned(len(steps), MOST_STEPS)
        axes.set_xticks(places, [f"{steps[x]:,}" for x in places], rotation=60, fontsize=8)
    places = _thinned(len(layers), MOST_LAYERS)
    all_axes[0].set_yticks(places, [plain(layers[x], 28) for x in places], fontsize=7)
    save(figure, path)


def _heatmap(axes: Axes, values: np.ndarray) -> None:
    """Draw values (layers, steps) as a heatmap; missing and non-finite values are grey."""
    finite = values[np.isfinite(values) & (values > 0)]
    high = finite.max(initial=1e-30)
    low = max(finite.min(initial=high), high * RANGE)
    shown = np.where(np.isfinite(values), np.maximum(values, low), np.nan)
    axes.set_facecolor("#bbbbbb")
    norm = LogNorm(low, max(high, 1.01 * low))
    image = axes.imshow(shown, norm=norm, aspect="auto", origin="lower", interpolation="nearest")
    bar = axes.figure.colorbar(image, ax=axes)
    digits = FuncFormatter(lambda value, place: f"{value:g}")
    bar.ax.yaxis.set_major_formatter(digits)
    bar.ax.yaxis.set_minor_formatter(digits if high < 10 * low else NullFormatter())
    bar.ax.tick_params(which="both", labelsize=8)


def _thinned(count: int, most: int) -> range:
    """Return at most `most` evenly spaced indices below `count`, starting with 0."""
    return range(0, count, -(-count // most) or 1)
