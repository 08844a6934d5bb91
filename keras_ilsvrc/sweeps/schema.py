"""Schema of sweep files, and the changes that each trial makes to the recipe. Needs no Keras."""

import json
import math
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from keras_ilsvrc.errors import InputError, nearest
from keras_ilsvrc.files import SMALL, read
from keras_ilsvrc.nets import info
from keras_ilsvrc.recipe import Recipe, changed, find, load, value_of
from keras_ilsvrc.recipe.ops import Count, Positive, Table

KINDS = ("choice", "linear", "log", "int", "log_int", "scale")
EXAMPLE = 'expected, for example, ["log", 1e-5, 1e-3] or ["choice", 32, 64]'
# Keys that a sweep must not change: the package sets them, trials would be compared on different
# images, or they do not change the network.
FIXED = {
    *("seed", "report", "expect", "departs", "baseline", "keep_epochs"),
    *("data", "data.dataset", "data.split", "data.validation", "data.test"),
}
# Settings with which a sweep can be continued, although they differ from those at its start.
FREE = {"trials", "final_repeats", "trial_minutes"}


class Range(NamedTuple):
    """Range of one key of the recipe.

    Attributes:
        kind: "choice" of values, as JSON text; "linear" or "log" interval of numbers; "int" or
            "log_int" interval of whole numbers; "scale": interval, on a log scale, of the factor
            of all rates of a schedule.
        values: Values of a choice; least and greatest value of an interval.
        points: Number of values of an interval in a grid search.
    """

    kind: str
    values: tuple[Any, ...]
    points: int | None = None


class SweepTable(Table):
    """Content of a sweep file."""

    recipe: str
    tuner: Literal["random", "bayesian", "hyperband", "grid"]
    trials: Count | None = None
    objective: Literal["validation_error", "validation_loss", "top1_error", "top5_error"] = (
        "validation_error"
    )
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    repeats: Annotated[int, Field(ge=1, le=100)] = 1
    final_repeats: Annotated[int, Field(ge=2, le=100)] = 3
    trial_minutes: Positive | None = None
    max_epochs: Annotated[int, Field(ge=2, lt=2**31)] | None = None
    max_model_size: Count | None = None
    max_operations: Count | None = None
    set: Annotated[dict[str, Any], Field(default_factory=dict)]
    keys: Annotated[dict[str, list[Any]], Field(min_length=1)]


class Sweep:
    """Sweep over some keys of a recipe, as read from a TOML file and checked.

    Args:
        path: Path of the sweep file.

    Attributes:
        table: Content of the file.
        recipe: Recipe of trial 0, which all other trials change.
        ranges: Range of each swept key, by dotted key.

    Raises:
        InputError: If the file or its recipe is wrong; the message has one line for each fault.
    """

    def __init__(self, path: Path):
        self.path = path
        self.table = _table(path)
        self.recipe = _recipe(path, self.table)
        self.ranges = _ranges(path, self.table, self.recipe)
        _check_budget(path, self.table, self.ranges)
        _check_values(path, self.recipe, self.ranges)

    def decoded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that a tuner chose for a trial, with choices as in the recipe."""
        choices = [key for key, range_ in self.ranges.items() if range_.kind == "choice"]
        return {
            key: json.loads(values[key]) if key in choices else values[key] for key in self.ranges
        }

    def changes(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the changes to the recipe for the values that a tuner chose for a trial."""
        found = self.decoded(values)
        for key, range_ in self.ranges.items():
            if range_.kind == "scale":
                found[key] = _scaled(value_of(self.recipe, key), found[key])
        return found

    def varied(self, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe for the values that a tuner chose for a trial.

        Raises:
            InputError: If the recipe cannot have these values together.
        """
        recipe = changed(self.recipe, self.changes(values), str(self.path))
        info(recipe.net, **recipe.build.variations)
        return recipe

    def validated(self, recipe: Recipe) -> Recipe:
        """Return a recipe that is tested on the validation split, with the same protocol."""
        expect = recipe.expect and {
            "protocol": recipe.expect.protocol,
            "scales": recipe.expect.scales,
        }
        own = {"data.test": recipe.data.validation, "expect": expect, "baseline": None}
        return changed(recipe, own | {"report": recipe.report is not False}, str(self.path))

    def defaults(self) -> dict[str, Any]:
        """Return the values of trial 0, in the form in which a tuner chooses values."""
        return {key: self._default(key) for key in self.ranges}

    def _default(self, key: str) -> Any:
        range_, value = self.ranges[key], value_of(self.recipe, key)
        if range_.kind == "scale":
            return 1.0
        return encoded(value) if range_.kind == "choice" else value

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Content of the sweep file and its recipe, without `FREE`, to compare two sweeps."""
        table = self.table.model_dump(exclude_none=True, exclude=FREE)
        table |= {"recipe": self.recipe.table()}
        return json.loads(json.dumps(table))


def encoded(value: Any) -> str:
    """Return a value of a choice as JSON text, since a tuner's choices cannot be lists."""
    return json.dumps(value)


def _table(path: Path) -> SweepTable:
    """Read a sweep file and check its schema."""
    try:
        content = tomllib.loads(read(path, SMALL).decode("utf-8-sig"))
        return SweepTable.model_validate(content)
    except ValidationError as error:
        raise InputError(*(_fault(path, each) for each in error.errors())) from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a TOML file: {error}") from error


def _fault(path: Path, error: Any) -> str:
    """Return one error of pydantic as a line."""
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        hint = nearest(key, SweepTable.model_fields)
        return f"{path}: {key}: unknown key; {hint}".rstrip("; ")
    if error["type"] == "missing":
        return f"{path}: {key}: missing"
    if key.startswith("keys.") and error["type"] == "list_type":
        return f"{path}: {key} is {error['input']!r:.60}; {EXAMPLE}"
    reason = error["msg"].removeprefix("Input ").removeprefix("Value error, ")
    return f"{path}: {key} is {error['input']!r:.60}; it {reason}"


def _recipe(path: Path, table: SweepTable) -> Recipe:
    """Load the recipe of a sweep, with the changes of its table `set`."""
    beside = path.parent / table.recipe
    recipe = load(beside if beside.is_file() else find(table.recipe))
    recipe = changed(recipe, table.set, f"{path}: set")
    if recipe.data.validation is None:
        raise InputError(
            f"{path}: recipe {table.recipe} has no validation split, on which a sweep compares its "
            'trials; name one, for example "data.validation" = "validation" in [set]'
        )
    return recipe


def _ranges(path: Path, table: SweepTable, recipe: Recipe) -> dict[str, Range]:
    """Check the ranges of all keys. A choice also gets the value of the recipe, which is first."""
    found: dict[str, Range] = {}
    faults: list[str] = []
    for key, content in table.keys.items():
        label = f"{path}: keys.{key}"
        try:
            if key in FIXED or key.split(".")[0] in ("expect", "departs"):
                raise InputError(f"{label}: a sweep cannot vary this key; leave it out")
            changed(recipe, {key: value_of(recipe, key)}, label)
            range_ = _range(label, content)
            found[key] = _with_default(label, range_, value_of(recipe, key))
        except InputError as error:
            faults += error.args
    if faults:
        raise InputError(*faults)
    return found


def _range(label: str, content: list[Any]) -> Range:
    """Return the range of one key, or raise an InputError that says what is wrong."""
    kind, *values = content or [None]
    if kind not in KINDS:
        raise InputError(f"{label} is {content!r:.60}; {EXAMPLE}")
    if kind == "choice":
        if len({encoded(value) for value in values}) < len(values) or not values:
            raise InputError(f"{label} is {content!r:.60}; expected different values")
        return Range(kind, tuple(values))
    if len(values) not in (2, 3) or not all(
        isinstance(x, int | float) and not isinstance(x, bool) for x in values
    ):
        raise InputError(f'{label} is {content!r:.60}; expected ["{kind}", least, greatest]')
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
    """Check that the recipe has a value for a swept key, and add it to the values of a choice."""
    if value is None:
        raise InputError(
            f"{label}: the recipe has no value for this key, so there is no trial 0; give it one "
            "in [set]"
        )
    if range_.kind == "scale":
        _scaled(value, 1.0, label)
    if range_.kind != "choice":
        return range_
    others = [x for x in range_.values if encoded(x) != encoded(value)]
    return range_._replace(values=tuple(map(encoded, [value, *others])))


def _scaled(value: Any, factor: float, label: str = "") -> Any:
    """Multiply a learning rate, or the rates in a list of [step, rate], by a factor."""
    if isinstance(value, list) and all(isinstance(x, list) and len(x) == 2 for x in value):
        return [[step, rate * factor] for step, rate in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value * factor
    raise InputError(f"{label}: scale needs a number or a list of [step, rate] in the recipe")


def _check_budget(path: Path, table: SweepTable, ranges: Mapping[str, Range]) -> None:
    """Raise an InputError if the tuner does not fit the budget or the ranges."""
    hyperband = table.tuner == "hyperband"
    needed = {"trials": table.tuner in ("random", "bayesian"), "max_epochs": hyperband}
    refused = {"trials": hyperband, "max_epochs": not hyperband}
    for key, value in (("trials", table.trials), ("max_epochs", table.max_epochs)):
        if needed[key] and value is None:
            raise InputError(f"{path}: {key}: missing; tuner {table.tuner} needs it")
        if refused[key] and value is not None:
            raise InputError(f"{path}: {key}: not used by tuner {table.tuner}; leave it out")
    if hyperband and not table.objective.startswith("validation"):
        raise InputError(
            f"{path}: objective is {table.objective}; hyperband compares unfinished runs, so "
            "it needs validation_error or validation_loss"
        )
    for key, range_ in ranges.items():
        if table.tuner == "grid" and range_.kind != "choice" and range_.points is None:
            raise InputError(
                f"{path}: keys.{key}: a grid needs a choice, or a number of points after the "
                f'greatest value, for example ["{range_.kind}", 0.001, 0.1, 5]'
            )


def _check_values(path: Path, recipe: Recipe, ranges: Mapping[str, Range]) -> None:
    """Check each value of a choice, and values at the ends and in the middle of each interval."""
    faults: list[str] = []
    for key, range_ in ranges.items():
        values = range_.values
        if range_.kind in ("linear", "log"):
            values = (*values, math.sqrt(2) / 2 * (values[1] - values[0]) + values[0])
        for value in values:
            label = f"{path}: keys.{key}"
            if range_.kind == "choice":
                value = json.loads(value)
            elif range_.kind == "scale":
                value = _scaled(value_of(recipe, key), value)
            try:
                made = changed(recipe, {key: value}, label)
                if key == "net" or key.startswith("build."):
                    _check_net(label, made)
            except InputError as error:
                faults += error.args
    if faults:
        raise InputError(*dict.fromkeys(faults))


def _check_net(label: str, recipe: Recipe) -> None:
    """Raise an InputError that begins with a label if the network of a recipe is unknown."""
    try:
        info(recipe.net, **recipe.build.variations)
    except InputError as error:
        raise InputError(f"{label}: {error}") from error
