"""Picture of a claim: training curves of all arms, values of each seed, and the verdict."""

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

# Colours that colour-blind readers can distinguish (Okabe and Ito); line styles for further arms.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
STYLES = ("-", "--", ":")
VERDICT_COLOURS = {
    "seen": "#1a7f37",
    "not seen": "#8a6d00",
    "contradicted": "#b3382c",
    "no verdict": GREY,
}
WIDTH, LINE = 160, 0.19  # characters per line of text, and height of a line in inches
LABEL = 75  # characters that fit below all plots of measures together
TRAINING, VALIDATION = 1, 2  # columns of `Arm.curves`


def draw(outcome: Outcome, path: Path) -> None:
    """Draw the outcome of a claim to a PNG file."""
    measures = list(dict.fromkeys(effect.measure for effect in outcome.effects))
    texts, extra = _texts(outcome), 0.2 * max(0, len(outcome.arms) - 6)
    heights = [4.2 + extra, LINE * sum(text.count("\n") + 1 for text, _ in texts)]
    figure = Figure(figsize=(11, sum(heights) + 0.4), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)[:, 0]
    form = " (quick form)" if outcome.quick else ""
    number, _, _ = outcome.claim.partition("_")
    figure.suptitle(
        f"{number}. {plain(outcome.title)}{form}: {outcome.summary}",
        color=VERDICT_COLOURS[outcome.verdict],
        fontweight="bold",
    )
    axes = top.subplots(1, 1 + len(measures), width_ratios=[1.4] + [1] * len(measures))
    _draw_curves(axes[0], outcome)
    for one, measure in zip(axes[1:], measures):
        _draw_values(one, outcome, measure)
    place = 1.0
    for text, colour in texts:
        bottom.text(0.01, place, text, color=colour, fontsize=9, va="top")
        place -= LINE * (text.count("\n") + 1) / heights[1]
    save(figure, path)


def _draw_curves(axes: Axes, outcome: Outcome) -> None:
    """Plot the error of each arm over the steps: the mean over the seeds, and their range."""
    training = any(
        "training" in effect.measure or "steps" in effect.measure for effect in outcome.effects
    )
    column = TRAINING if training or not _has_validation(outcome.arms) else VALIDATION
    for arm, (colour, style) in zip(outcome.arms, _line_styles(len(outcome.arms))):
        curves = [np.array(curve, float) for curve in arm.curves]
        if not curves:
            continue
        length = min(map(len, curves))
        steps = curves[0][:length, 0]
        errors = np.stack([curve[:length, column] for curve in curves])
        marker = "o" if length == 1 else ""  # a line through one point is invisible
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
    names = [arm.name for arm in outcome.arms]
    styles = dict(zip(names, _line_styles(len(names))))
    for place, arm in enumerate(arms):
        values = [x for x in arm.values[measure] if x is not None and np.isfinite(x)]
        colour = styles[arm.name][0]
        axes.plot(values, [place] * len(values), "o", color=colour, alpha=0.6, markersize=5)
        if values:
            axes.plot([np.mean(values)] * 2, [place - 0.3, place + 0.3], color=colour, lw=2)
    axes.set_yticks(range(len(arms)), [plain(arm.name, 24) for arm in arms])
    axes.set_ylim(len(arms) - 0.4, -0.6)
    kind = MEASURES[measure]
    label = f"{kind.words} ({kind.unit})" if kind.unit else kind.words
    axes.set_xlabel(textwrap.fill(label, LABEL // len({x.measure for x in outcome.effects})))
    axes.grid(alpha=0.3, axis="x")


def _texts(outcome: Outcome) -> list[tuple[str, str]]:
    """Return the paragraphs below the plots, as (text, colour)."""
    seeds = f"{outcome.seeds} seeds" if outcome.seeds > 1 else "one seed, so no verdict"
    what = f"{outcome.dataset}, {outcome.images:,} training images, {seeds}. "
    what += _sentence(outcome.reduced)
    tried = max(len(arm.rates) for arm in outcome.arms)
    if tried > 1:
        rates = ", ".join(f"{arm.name} {arm.rate:g}" for arm in outcome.arms)
        what += f"Best of {tried} factors of the recipe's learning rate for each arm: {rates}. "
    if outcome.reason and outcome.verdict != "seen":
        what += f"Possible reason: {outcome.reason}."
    texts = [
        (f"{outcome.says} ({outcome.source})", "#000000"),
        *((_comparison(effect), VERDICT_COLOURS[effect.verdict]) for effect in outcome.effects),
        (what, GREY),
    ]
    return [("\n".join(textwrap.wrap(plain(text), WIDTH)), colour) for text, colour in texts]


def _comparison(effect: Effect) -> str:
    """Return a comparison with its verdict and its interval as text."""
    text = f"{effect.verdict}: {effect.sentence}"
    if effect.value is None:
        return text
    interval = f"{effect.low:.3g} to {effect.high:.3g}"
    return f"{text} ({effect.kind} {effect.value:.3g}, interval {interval})"


def _line_styles(count: int) -> list[tuple[str, str]]:
    """Return (colour, line style) for each arm."""
    return [
        (COLOURS[x % len(COLOURS)], STYLES[x // len(COLOURS) % len(STYLES)]) for x in range(count)
    ]


def _has_validation(arms: Sequence[Arm]) -> bool:
    return any(curve and curve[-1][VALIDATION] is not None for arm in arms for curve in arm.curves)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}. " if text else ""
