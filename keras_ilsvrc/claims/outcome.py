"""Output files of a claim: `claim.json`, its picture, and a table of all claims in a folder."""

import json
from pathlib import Path

from keras_ilsvrc.claims.picture import draw
from keras_ilsvrc.claims.study import Outcome
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import InputError, reason

CLAIM, PICTURE, TABLE = "claim.json", "claim.png", "claims.md"
HEADINGS = ("claim", "data", "comparison", "difference", "interval", "verdict")


def write(outcome: Outcome, folder: Path) -> None:
    """Write `claim.json` and the picture of a claim to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(outcome.table(), indent=1)
    with files.whole(folder / CLAIM) as part:
        part.write_text(text + "\n")
    with files.whole(folder / PICTURE) as part:
        draw(outcome, part)


def read(folder: Path) -> Outcome:
    """Read the outcome of a claim from its folder.

    Raises:
        InputError: If `claim.json` is missing or damaged.
    """
    path = folder / CLAIM
    try:
        return Outcome.of(json.loads(files.read(path)))
    except (ValueError, TypeError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: damaged: {reason(error)}; remove this file, and repeat the command"
        ) from error


def write_table(folder: Path) -> Path:
    """Write the table of all claims in a folder as Markdown, and return its path."""
    found = [read(path.parent) for path in sorted(folder.glob(f"*/{CLAIM}"))]
    with files.whole(folder / TABLE) as part:
        part.write_text(table_of(found))
    return folder / TABLE


def table_of(outcomes: list[Outcome]) -> str:
    """Return a Markdown table with a row for each comparison of the claims."""
    lines = [f"| {' | '.join(HEADINGS)} |", "|" + "---|" * len(HEADINGS)]
    for outcome in outcomes:
        name = f"{outcome.claim}{' (quick)' * outcome.quick}"
        for effect in outcome.effects:
            value = _number(effect.value)
            ends = f"{_number(effect.low)} to {_number(effect.high)}"
            cells = (name, outcome.dataset, effect.sentence, value, ends, effect.verdict)
            lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
            name = ""
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3g}"
