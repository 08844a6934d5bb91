"""Write the page of all tested claims, `claims_table.md`, from the folders in `story`.

    python docs/claims_page.py

Each folder `story/NAME` contains the files `claim.json` and `claim.png` of `keras-ilsvrc claim`.
"""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from keras_ilsvrc.claims.measures import MEASURES
from keras_ilsvrc.claims.outcome import CLAIM, PICTURE, read
from keras_ilsvrc.claims.schema import claims
from keras_ilsvrc.claims.study import Arm, Outcome

HERE = Path(__file__).parent
STORY, PAGE = HERE / "story", HERE / "claims_table.md"
EMPTY = "No claim has been tested yet.\n"


def page(story: Path = STORY) -> str:
    """Return the page of all claims in a folder: a table, and a section for each claim."""
    folders = sorted(path.parent for path in story.glob(f"*/{CLAIM}"))
    if not folders:
        return EMPTY
    found = [(folder, read(folder)) for folder in folders]
    lines = ["| claim | data | verdict |", "|---|---|---|"]
    for _, each in found:
        name = f"[{_number(each)}. {_cell(each.title)}](#{_label(each)})"
        lines.append(f"| {name} | {_cell(each.dataset)} | {each.summary} |")
    sections = [section(each, f"{story.name}/{folder.name}") for folder, each in found]
    return "\n".join(lines) + "\n\n" + "\n".join(sections)


def section(outcome: Outcome, folder: str) -> str:
    """Return the section of a claim: verdict, comparisons, picture, table of arms, and command."""
    measures = list(dict.fromkeys(effect.measure for effect in outcome.effects))
    quick = " (quick form)" * outcome.quick
    lines = [
        f"({_label(outcome)})=",
        f"### {_number(outcome)}. {outcome.title}{quick}",
        "",
        f"{outcome.says} ({outcome.source})",
        "",
        f"**{outcome.summary.capitalize()}** on {outcome.dataset}, with {outcome.seeds} seeds and "
        f"{outcome.images:,} training images: {outcome.reduced}.",
    ]
    if outcome.reason and outcome.verdict != "seen":
        lines[-1] += f" Possible reason: {outcome.reason.removesuffix('.')}."
    lines += ["", *(f"- {effect.verdict}: {effect.sentence}" for effect in outcome.effects), ""]
    lines += [f"![{outcome.title}: curves and values of all arms]({folder}/{PICTURE})", ""]
    heads = ["arm", "parameters", "multiply-adds", "rate", *map(_heading, measures)]
    lines += [f"| {' | '.join(heads)} |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    for arm in outcome.arms:
        lines.append(f"| {' | '.join(_cells(arm, measures))} |")
    lines += ["", "```text", command(outcome), "```", ""]
    return "\n".join(lines)


def command(outcome: Outcome) -> str:
    """Return the command that repeats the test, from the first line of the claim file."""
    path = claims().get(outcome.claim)
    if outcome.quick or path is None:
        return f"keras-ilsvrc claim {outcome.claim}" + " --quick" * outcome.quick
    return path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")


def _cells(arm: Arm, measures: Sequence[str]) -> list[str]:
    """Return the table row of an arm; its rate is a factor of the recipe's learning rate."""
    macs = "" if arm.macs is None else f"{arm.macs:,}"
    rate = f"{arm.rate:g}" if arm.rates else ""
    values = [_spread(arm.values.get(measure, [])) for measure in measures]
    return [_cell(arm.name), f"{arm.parameters:,}", macs, rate, *values]


def _spread(values: Sequence[float | None]) -> str:
    """Return the mean and the standard deviation over the seeds as text."""
    known = [x for x in values if x is not None and math.isfinite(x)]
    if not known or len(known) < len(values):
        return "not measured"
    mean = statistics.fmean(known)
    text = f"{mean:,.0f}" if abs(mean) >= 100 else f"{mean:.3g}"
    return text if len(known) < 2 else f"{text} ± {statistics.stdev(known):.2g}"


def _heading(measure: str) -> str:
    kind = MEASURES[measure]
    return f"{kind.words} ({kind.unit})" if kind.unit else kind.words


def _number(outcome: Outcome) -> str:
    return outcome.claim.partition("_")[0]


def _label(outcome: Outcome) -> str:
    return f"claim-{outcome.claim.lower()}" + "-quick" * outcome.quick


def _cell(text: str) -> str:
    return text.replace("|", "&#124;")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
