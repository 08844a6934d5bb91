"""Report sections on the classes: the confusion matrix, and the recall of each class."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from keras_ilsvrc.report.page import Section, picture, render
from keras_ilsvrc.runs.finished import FinishedRun
from keras_ilsvrc.utils.errors import counted
from keras_ilsvrc.visualize.figures import BLUE, RED, plain

TABLE = 12  # maximum number of classes for a confusion matrix as a table
DRAWN = 120  # maximum number of classes for a confusion matrix as a picture
MOST = 20  # largest number of confusions in the list; a table of more classes is collapsed


def counts_of(run: FinishedRun) -> np.ndarray:
    """Return the number of test images by true class (rows) and predicted class (columns)."""
    number = len(run.classes)
    cells = run.labels * number + run.probabilities.argmax(axis=1)  # row * number + column
    return np.bincount(cells, minlength=number**2).reshape(number, number)


def confusion(run: FinishedRun) -> Section:
    """Return the section with the confusion matrix and the most frequent confusions."""
    counts = counts_of(run)
    wrong = counts - np.diag(np.diag(counts))
    totals = counts.sum(axis=1)
    places = np.argsort(-wrong, axis=None, kind="stable")[:MOST]
    pairs = [(int(row), int(column)) for row, column in zip(*np.unravel_index(places, wrong.shape))]
    note = f"{wrong.sum():,} of {totals.sum():,} test images are mistaken for another class"
    drawn = TABLE < len(counts) <= DRAWN
    alt = f"Test images by true class (rows) and predicted class (columns): {note}"
    shown = render(
        "confusion",
        counts=counts.tolist() if len(counts) <= TABLE else None,
        drawing=picture(confusion_sheet(counts, run.classes), alt) if drawn else None,
        pairs=[(*pair, int(wrong[pair])) for pair in pairs if wrong[pair]],
        totals=totals.tolist(),
        classes=run.classes,
    )
    kinds = counted(int(np.count_nonzero(wrong)), "different confusion")
    return Section("Confusions", "confusions", shown, f"{note}; {kinds}.")


def confusion_sheet(counts: np.ndarray, classes: tuple[str, ...]) -> Figure:
    """Return a figure of a confusion matrix: correct predictions blue, wrong ones red.

    A cell that contains a larger share of the images of its true class is darker.
    """
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    tint = np.where(np.eye(len(counts), dtype=bool)[..., None], to_rgb(BLUE), to_rgb(RED))
    side = min(4.5 + 0.12 * len(counts), 14)  # side of the figure in inches
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(1 - np.sqrt(share)[..., None] * (1 - tint))
    names = [plain(name, 24) for name in classes]
    size = min(9.0, 54 * side / len(names))  # font size in points
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_color("#dddddd")
    axes.set_ylabel("true class")
    axes.set_title("predicted class", fontsize=10)
    return figure


def by_class(run: FinishedRun) -> Section:
    """Return the section with test images, recall and precision of each class, sorted by recall."""
    counts = counts_of(run)
    right, tested, taken = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    wrong = counts - np.diag(right)
    rows = [
        (
            run.classes[label],
            int(tested[label]),
            right[label] / tested[label] if tested[label] else None,
            right[label] / taken[label] if taken[label] else None,
            run.classes[wrong[label].argmax()] if wrong[label].any() else "",
        )
        for label in range(len(counts))
    ]
    rows.sort(key=lambda row: 2.0 if row[2] is None else row[2])
    shown = render("classes", first=rows[:MOST], rest=rows[MOST:])
    note = (
        "Recall is the share of the images of a class that are predicted as this class. Precision "
        "is the share of the images predicted as this class that belong to it."
    )
    return Section("Classes", "classes", shown, note)
