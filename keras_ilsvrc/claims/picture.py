"""Picture of a claim: the curves of all arms with bands, the values of each seed, the verdict."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from keras_ilsvrc.claims.measures import MEASURES
from keras_ilsvrc.claims.study import Arm, Outcome
from keras_ilsvrc.claims.verdict import Effect
from keras_ilsvrc.visualize.figures import GREY, plain, save

# Colours that people with any colour vision tell apart (Okabe and Ito), and line styles for more.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
STYLES = ("-", "--", ":")
WORDS = {
    "seen": "#1a7f37",
    "not seen": "#8a6d00",
    "contradicted": "#b3382c",
    "no verdict": GREY,
}
WIDTH, LINE = 160, 0.19  # characters of a line of text, and its height in inches
OF_TRAINING = ("training_error", "training_loss", "steps_to_error")
TRAINING, VALIDATION = 1, 2  # columns of the curves


def draw(outcome: Outcome, path: Path) -> None:
    """Draw the outcome of a claim to a PNG file."""
    measures = list(dict.fromkeys(effect.measure for effect in outcome.effects))
    words, extra = _words(outcome), 0.2 * max(0, len(outcome.arms) - 6)
    heights = [4.2 + extra, LINE * sum(text.count("\n") + 1 for text, _ in words)]
    figure = Figure(figsize=(11, sum(heights) + 0.4), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)[:, 0]
    form = " (quick form)" if outcome.quick else ""
    number, _, _ = outcome.claim.partition("_")
    figure.suptitle(
        f"{number}. {plain(outcome.title)}{form}: {outcome.summary}",
        color=WORDS[outcome.verdict],
        fontweight="bold",
    )
    axes = top.subplots(1, 1 + len(measures), width_ratios=[1.4] + [1] * len(measures))
    _draw_curves(axes[0], outcome)
    for one, measure in zip(axes[1:], measures):
        _draw_values(one, outcome, measure)
    place = 1.0
    for text, colour in words:
        bottom.text(0.01, place, text, color=colour, fontsize=9, va="top")
        place -= LINE * (text.count("\n") + 1) / heights[1]
    save(figure, path)


def _draw_curves(axes: Axes, outcome: Outcome) -> None:
    """Plot the error of each arm over the steps: the mean of all seeds, and their range."""
    training = any(
        "training" in effect.measure or "steps" in effect.measure for effect in outcome.effects
    )
    column = TRAINING if training or not _has_validation(outcome.arms) else VALIDATION
    for arm, (colour, style) in zip(outcome.arms, _looks(len(outcome.arms))):
        curves = [np.array(curve, float) for curve in arm.curves]
        if not curves:
            continue
        length = min(map(len, curves))
        steps = curves[0][:length, 0]
        errors = np.stack([curve[:length, column] for curve in curves])
        marker = "o" if length == 1 else ""  # a line of one point would not be seen
        axes.plot(steps, errors.mean(0), style, marker=marker, color=colour, label=plain(arm.name))
        axes.fill_between(steps, errors.min(0), errors.max(0), color=colour, alpha=0.15, lw=0)
    axes.set_xlabel("step")
    axes.set_ylabel(f"{'training' if column == TRAINING else 'validation'} error (%)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(fontsize=8, ncols=1 + len(outcome.arms) // 8)


def _draw_values(axes: Axes, outcome: Outcome, measure: str) -> None:
    """Plot one measure of each arm: a dot for each seed, a line for the mean."""
    arms = [arm for arm in outcome.arms if arm.values.get(measure)]
    looks = dict(zip((arm.name for arm in outcome.arms), _looks(len(outcome.arms))))
    for place, arm in enumerate(arms):
        values = [x for x in arm.values[measure] if x is not None and np.isfinite(x)]
        colour = looks[arm.name][0]
        axes.plot(values, [place] * len(values), "o", color=colour, alpha=0.6, markersize=5)
        if values:
            axes.plot([np.mean(values)] * 2, [place - 0.3, place + 0.3], color=colour, lw=2)
    axes.set_yticks(range(len(arms)), [plain(arm.name, 24) for arm in arms])
    axes.set_ylim(len(arms) - 0.4, -0.6)
    kind = MEASURES[measure]
    axes.set_xlabel(f"{kind.words} ({kind.unit})" if kind.unit else kind.words)
    axes.grid(alpha=0.3, axis="x")


def _words(outcome: Outcome) -> list[tuple[str, str]]:
    """Return the text below the plots as (text, colour): claim, comparisons, what was trained."""
    seeds = f"{outcome.seeds} seeds" if outcome.seeds > 1 else "one seed: no spread, no verdict"
    what = f"{outcome.dataset}, {outcome.images:,} training images, {seeds}. "
    what += _sentence(outcome.reduced)
    tried = max(len(arm.rates) for arm in outcome.arms)
    if tried > 1:
        rates = ", ".join(f"{arm.name} {arm.rate:g}" for arm in outcome.arms)
        what += f"Each arm at the best of {tried} rates, as factors of the recipe's: {rates}. "
    if outcome.reason and outcome.verdict != "seen":
        what += f"Why it may not be seen here: {outcome.reason}."
    texts = [
        (f"{outcome.says} ({outcome.source})", "#000000"),
        *((_comparison(effect), WORDS[effect.verdict]) for effect in outcome.effects),
        (what, GREY),
    ]
    return [("\n".join(textwrap.wrap(plain(text), WIDTH)), colour) for text, colour in texts]


def _comparison(effect: Effect) -> str:
    """Return a comparison with its verdict and its interval."""
    words = f"{effect.verdict}: {effect.sentence}"
    if effect.value is None:
        return words
    return f"{words} ({effect.kind} {effect.value:.3g}, {effect.low:.3g} to {effect.high:.3g})"


def _looks(count: int) -> list[tuple[str, str]]:
    """Return a colour and a line style for each arm."""
    return [
        (COLOURS[x % len(COLOURS)], STYLES[x // len(COLOURS) % len(STYLES)]) for x in range(count)
    ]


def _has_validation(arms: Sequence[Arm]) -> bool:
    return any(curve and curve[-1][VALIDATION] is not None for arm in arms for curve in arm.curves)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}. " if text else ""
