"""Ranges of the recipe keys that a sweep varies. This module does not import Keras."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_ilsvrc.nets import info
from keras_ilsvrc.recipe import Recipe, changed, scaled, value_of
from keras_ilsvrc.utils.errors import InputError

if TYPE_CHECKING:
    from keras_ilsvrc.sweeps.schema import SweepTable

KINDS = ("choice", "linear", "log", "int", "log_int", "scale")
EXAMPLE = 'expected, for example, ["log", 1e-5, 1e-3] or ["choice", 32, 64]'
# Keys that a trial must not change: the sweep sets them itself, they have no effect on training, or
# they would make trials use different images.
FIXED = (
    *("seed", "report", "expect", "departs", "baseline", "keep_epochs", "watch"),
    *("data.dataset", "data.split", "data.validation", "data.test"),
)


class Range(NamedTuple):
    """Range of one key of the recipe.

    Attributes:
        kind: "choice": list of values, as JSON text. "linear" or "log": interval of numbers, on a
            linear or log scale. "int" or "log_int": interval of whole numbers. "scale": interval,
            on a log scale, for a factor of all learning rates of a schedule.
        values: Values of a choice, or the minimum and maximum of an interval.
        points: Number of values of an interval in a grid search, or None.
    """

    kind: str
    values: tuple[Any, ...]
    points: int | None = None


def encoded(value: Any) -> str:
    """Return a value of a choice as JSON text, since values of keras-tuner cannot be lists."""
    return json.dumps(value)


def ranges_of(path: Path, table: "SweepTable", recipe: Recipe) -> dict[str, Range]:
    """Check and return the ranges of all keys. Each choice has the recipe's value as its first.

    Raises:
        InputError: If ranges are wrong; the message has one line for each fault.
    """
    found: dict[str, Range] = {}
    faults: list[str] = []
    for key, content in table.keys.items():
        label = f"{path}: keys.{key}"
        try:
            range_ = _range(label, content)
            if any(f"{x}.".startswith(f"{key}.") or key.startswith(f"{x}.") for x in FIXED):
                raise InputError(f"{label}: a sweep cannot vary this key; leave it out")
            changed(recipe, {key: value_of(recipe, key)}, f"{path}: keys")
            found[key] = _with_default(label, range_, value_of(recipe, key))
            _check_values(label, recipe, key, found[key], "net" in table.keys)
        except InputError as error:
            faults += error.args
    faults += _budget_faults(path, table, found)
    if faults:
        raise InputError(*faults)
    return found


def _range(label: str, content: Any) -> Range:
    """Return the range of one key; raise an InputError if its content in the file is wrong."""
    given: list[Any] = content if isinstance(content, list) else []
    kind, *values = given or [None]
    if kind not in KINDS:
        quotes = "; write a dotted key in quotes" * isinstance(content, dict)
        raise InputError(f"{label} is {content!r:.60}; {EXAMPLE}{quotes}")
    if kind == "choice":
        if len({encoded(value) for value in values}) < len(values) or not values:
            raise InputError(f"{label} is {content!r:.60}; expected different values")
        return Range(kind, tuple(values))
    if len(values) not in (2, 3) or not all(
        isinstance(x, int | float) and not isinstance(x, bool) for x in values
    ):
        raise InputError(f'{label} is {content!r:.60}; expected ["{kind}", minimum, maximum]')
    least, most, *points = values
    if not least < most:
        raise InputError(f"{label} is {content!r:.60}; expected the smaller number first")
    if kind in ("log", "log_int", "scale") and least <= 0:
        raise InputError(f"{label} is {content!r:.60}; a log scale needs numbers above 0")
    if "int" in kind and not all(isinstance(x, int) for x in (least, most)):
        raise InputError(f"{label} is {content!r:.60}; expected whole numbers")
    if points and (not isinstance(points[0], int) or points[0] < 2):
        raise InputError(f"{label} is {content!r:.60}; expected at least 2 points")
    return Range(kind, (least, most), points[0] if points else None)


def _with_default(label: str, range_: Range, value: Any) -> Range:
    """Check the recipe's value of a swept key, and make it the first value of a choice."""
    if value is None:
        raise InputError(
            f"{label}: the recipe has no value for this key, which trial 0 needs; set one in [set]"
        )
    if range_.kind == "scale":
        scaled(value, 1.0, label)
    elif range_.kind != "choice":
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise InputError(
                f"{label}: the recipe has {value!r:.60}, which is not a number; expected a choice"
                + ', or ["scale", minimum, maximum]' * isinstance(value, list)
            )
        if range_.kind in ("log", "log_int") and value <= 0:
            raise InputError(
                f"{label}: the recipe has {value!r}, but a log scale needs numbers above 0; set "
                "another value in [set]"
            )
    if range_.kind != "choice":
        return range_
    others = [x for x in range_.values if encoded(x) != encoded(value)]
    return range_._replace(values=tuple(map(encoded, [value, *others])))


def _budget_faults(path: Path, table: "SweepTable", ranges: Mapping[str, Range]) -> list[str]:
    """Return a message for each budget, objective or range that the tuner cannot use."""
    faults = []
    hyperband = table.tuner == "hyperband"
    needed = {"trials": table.tuner in ("random", "bayesian"), "max_epochs": hyperband}
    refused = {"trials": hyperband, "max_epochs": not hyperband}
    for key, value in (("trials", table.trials), ("max_epochs", table.max_epochs)):
        if needed[key] and value is None:
            faults.append(f"{path}: {key}: missing; the tuner {table.tuner} needs it")
        if refused[key] and value is not None:
            faults.append(f"{path}: {key}: not used by the tuner {table.tuner}; leave it out")
    if hyperband and not table.objective.startswith("validation"):
        faults.append(
            f"{path}: objective is {table.objective}; hyperband compares unfinished runs, so "
            "it needs validation_error or validation_loss"
        )
    if table.tuner == "grid":
        faults += [
            f"{path}: keys.{key}: a grid needs a choice, or a number of points after the maximum, "
            f'for example ["{range_.kind}", 0.001, 0.1, 5]'
            for key, range_ in ranges.items()
            if range_.kind != "choice" and range_.points is None
        ]
    return faults


def _check_values(label: str, recipe: Recipe, key: str, range_: Range, net_varies: bool) -> None:
    """Check that the recipe accepts each value of a choice, or both ends of an interval."""
    faults: list[str] = []
    for value in range_.values:
        if range_.kind == "choice":
            value = json.loads(value)
        elif range_.kind == "scale":
            value = scaled(value_of(recipe, key), value)
        elif range_.kind in ("linear", "log"):
            value = float(value)  # most numbers in the range are floats, even if its ends are not
        try:
            made = changed(recipe, {key: value}, label.removesuffix(f".{key}"))
            if key == "net":  # other keys of the sweep may set variations that fit this net
                _check_net(made.net, {}, label)
            elif key.startswith("build.") and not net_varies:
                _check_net(made.net, made.build.variations, label)
        except InputError as error:
            faults += error.args
    if faults:
        raise InputError(*dict.fromkeys(faults))


def _check_net(name: str, variations: Mapping[str, Any], label: str) -> None:
    """Raise an InputError that begins with a label if a network is unknown."""
    try:
        info(name, **variations)
    except InputError as error:
        raise InputError(f"{label}: {error}") from error
