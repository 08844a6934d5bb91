"""Report sections that show test images: confident mistakes, and doubtful predictions."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from keras_ilsvrc.report.page import Section, picture, render
from keras_ilsvrc.runs.finished import FinishedRun
from keras_ilsvrc.runs.pictures import least_sure

MISTAKES = 24  # maximum number of mistakes shown
PHOTO = 224  # maximum longer side of a shown test image, in pixels


def mistakes(run: FinishedRun) -> Section | None:
    """Return the section with the most confident wrong predictions; None if there are none."""
    best = run.probabilities.max(axis=1)
    wrong = np.flatnonzero(run.probabilities.argmax(axis=1) != run.labels)
    if not len(wrong):
        return None
    chosen = wrong[np.argsort(-best[wrong], kind="stable")][:MISTAKES]
    note = f"All {len(wrong):,} mistakes, the most confident first."
    if len(wrong) > MISTAKES:
        note = f"The {MISTAKES} most confident of {len(wrong):,} mistakes."
    note += " Some may be wrong labels."
    return Section("Confident mistakes", "mistakes", _grid(run, chosen), note)


def doubtful(run: FinishedRun) -> Section:
    """Return the section with the test images whose predicted class has the lowest probability."""
    chosen = least_sure(run.probabilities)
    note = (
        f"The {len(chosen)} of {len(run.labels):,} test images whose predicted class has the "
        "lowest probability, lowest first, whether right or wrong."
    )
    return Section("Least certain images", "doubtful", _grid(run, chosen), note)


def _grid(run: FinishedRun, indices: Sequence[int] | np.ndarray) -> Markup:
    """Return test images as HTML, with predicted and true class, probability and file name."""
    shown, test = [], run.experiment.test
    for index in map(int, indices):
        label, guess = int(run.labels[index]), int(run.probabilities[index].argmax())
        name, taken = run.classes[label], run.classes[guess]
        share = f"{run.probabilities[index, guess]:.0%}"
        alt = f"A test image of {name}, predicted as {taken}"
        file = test.name(index).replace("\\", "/").rpartition("/")[2]
        drawn = picture(test.image(index).numpy(), alt, PHOTO)
        shown.append((drawn, name, taken, share, guess == label, file))
    return render("images", images=shown)
