"""Report section with advice on what to change next, based on the errors of the run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_ilsvrc.report.page import Section, render
from keras_ilsvrc.runs.finished import FinishedRun

# Thresholds at which a rule applies. All are our choice.
GUESSING = 0.9  # minimum test error, as a fraction of the error of random guessing
GAP = 5.0  # minimum difference between test and training error, in percentage points
HIGH = 20.0  # minimum training error, in %
FALLING = 0.05  # minimum relative decrease of the loss between the last two eighths of the epochs
ROSE = 1.0  # minimum rise from the lowest to the last validation error, in percentage points
FEW = 0.5  # maximum training images of a rare class, as a fraction of the mean over all classes
LOW = 10.0  # minimum difference between accuracy and recall of a rare class, in percentage points
WIDE = 5.0  # minimum of half the width of the confidence interval, in percentage points
MOST = 3  # maximum number of sentences of advice


@dataclass(frozen=True)
class Evidence:
    """Numbers of a run on which the advice is based. Errors are in %.

    Attributes:
        test: Test error.
        spread: Half the width of the 95 % confidence interval of the test error.
        images: Number of test images.
        classes: Number of classes.
        train: Training error in the epoch whose weights are kept, usually the last; None if
            unknown.
        losses: Validation loss of each epoch, or training loss if there is no validation.
        validation: Validation error of each epoch; empty if there is no validation.
        rare: Names of classes with few training images and a low recall.
        best: Whether the recipe already keeps the best weights.
        balanced: Whether the recipe already has class weights.
    """

    test: float
    spread: float
    images: int
    classes: int
    train: float | None = None
    losses: Sequence[float] = ()
    validation: Sequence[float] = ()
    rare: Sequence[str] = ()
    best: bool = False
    balanced: bool = False

    @property
    def guess(self) -> float:
        """Expected error of guessing a class at random, in %."""
        return 100 * (1 - 1 / self.classes)

    @property
    def guessing(self) -> bool:
        """Whether the net is hardly better than guessing."""
        return self.test >= GUESSING * self.guess

    @property
    def overfits(self) -> bool:
        """Whether the test error is far above the training error."""
        return self.train is not None and self.test >= max(self.train + GAP, 2 * self.train)

    @property
    def falls(self) -> bool:
        """Whether the loss was still falling at the end of training.

        Without validation images, this is False if the net overfits.
        """
        if len(self.losses) < 4 or (self.overfits and not self.validation):
            return False
        eighth = max(1, len(self.losses) // 8)
        last, before = self.losses[-eighth:], self.losses[-2 * eighth : -eighth]
        return float(np.mean(last)) <= (1 - FALLING) * float(np.mean(before))

    @property
    def lowest(self) -> tuple[int, float]:
        """Epoch with the lowest validation error, counted from 1, and this error in %."""
        epoch = int(np.argmin(self.validation))
        return epoch + 1, self.validation[epoch]


# For each rule: the condition under which it applies, and its sentence of advice.
RULES: tuple[tuple[Callable[[Evidence], bool], str], ...] = (
    (
        lambda e: e.guessing,
        "The test error, {e.test:.1f} %, is hardly below that of guessing, {e.guess:.1f} %. Check "
        "the labels with `keras-ilsvrc data check`, then try another learning rate.",
    ),
    (
        lambda e: e.overfits and not e.guessing,
        "The training error, {e.train:.1f} %, is far below the test error, {e.test:.1f} %: the net "
        "has memorised its training images. Try more augmentation (`data.train_ops`), more weight "
        "decay, or start from trained weights (`initial`).",
    ),
    (
        lambda e: e.falls and not e.guessing,
        "The loss was still falling at the end. Train for more epochs.",
    ),
    (
        lambda e: (
            e.train is not None and e.train >= HIGH and not (e.overfits or e.falls or e.guessing)
        ),
        "The training error is high too, {e.train:.1f} %. Train for longer, raise the learning "
        "rate, or choose a larger net.",
    ),
    (
        lambda e: len(e.validation) > 1 and not e.best and e.validation[-1] >= e.lowest[1] + ROSE,
        "The validation error rose from {e.lowest[1]:.1f} % after epoch {e.lowest[0]} to "
        '{final:.1f} % at the end. Set `keep = "best"` and `early_stopping`.',
    ),
    (
        lambda e: bool(e.rare) and not e.balanced,
        "Few training images and a low recall: {names}. Add images of these classes, or set "
        '`loss.class_weights = "balanced"`.',
    ),
    (
        lambda e: e.spread >= WIDE,
        "With {e.images:,} test images, differences below {e.spread:.0f} percentage points may be "
        "due to chance. Use more test images to compare runs.",
    ),
)
NONE = (  # shown if no rule applies
    "Nothing in these numbers calls for a change. The mistakes themselves may show what is missing."
)


def advice(run: FinishedRun) -> Section | None:
    """Return the section with advice, or None if the run reaches its expected error."""
    expected = (run.result.get("expected") or {}).get("top1_error")
    if expected is not None and expected >= run.result["top1_interval"][0]:
        return None
    note = "Rules of thumb, applied to the numbers of this run. Training errors are measured on "
    note += "augmented images."
    shown = render("advice", sentences=sentences(evidence(run)) or [NONE])
    return Section("What to try next", "advice", shown, note)


def sentences(e: Evidence) -> list[str]:
    """Return the sentences of the first `MOST` rules that apply, with recipe keys in backticks."""
    names = ", ".join(e.rare[:MOST]) + (f" and {len(e.rare) - MOST} more" * (len(e.rare) > MOST))
    final = e.validation[-1] if e.validation else None
    texts = [text for applies, text in RULES if applies(e)]
    return [text.format(e=e, names=names, final=final) for text in texts[:MOST]]


def evidence(run: FinishedRun) -> Evidence:
    """Return the numbers of a run on which the advice is based."""
    result, recipe = run.result, run.experiment.recipe
    low, high = result["top1_interval"]
    kept = result.get("kept_epoch") or 0  # 0: the weights are those of the last epoch
    rows = {
        name: [value for row in run.history if (value := row.get(name)) is not None]
        for name in ("loss", "error", "validation_loss", "validation_error")
    }
    return Evidence(
        test=result["top1_error"],
        spread=(high - low) / 2,
        images=result["images"],
        classes=len(run.classes),
        train=rows["error"][kept - 1] if rows["error"] else None,
        losses=rows["validation_loss"] or rows["loss"],
        validation=rows["validation_error"],
        rare=rare(run),
        best=recipe.keep == "best",
        balanced=recipe.loss.class_weights is not None,
    )


def rare(run: FinishedRun) -> list[str]:
    """Return the names of classes with few training images and a low recall, sorted by recall."""
    if not run.has_images:
        return []
    number = len(run.classes)
    trained = np.bincount(run.experiment.train.labels, minlength=number)
    tested = np.bincount(run.labels, minlength=number)
    right = run.probabilities.argmax(1) == run.labels
    recall = 100 * np.bincount(run.labels, right, number) / np.maximum(tested, 1)
    chosen = (trained < FEW * trained.mean()) & (tested > 0) & (recall < 100 * right.mean() - LOW)
    return [run.classes[label] for label in np.argsort(recall, kind="stable") if chosen[label]]
