"""Sections of the HTML report: the functions that create them, and their order on the page."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from markupsafe import Markup

from keras_ilsvrc.accounting import account
from keras_ilsvrc.report.advice import advice
from keras_ilsvrc.report.classes import by_class, confusion
from keras_ilsvrc.report.images import doubtful, mistakes
from keras_ilsvrc.report.inside import covered, strongest
from keras_ilsvrc.report.page import Section, picture, render
from keras_ilsvrc.report.summary import summary
from keras_ilsvrc.runs.finished import FinishedRun
from keras_ilsvrc.runs.pictures import curves
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.filters import enlarged, filters, tile

LONG = 40  # maximum number of layers in a table that is not collapsed
FILTER = 44  # approximate side of a filter in pixels


def learning(run: FinishedRun) -> Section | None:
    """Return the section that plots loss and error over epochs; None if there is no history."""
    if not run.history:
        return None
    last = run.history[-1]
    text = f"training error {last['error']:.2f} % in the last of {len(run.history):,} epochs"
    if last.get("validation_error") is not None:
        text += f", validation error {last['validation_error']:.2f} %"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "curves.png"
        curves(run.history, path, "", run.result["top1_error"])
        shown = picture(path, f"Loss and error over epochs: {text}.")
    return Section("Learning", "learning", shown, f"{text[0].upper()}{text[1:]}.")


def first_filters(run: FinishedRun) -> Section | None:
    """Return the section with the kernels of the first convolution; None if there is none."""
    try:
        found = filters(run.experiment.model)
    except InputError:
        return None
    count, rows, columns, channels = found.shape
    what = f"{count} filters of {rows}x{columns}x{channels}"
    shown = picture(tile(enlarged(found, FILTER)), f"The {what} of the first convolution")
    return Section("First filters", "filters", shown, f"The first convolution has {what}.")


def costs(run: FinishedRun) -> Section:
    """Return the section with parameters and operations per layer, and per stage for long nets."""
    found = account(run.experiment.model)
    note = f"{found.depth} layers with weights on the longest path, {found.parameters:,} parameters"
    if found.macs is not None:
        note += f", {found.macs:,} multiply-adds per image"
    shown = render("account", account=found, stages=found.by_stage(), long=len(found.rows) > LONG)
    return Section("The net, layer by layer", "account", shown, f"{note}.")


def recipe(run: FinishedRun) -> Section:
    """Return the section with the recipe, in which overrides are already applied."""
    note = "The complete recipe, overrides included. Save it as a file to repeat the run."
    shown = Markup("<pre tabindex=0><code>{}</code></pre>").format(run.experiment.recipe.toml())
    return Section("Recipe", "recipe", shown, note)


SECTIONS: tuple[Callable[[FinishedRun], Section | None], ...] = (
    summary,
    advice,
    learning,
    confusion,
    by_class,
    mistakes,
    doubtful,
    first_filters,
    strongest,
    covered,
    costs,
    recipe,
)
# Sections that are left out if the images of the run cannot be found.
OF_IMAGES = (confusion, by_class, mistakes, doubtful, strongest, covered)
