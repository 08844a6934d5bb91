"""Schema of sweep files, and the changes that each trial makes to the recipe.

This module does not import Keras.
"""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from keras_ilsvrc.nets.build import check_build
from keras_ilsvrc.recipe import Recipe, changed, find, load, scaled, value_of
from keras_ilsvrc.recipe.ops import Count, Positive, Table
from keras_ilsvrc.recipe.tables import read_table
from keras_ilsvrc.sweeps.ranges import encoded, ranges_of
from keras_ilsvrc.utils.errors import InputError

# Settings that may be changed when a sweep is resumed.
FREE = {"trials", "final_repeats", "trial_minutes"}
FEW = 5  # runs with at most this many classes report no top-5 error


class SweepTable(Table):
    """Content of a sweep file.

    Attributes:
        recipe: Path of the recipe, relative to the sweep file or to the working directory, or name
            of a recipe in the package.
        tuner: Search algorithm.
        trials: Number of trials; the maximum number for "grid", None for "hyperband".
        objective: Measurement to minimize.
        seed: Seed of the search.
        repeats: Number of seeds per trial.
        final_repeats: Number of new seeds to compare the best trial with the recipe.
        trial_minutes: Minutes after which a trial fails; None for no limit.
        max_epochs: Maximum number of epochs of a trial, only for "hyperband".
        max_model_size: Maximum number of trainable parameters; None for no limit.
        max_operations: Maximum number of multiply-adds for one image; None for no limit.
        set: Changes to the recipe for all trials, by dotted key.
        keys: Range of each swept key, by dotted key.
    """

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
    keys: Annotated[dict[str, Any], Field(min_length=1)]


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
        self.table = read_table(SweepTable, path)
        self.recipe = _recipe(path, self.table)
        self.ranges = ranges_of(path, self.table, self.recipe)

    def decoded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that a tuner chose for a trial, with choices decoded from JSON."""
        choices = [key for key, range_ in self.ranges.items() if range_.kind == "choice"]
        return {
            key: json.loads(values[key]) if key in choices else values[key] for key in self.ranges
        }

    def changes(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the changes to the recipe for the values that a tuner chose for a trial."""
        found = self.decoded(values)
        for key, range_ in self.ranges.items():
            if range_.kind == "scale":
                found[key] = scaled(value_of(self.recipe, key), found[key])
        return found

    def varied(self, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe for the values that a tuner chose for a trial.

        Raises:
            InputError: If the recipe cannot have these values together.
        """
        recipe = changed(self.recipe, self.changes(values), str(self.path))
        check_build(recipe.net, **recipe.build.model_dump(exclude_none=True))
        return recipe

    def validated(self, recipe: Recipe) -> Recipe:
        """Return a recipe with the validation split as its test split, and the same protocol."""
        expect = recipe.expect and {
            "protocol": recipe.expect.protocol,
            "scales": recipe.expect.scales,
        }
        own = {"data.test": recipe.data.validation, "expect": expect, "baseline": None}
        return changed(recipe, own | {"report": recipe.report is not False}, str(self.path))

    def defaults(self) -> dict[str, Any]:
        """Return the recipe's values of the swept keys, in the form that a tuner uses."""
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


def _recipe(path: Path, table: SweepTable) -> Recipe:
    """Load the recipe of a sweep, with the changes of its table `set`."""
    beside = path.parent / table.recipe
    recipe = load(beside if beside.is_file() else find(table.recipe))
    recipe = changed(recipe, table.set, f"{path}: set")
    if recipe.data.validation is None:
        raise InputError(
            f"{path}: recipe {table.recipe} has no validation split, which a sweep needs to "
            'compare trials; set one, for example "data.validation" = "validation" in [set]'
        )
    if recipe.data.validation == recipe.data.test:
        raise InputError(
            f"{path}: data.validation and data.test are both {recipe.data.test!r}; expected two "
            "splits, since trials must not be compared on the images of the final test"
        )
    classes = recipe.build.classes
    if table.objective == "top5_error" and classes is not None and classes <= FEW:
        raise InputError(
            f"{path}: objective is top5_error, which is not measured for {classes} classes; use "
            "top1_error"
        )
    return recipe
