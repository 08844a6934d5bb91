"""Error messages for all faults of a recipe, each with the line, the key and the expected value."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from keras_ilsvrc.recipe.schema import CHOICES, TABLES, Recipe
from keras_ilsvrc.utils.errors import nearest

MOST = 20  # maximum number of faults in a message
LONG = re.compile(r"(\"{3}|'{3}).*?\1", re.DOTALL)  # multi-line TOML strings
# Line that begins with a heading, for example `[data]` or `[[departs]]`, or with `key =`.
START = re.compile(r"(\[\[?)([\w\s.\"'-]+)\]{1,2}\s*(?:#.*)?$|([\w\s.\"'-]+)=")
# Keys that need a validation split: {key: value that needs it, or None if every value does}
NEED_VALIDATION = {("schedule", "name"): "plateau", ("keep",): "best", ("early_stopping",): None}
Place = tuple[str | int, ...]  # path to a value in a recipe: keys and list indices


class Fault(NamedTuple):
    """Fault of a recipe.

    Attributes:
        place: Path to the faulty value.
        what: Description of the fault, without the key.
        meant: For an unknown key, the known key that was probably meant, or None.
    """

    place: Place
    what: str
    meant: str | None = None

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.place))}: {self.what}"


def explain(errors: Iterable[Any], table: Mapping[str, Any]) -> list[Fault]:
    """Return the faults of a recipe, unknown keys first.

    Args:
        errors: Errors from pydantic.
        table: Content of the recipe as a dict.
    """
    found = [_fault(error) for error in errors]
    data = table.get("data")
    if isinstance(data, dict) and data.get("validation") is None:
        for place, needs in NEED_VALIDATION.items():
            value = _value(table, place)
            if value is not None and needs in (None, value):
                found.append(Fault(place, "needs data.validation; set it to the name of a split"))
    found.sort(key=lambda fault: not fault.what.startswith("unknown"))
    meant = {(*fault.place[:-1], fault.meant) for fault in found if fault.meant}
    # For a mistyped key, do not also report that the correct key is missing.
    return [x for x in found if not (x.what.startswith("missing") and x.place in meant)]


def described(
    faults: Sequence[Fault], path: Path, text: str, overrides: Sequence[str]
) -> list[str]:
    """Return the lines of an error message: one per fault, below a heading if there are several.

    Args:
        faults: At least one fault.
        path: Path of the recipe.
        text: Content of the recipe as TOML text.
        overrides: Changes to the recipe, as `key=value`.
    """
    known, numbered = _lines(text), []
    for fault in faults[:MOST]:
        places = [fault.place[:length] for length in range(len(fault.place), 0, -1)]
        # A missing key has no line. Use the line of its table.
        line = next((known[place] for place in places if place in known), None)
        setter = _setter(fault.place, overrides)
        names = [str(x) for x in fault.place]
        if setter and (line is None or names[: len(setter[0])] == setter[0]):
            numbered.append((len(text), f"--set {setter[1]:.60}: {fault}"))
        else:
            numbered.append((line or 0, f"{path}{f':{line}' if line else ''}: {fault}"))
    lines = [line for _, line in sorted(numbered, key=lambda pair: pair[0])]
    if len(faults) > MOST:
        lines.append(f"... and {len(faults) - MOST} more")
    return lines if len(lines) == 1 else [f"{path} has {len(faults)} errors:", *lines]


def _setter(place: Place, overrides: Sequence[str]) -> tuple[list[str], str] | None:
    """Return (key, text) of the last override that changed the value at a place, or None."""
    names = [str(x) for x in place]
    for override in reversed(overrides):
        key = override.partition("=")[0].strip().split(".")
        if all(one == other for one, other in zip(key, names)):
            return key, override
    return None


def _fault(error: Mapping[str, Any]) -> Fault:
    """Convert an error from pydantic into a fault."""
    place: list[str | int] = []
    known: Iterable[str] = Recipe.model_fields
    choice, kinds, kind = "", dict[str, list[str]](), ""
    variants = kinds
    *_, last = steps = list(enumerate(error["loc"]))
    for number, step in steps:
        if step in variants:  # pydantic inserts the name of the variant into the path
            kind, known, variants = str(step), variants[step], {}
            continue
        place.append(step)
        if step in TABLES and (number, step) != last:
            known, kinds, kind = TABLES[str(step)].model_fields, {}, ""
        if step in CHOICES:
            choice, variants = CHOICES[str(step)]
            kinds = variants
    found, type_ = error["input"], error["type"]
    if type_ == "extra_forbidden":
        return _unknown(tuple(place), kind, kinds, known)
    if type_ == "missing":
        return Fault(tuple(place), "missing")
    if type_ == "union_tag_invalid":
        hint = nearest(str(found[choice]), variants)
        return Fault((*place, choice), f"unknown value {found[choice]!r:.60}; {hint}")
    shown = f"{found!r:.60}"
    if type_ in ("union_tag_not_found", "model_type", "model_attributes_type", "dict_type"):
        keys = f" with a key {choice}" if variants else ""
        return Fault(tuple(place), f"{shown} should be a table{keys}")
    reason = error["msg"].removeprefix("Value error, ").replace(" after validation", "")
    if found is None:  # one of two keys is needed, but neither is set
        return Fault((*place[:-1], "steps"), reason)
    if type_ == "value_error" and isinstance(found, dict):  # an error about a whole table
        return Fault(tuple(place), reason)
    if reason.startswith("Input "):
        return Fault(tuple(place), f"{shown} {reason.removeprefix('Input ')}")
    return Fault(tuple(place), f"{shown}: {reason[0].lower()}{reason[1:]}")


def _unknown(
    place: Place, kind: str, kinds: Mapping[str, list[str]], known: Iterable[str]
) -> Fault:
    """Return the fault for an unknown key, with a similar key or the table that has this key."""
    key, known = str(place[-1]), list(known)
    owners = [name for name, keys in kinds.items() if key in keys]
    if not owners:
        owners = [name for name, keys in _keys() if key in keys and key != "name"]
    if owners:
        of_kind = f" of {kind}" if kind else ""
        return Fault(place, f"unknown key{of_kind}; it is a key of {', '.join(owners)}")
    hint = nearest(key, known)
    meant = re.match("did you mean '(.*?)'", hint)
    return Fault(place, f"unknown key; {hint}".rstrip("; "), meant and meant[1])


def _keys() -> Iterator[tuple[str, set[str]]]:
    """Yield (name, keys) for each table in `TABLES`, and for `optimizer` and `schedule`."""
    for name, kind in TABLES.items():
        yield name, set(kind.model_fields)
    for name in ("optimizer", "schedule"):
        yield name, set().union(*CHOICES[name][1].values())


def _value(table: Any, place: Place) -> Any:
    """Return the value at a place in a recipe, or None if there is none."""
    for step in place:
        try:
            table = table[step]
        except (KeyError, IndexError, TypeError):
            return None
    return table


def _lines(text: str) -> dict[Place, int]:
    """Return {place: line number} for the headings, keys and inline tables in a TOML text."""
    content, found, count = tomllib.loads(text), dict[Place, int](), Counter[Place]()
    text = LONG.sub(lambda match: "\n" * match[0].count("\n"), text)
    table, key = Place(), Place()
    for number, line in enumerate(text.split("\n"), 1):
        place = Place()
        if match := START.match(line.strip()):
            own = _parts(match[2] or match[3])
            place = {"[[": (*own, count[own]), "[": own}.get(match[1], (*table, *own))
        # A line of a long list can look like a heading, so check that the content has this place.
        if match and _value(content, place) is not None:
            key = place
            if match[1]:
                table, count[own] = place, count[own] + 1
            for length in range(1, len(place) + 1):
                found.setdefault(place[:length], number)
        for _ in range(line.partition("#")[0].count("{")):
            found.setdefault((*key, count[key]), number)
            count[key] += 1
    return found


def _parts(key: str) -> Place:
    return tuple(x.strip("\"'") for x in re.findall(r"\"[^\"]*\"|'[^']*'|[\w-]+", key))
