"""The challenge run again in words: its table, and sentences that follow from the numbers."""

import math
from collections.abc import Iterator
from pathlib import Path

from keras_ilsvrc import files
from keras_ilsvrc.claims.challenge import Outcome, Result, Trained, mean_of
from keras_ilsvrc.claims.challenge_file import RECIPES, Order, departures_of
from keras_ilsvrc.claims.challenge_picture import PICTURE
from keras_ilsvrc.claims.verdict import Effect, effect_of

TABLE = "challenge.md"
NOT = "not measured"
HEADINGS = (
    *("net", "year", "depth", "parameters", "multiply-adds", "seconds"),
    *("error %", "ten crops %", "error today %", "ten crops today %"),
    *("published top-5 %", "top-1 %", "published by"),
)
KEPT = {
    "seen": "the order is kept",
    "not seen": "no difference seen",
    "contradicted": "the order is reversed",
    "no verdict": "no verdict",
}


def write_table(outcome: Outcome, folder: Path) -> None:
    """Write `challenge.md`: the table, the sentences and the departures."""
    with files.whole(folder / TABLE) as part:
        text = answers_of(outcome, PICTURE) + "\n" + departures_of(outcome.departures)
        part.write_text(text, encoding="utf-8")


def answers_of(outcome: Outcome, picture: str) -> str:
    """Return table, picture and sentences as Markdown.

    Args:
        outcome: Outcome of the challenge.
        picture: Path of the picture, as the page gives it.
    """
    seeds = f"{outcome.seeds} seeds" if outcome.seeds > 1 else "one seed, so no spread"
    quick = " The quick form is no test of the nets." * (outcome.form == "quick")
    lines = [
        f"{outcome.dataset}, {outcome.images:,} training images, {outcome.epochs:g} epochs for "
        f"every net, {seeds}. Errors are top-1 errors on ten classes: the mean, and half of the "
        f"range of the seeds. Seconds are those of one run on one core or GPU.{quick}",
        "",
        table_of(outcome),
        f"![Error against year, depth, parameters, multiply-adds and seconds]({picture})",
        "",
        *(f"- {sentence}" for sentence in sentences(outcome)),
    ]
    return "\n".join(lines) + "\n"


def table_of(outcome: Outcome) -> str:
    """Return the table of the challenge as Markdown, one row for each entry."""
    lines = [_line(HEADINGS), "|---|" + "---:|" * (len(HEADINGS) - 2) + "---|"]
    lines += [_line(_cells(result)) for result in outcome.results]
    blank = ("",) * 5
    for row in outcome.beside:
        error = f"{100 - row['accuracy']:.2f}"
        lines.append(_line((row["what"], *blank, "", "", error, *blank[:-1])))
    return "\n".join(lines) + "\n"


def sentences(outcome: Outcome) -> list[str]:
    """Return what the numbers say: orders kept or not, net or training, and others beside."""
    found = [_order_sentence(outcome, Order(**row)) for row in outcome.orders]
    found += _gap_sentences(outcome)
    found += list(_recipe_sentences(outcome))
    for row in outcome.beside:
        found.append(
            f"Beside: {row['what']}: {100 - row['accuracy']:.2f} % error ({row['source']}). What "
            f"differs: {row['differs']}."
        )
    return found


def _order_sentence(outcome: Outcome, order: Order) -> str:
    """Say whether two entries keep their order and, if they do not, what their training shows."""
    names = order.higher, order.lower
    errors = {name: outcome.errors(name) for name in names}
    title = f"{names[0]} to {names[1]} (published: {order.published or _published(outcome, names)})"
    if not all(errors.values()):
        return f"{title}: {NOT}."
    effect = effect_of(order.row, "test_error", errors)
    shown = " against ".join(f"{mean_of(errors[name]):.2f}" for name in names)
    text = f"{title}: {KEPT[effect.verdict]}, {shown} % here{_interval(effect)}."
    if effect.verdict in ("not seen", "contradicted"):
        text += _reason(outcome, names)
    return text


def _reason(outcome: Outcome, names: tuple[str, str]) -> str:
    """Say from the errors in training why the second of two entries is not better."""
    by_name = {result.name: result.by["era"] for result in outcome.results}
    first, second = (mean_of(by_name[name].training_error) for name in names)
    if math.isnan(first) or math.isnan(second):
        return ""
    shown = f"{second:.2f} against {first:.2f} %"
    if second >= first:
        return (
            f" In training, the error of {names[1]} is not lower either ({shown}): it has not been "
            "trained long enough to show it."
        )
    return (
        f" In training, the error of {names[1]} is lower ({shown}): it fits these few images "
        "better, and gains nothing on others."
    )


def _gap_sentences(outcome: Outcome) -> list[str]:
    """Say how much of the gap between two nets the recipe of today closes."""
    early, late = outcome.gap
    old, new, today = outcome.errors(early), outcome.errors(late), outcome.errors(early, "today")
    title = f"What was the net, what the training? {early} to {late}"
    if not (old and new and today):
        return [f"{title}: {NOT}."]
    order = Order(higher=early, lower=late)
    effect = effect_of(order.row, "test_error", {early: old, late: new})
    gap, gained = mean_of(old) - mean_of(new), mean_of(old) - mean_of(today)
    text = f"{title}: by the recipe of the era, {mean_of(old):.2f} against {mean_of(new):.2f} %."
    if effect.verdict == "contradicted" or gap <= 0:
        return [f"{text} There is no gap to close."]
    doubt = "" if effect.verdict == "seen" else " The gap itself is not certain."
    change = f"{early} by the recipe of today has {mean_of(today):.2f} %"
    if gained <= 0:
        return [f"{text} {change}: the training closes nothing of the gap.{doubt}"]
    share = 100 * gained / gap
    rest = "the rest is the net" if share < 100 else "more than the net did"
    text += f" {change}: the training closes {share:.0f} % of the gap, {rest}.{doubt}"
    if late_today := outcome.errors(late, "today"):
        left = mean_of(today) - mean_of(late_today)
        text += f" Of the {gap:.2f} points between the nets, the recipe of today leaves {left:.2f}."
    return [text]


def _recipe_sentences(outcome: Outcome) -> Iterator[str]:
    """Say for each entry with two recipes what the recipe of today changes."""
    for result in outcome.results:
        errors = {by: outcome.errors(result.name, by) for by in RECIPES}
        if "today" not in result.by or not all(errors.values()):
            continue
        order = Order(higher="era", lower="today")
        effect = effect_of(order.row, "test_error", {by: errors[by] for by in RECIPES})
        verdict = {"seen": "lowers", "contradicted": "raises"}.get(effect.verdict)
        shown = f"from {mean_of(errors['era']):.2f} to {mean_of(errors['today']):.2f} %"
        if verdict is None:
            yield (
                f"{result.name} by the recipe of today: {KEPT[effect.verdict]}, {shown}"
                f"{_interval(effect)}."
            )
        else:
            yield f"The recipe of today {verdict} the error of {result.name} {shown}" + (
                f"{_interval(effect)}."
            )


def _interval(effect: Effect) -> str:
    """Return the difference of an effect with its interval, in brackets."""
    if effect.value is None:
        return " (one seed: the spread is unknown)"
    return f" (difference {effect.value:.2f}, {effect.low:.2f} to {effect.high:.2f} points)"


def _published(outcome: Outcome, names: tuple[str, str]) -> str:
    """Return the published errors of two entries, top-5 if both have them."""
    pair = [next(x for x in outcome.results if x.name == name) for name in names]
    for k, values in (
        (5, [x.top5_error for x in pair]),
        (1, [x.top1_error for x in pair]),
    ):
        if all(values):
            return f"{values[0]:g} against {values[1]:g} % top-{k}"
    return "no error of a single net"


def _cells(result: Result) -> tuple[str, ...]:
    """Return the cells of the row of an entry, in the order of `HEADINGS`."""
    era, today = (result.by.get(by) for by in RECIPES)
    seconds = era.seconds if era else []
    top5, top1 = ("" if x is None else f"{x:g}" for x in (result.top5_error, result.top1_error))
    return (
        f"{result.name}{'' if result.competes else ' (beside the ten)'}",
        str(result.year),
        str(result.depth),
        f"{result.parameters / 1e6:.2f} M",
        f"{result.macs / 1e6:,.0f} M",
        f"{mean_of(seconds):,.0f}" if seconds else NOT,
        *_errors(era),
        *_errors(today, ""),
        top5,
        top1,
        (result.protocol or "").replace("_", " "),
    )


def _errors(trained: Trained | None, none: str = NOT) -> tuple[str, str]:
    """Return the errors of some runs by both protocols, each with half of the range of seeds."""
    if trained is None:
        return none, none
    shown = [_spread(x) for x in (trained.test_error, trained.ten_crop)]
    if trained.diverged:
        shown[0] += f" ({trained.diverged} of {len(trained.test_error)} diverged)"
    return shown[0], shown[1]


def _spread(values: list[float]) -> str:
    if not values:
        return NOT
    half = f" ± {(max(values) - min(values)) / 2:.2f}" if len(values) > 1 else ""
    return f"{mean_of(values):.2f}{half}"


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
