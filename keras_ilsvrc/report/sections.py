"""The sections of a page, in order."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from markupsafe import Markup

from keras_ilsvrc.accounting import account
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.report.inside import covered, strongest
from keras_ilsvrc.report.page import Section, picture, render
from keras_ilsvrc.report.summary import summary
from keras_ilsvrc.runs.finished import FinishedRun
from keras_ilsvrc.runs.pictures import curves, least_sure
from keras_ilsvrc.visualize.filters import enlarged, filters, tile

TABLE = 20  # classes of which a table is still read
MOST = 20  # confusions that are listed
LONG = 40  # rows of an account that are still read without opening it
PHOTO = 224  # pixels of the longer side of a test image
FILTER = 44  # about so many pixels of a filter


def learning(run: FinishedRun) -> Section | None:
    """Loss and error over epochs."""
    if not run.history:
        return None
    last = run.history[-1]
    said = f"training error {last['error']:.2f} % in the last of {len(run.history):,} epochs"
    if last.get("validation_error") is not None:
        said += f", validation error {last['validation_error']:.2f} %"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "curves.png"
        curves(run.history, path, "", run.result["top1_error"])
        shown = picture(path, f"Loss and error over epochs: {said}.")
    return Section("Learning", "learning", shown, f"{said[0].upper()}{said[1:]}.")


def confusion(run: FinishedRun) -> Section:
    """Which class is taken for which: a table, or of many classes what happens most."""
    counts = counts_of(run.labels, run.probabilities.argmax(axis=1), len(run.classes))
    wrong = counts - np.diag(np.diag(counts))
    totals = counts.sum(axis=1)
    places = np.argsort(-wrong, axis=None, kind="stable")[:MOST]
    pairs = [(int(row), int(column)) for row, column in zip(*np.unravel_index(places, wrong.shape))]
    shown = render(
        "confusion",
        counts=counts.tolist() if len(counts) <= TABLE else None,
        pairs=[(*pair, int(wrong[pair])) for pair in pairs if wrong[pair]],
        totals=totals.tolist(),
        classes=run.classes,
    )
    kinds = np.count_nonzero(wrong)
    note = f"{wrong.sum():,} of {totals.sum():,} test images are taken for another class"
    return Section("Confusions", "confusions", shown, f"{note}, in {kinds:,} ways.")


def counts_of(labels: np.ndarray, guesses: np.ndarray, classes: int) -> np.ndarray:
    """(classes, classes): how many images of a row's class are taken for a column's."""
    return np.bincount(labels * classes + guesses, minlength=classes**2).reshape(classes, classes)


def doubtful(run: FinishedRun) -> Section:
    """The test images with the least probable best guess."""
    shown = []
    for index in least_sure(run.probabilities):
        image, label = run.experiment.test.image(index).numpy(), int(run.labels[index])
        guess = int(run.probabilities[index].argmax())
        name, taken = run.classes[label], run.classes[guess]
        share = f"{run.probabilities[index, guess]:.0%}"
        alt = f"A test image of {name}, taken for {taken}"
        image = 255 - image if image.shape[-1] == 1 else image  # as ink on paper
        shown.append((picture(image, alt, PHOTO), name, taken, share, guess == label))
    note = "The test images it was least sure of, the least sure first."
    return Section("Doubtful images", "doubtful", render("doubtful", images=shown), note)


def first_filters(run: FinishedRun) -> Section | None:
    """The kernels of the first convolution; of a net without one nothing."""
    try:
        found = filters(run.experiment.model)
    except InputError:
        return None
    count, rows, columns, channels = found.shape
    what = f"{count} filters of {rows}x{columns}x{channels}"
    shown = picture(tile(enlarged(found, FILTER)), f"The {what} of the first convolution")
    return Section("First filters", "filters", shown, f"The first convolution has {what}.")


def costs(run: FinishedRun) -> Section:
    """The account of the net, a row a layer; of a deep net a row a stage, too."""
    found = account(run.experiment.model)
    note = f"{found.depth} layers with weights on the longest way, {found.parameters:,} parameters"
    if found.macs is not None:
        note += f", {found.macs:,} multiply-adds for an image"
    shown = render("account", account=found, stages=found.by_stage(), long=len(found.rows) > LONG)
    return Section("The net, layer by layer", "account", shown, f"{note}.")


def recipe(run: FinishedRun) -> Section:
    """The resolved recipe."""
    note = "Whole, with what was changed by --set; save it as a file, and the run can be repeated."
    shown = Markup("<pre tabindex=0><code>{}</code></pre>").format(run.experiment.recipe.toml())
    return Section("Recipe", "recipe", shown, note)


SECTIONS: tuple[Callable[[FinishedRun], Section | None], ...] = (
    summary,
    learning,
    confusion,
    doubtful,
    first_filters,
    strongest,
    covered,
    costs,
    recipe,
)
