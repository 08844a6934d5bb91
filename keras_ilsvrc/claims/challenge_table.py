"""Results of the challenge as Markdown: a table, and sentences computed from the numbers."""

import math
from collections.abc import Iterator
from pathlib import Path

from keras_ilsvrc.claims.challenge import Outcome, Result, Trained, mean_of
from keras_ilsvrc.claims.challenge_file import RECIPES, Order, departures_of
from keras_ilsvrc.claims.challenge_picture import PICTURE
from keras_ilsvrc.claims.verdict import Effect, effect_of
from keras_ilsvrc.utils import files

TABLE = "challenge.md"
NOT_MEASURED = "not measured"
HEADINGS = (
    *("net", "year", "depth", "parameters", "multiply-adds", "seconds"),
    *("era: error %", "era: ten crops %", "today: error %", "today: ten crops %"),
    *("published top-5 %", "published top-1 %", "published protocol"),
)
ORDERS = {
    "seen": "the order is kept",
    "not seen": "no difference seen",
    "contradicted": "the order is reversed",
    "no verdict": "no verdict",
}


def write_table(outcome: Outcome, folder: Path) -> None:
    """Write `challenge.md`: the table, the sentences and the differences from the papers."""
    with files.whole(folder / TABLE) as part:
        text = answers_of(outcome, PICTURE) + "\n" + departures_of(outcome.departures)
        part.write_text(text, encoding="utf-8")


def answers_of(outcome: Outcome, picture: str) -> str:
    """Return the table, the picture and the sentences as Markdown.

    Args:
        outcome: Outcome of the challenge.
        picture: Path of the picture, relative to the page.
    """
    seeds = f"{outcome.seeds} seeds" if outcome.seeds > 1 else "one seed, so the spread is unknown"
    quick = " The quick form does not test the nets." * (outcome.form == "quick")
    lines = [
        f"Every net was trained on {outcome.dataset} ({outcome.images:,} training images) for "
        f"{outcome.epochs:g} epochs, with {seeds}. The errors are top-1 errors on ten classes with "
        "the recipe of the era (2012 to 2015) and with that of today: the mean over the seeds, and "
        f"half of their range. The seconds are those of one run on one core or GPU.{quick}",
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
    """Return the conclusions: which published rankings hold, and whether net or training counts."""
    found = [_order_sentence(outcome, Order(**row)) for row in outcome.orders]
    found += _gap_sentences(outcome)
    found += list(_recipe_sentences(outcome))
    for row in outcome.beside:
        found.append(
            f"For comparison, {row['what']}: {100 - row['accuracy']:.2f} % error "
            f"({row['source']}). Differences: {row['differs']}."
        )
    return found


def _order_sentence(outcome: Outcome, order: Order) -> str:
    """Return a sentence on whether two entries keep their published order, and if not, why."""
    names = order.higher, order.lower
    errors = {name: outcome.errors(name) for name in names}
    published = order.published or _published(outcome, names)
    title = f"{names[0]} and {names[1]} (published: {published})"
    if not all(errors.values()):
        return f"{title}: {NOT_MEASURED}."
    effect = effect_of(order.row, "test_error", errors)
    shown = " and ".join(f"{mean_of(errors[name]):.2f}" for name in names)
    text = f"{title}: {ORDERS[effect.verdict]}, measured {shown} %{_interval(effect)}."
    if effect.verdict in ("not seen", "contradicted"):
        text += _reason(outcome, names)
    return text


def _reason(outcome: Outcome, names: tuple[str, str]) -> str:
    """Return why the second of two entries is not better, according to the training errors."""
    by_name = {result.name: result.by["era"] for result in outcome.results}
    first, second = (mean_of(by_name[name].training_error) for name in names)
    if math.isnan(first) or math.isnan(second):
        return ""
    shown = f"{second:.2f} against {first:.2f} %"
    if second >= first:
        return (
            f" The training error of {names[1]} is not lower either ({shown}), so it was not "
            "trained long enough."
        )
    return (
        f" The training error of {names[1]} is lower ({shown}), so it fits the training images "
        "better, but does not generalise better."
    )


def _gap_sentences(outcome: Outcome) -> list[str]:
    """Return a sentence on how much of the gap between two nets the recipe of today closes."""
    early, late = outcome.gap
    old, new, today = outcome.errors(early), outcome.errors(late), outcome.errors(early, "today")
    title = f"Share of net and training in the gap between {early} and {late}"
    if not (old and new and today):
        return [f"{title}: {NOT_MEASURED}."]
    order = Order(higher=early, lower=late)
    effect = effect_of(order.row, "test_error", {early: old, late: new})
    gap, gained = mean_of(old) - mean_of(new), mean_of(old) - mean_of(today)
    shown = f"{mean_of(old):.2f} and {mean_of(new):.2f} %"
    text = f"{title}: with the recipe of the era, the errors are {shown}."
    if effect.verdict == "contradicted" or gap <= 0:
        return [f"{text} There is no gap to close."]
    doubt = "" if effect.verdict == "seen" else " The gap itself is uncertain."
    change = f"With the recipe of today, the error of {early} is {mean_of(today):.2f} %"
    if gained <= 0:
        return [f"{text} {change}, so the training closes none of the gap.{doubt}"]
    share = 100 * gained / gap
    rest = "the net explains the rest" if share < 100 else "it gains as much as the net or more"
    text += f" {change}, so the training closes {share:.0f} % of the gap; {rest}.{doubt}"
    if late_today := outcome.errors(late, "today"):
        left = mean_of(today) - mean_of(late_today)
        text += f" With the recipe of today for both, the gap is {left:.2f} points, not {gap:.2f}."
    return [text]


def _recipe_sentences(outcome: Outcome) -> Iterator[str]:
    """Yield a sentence on the effect of the recipe of today for each entry with both recipes."""
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
                f"The recipe of today changes the error of {result.name} {shown}: "
                f"{ORDERS[effect.verdict]}{_interval(effect)}."
            )
        else:
            yield f"The recipe of today {verdict} the error of {result.name} {shown}" + (
                f"{_interval(effect)}."
            )


def _interval(effect: Effect) -> str:
    """Return the difference and its interval as text in brackets."""
    if effect.value is None:
        return " (one seed: the spread is unknown)"
    interval = f"{effect.low:.2f} to {effect.high:.2f}"
    return f" (difference {effect.value:.2f} points, interval {interval})"


def _published(outcome: Outcome, names: tuple[str, str]) -> str:
    """Return the published errors of two entries as text: top-5 if both have them, else top-1."""
    pair = [next(x for x in outcome.results if x.name == name) for name in names]
    for k, values in (
        (5, [x.top5_error for x in pair]),
        (1, [x.top1_error for x in pair]),
    ):
        if all(values):
            return f"{values[0]:g} and {values[1]:g} % top-{k} error"
    return "no errors of single nets"


def _cells(result: Result) -> tuple[str, ...]:
    """Return the cells of the row of an entry, in the order of `HEADINGS`."""
    era, today = (result.by.get(by) for by in RECIPES)
    seconds = era.seconds if era else []
    top5, top1 = ("" if x is None else f"{x:g}" for x in (result.top5_error, result.top1_error))
    return (
        f"{result.name}{'' if result.competes else ' (not one of the ten)'}",
        str(result.year),
        str(result.depth),
        f"{result.parameters / 1e6:.2f} M",
        f"{result.macs / 1e6:,.0f} M",
        f"{mean_of(seconds):,.0f}" if seconds else NOT_MEASURED,
        *_errors(era),
        *_errors(today, ""),
        top5,
        top1,
        (result.protocol or "").replace("_", " "),
    )


def _errors(trained: Trained | None, none: str = NOT_MEASURED) -> tuple[str, str]:
    """Return the cells of the single-view and ten-crop errors with one recipe."""
    if trained is None:
        return none, none
    shown = [_spread(x) for x in (trained.test_error, trained.ten_crop)]
    if trained.diverged:
        shown[0] += f" ({trained.diverged} of {len(trained.test_error)} diverged)"
    return shown[0], shown[1]


def _spread(values: list[float]) -> str:
    """Return the mean and half of the range over the seeds as text."""
    if not values:
        return NOT_MEASURED
    half = f" ± {(max(values) - min(values)) / 2:.2f}" if len(values) > 1 else ""
    return f"{mean_of(values):.2f}{half}"


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
