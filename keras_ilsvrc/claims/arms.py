"""Recipes of the arms of a claim, checked before training starts.

This module does not import Keras.
"""

from itertools import combinations
from pathlib import Path
from typing import Any

from keras_ilsvrc.claims.measures import MEASURES
from keras_ilsvrc.claims.schema import Changes, Claim, OfArm, Quick, read_claim
from keras_ilsvrc.evaluation.protocols import sides_of
from keras_ilsvrc.nets.build import check_build
from keras_ilsvrc.recipe import Recipe, changed, find, load, scaled, value_of
from keras_ilsvrc.recipe.tables import valid
from keras_ilsvrc.utils.errors import InputError, nearest

RATE = "schedule.learning_rate"
OF_ARM = "arm:"  # `initial.weights` = "arm:NAME" starts from the trained weights of arm NAME
# Recipe keys that do not affect training. Claims whose recipes differ only in these share runs.
UNTRAINED = ("expect", "report", "baseline", "departs", "keep_epochs")


class Study:
    """Claim with the recipes of its arms, its seeds and its learning rates.

    Args:
        path: Path of the claim file.
        quick: Whether to use the quick form, which trains on small images.
        dataset: Data source that replaces the one in the recipe; None to keep that one.
        seeds: Number of seeds; None for the number in the claim file.

    Attributes:
        name: Name of the claim: the name of its file, without the suffix.
        claim: Content of the claim file.
        rates: Factors of the recipe's learning rate.
        recipes: Recipe of each arm, with the first seed and the recipe's learning rate.
        tests: Test protocol of each arm, as {"protocol": name, "scales": [...]}; None for the
            protocol in the recipe.
        devices: Only device on which each arm is trained, "cpu" or "gpu"; None for any device.

    Raises:
        InputError: If the claim file or a recipe is invalid; the message has a line per error.
    """

    def __init__(
        self,
        path: Path,
        quick: bool = False,
        dataset: str | None = None,
        seeds: int | None = None,
    ):
        self.path, self.name, self.quick = path, path.stem, quick
        self.claim = read_claim(path)
        form: Claim | Quick | None = self.claim.quick if quick else self.claim
        if form is None:
            raise InputError(f"{path}: quick: missing; leave out --quick, or add the table [quick]")
        self.seeds = seeds or form.seeds
        self.rates = form.rates
        key = "quick." * quick
        base = load(_recipe_path(path, form.recipe, f"{key}recipe"))
        base = changed(base, form.set, f"{path}: {key}set")
        if dataset is not None:
            base = changed(base, {"data.dataset": dataset}, "--data")
        own = form.arms if quick else {}
        self.recipes = dict[str, Recipe]()
        self.tests, self.devices = dict[str, Any](), dict[str, Any]()
        for arm, changes in self.claim.arms.items():
            changes = {**changes, **own.get(arm, {})}
            given = {key: changes.pop(key) for key in OfArm.model_fields if key in changes}
            found = valid(OfArm, given, path, f"arms.{arm}.").model_dump(exclude_none=True)
            self.tests[arm], self.devices[arm] = found.get("test"), found.get("device")
            self.recipes[arm] = self._recipe(base, arm, changes)
        for arm in self.recipes:
            self._check(arm)
        for one, other in combinations(self.recipes, 2):
            if all(x[one] == x[other] for x in (self.recipes, self.tests, self.devices)):
                raise InputError(
                    f"{path}: arms.{other}: identical to arm {one!r}; change a key of one of them"
                )

    def measures(self, arm: str) -> list[str]:
        """Return an arm's measures: the claim's default, and those of comparisons with this arm."""
        rows = [row for row in self.claim.expect if arm in row.arms]
        return sorted({self.claim.measure, *map(self.claim.measure_of, rows)})

    def start(self, arm: str) -> str | None:
        """Return the arm whose trained weights initialise an arm, or None."""
        initial = self.recipes[arm].initial
        weights = initial if isinstance(initial, str) else initial.weights
        return weights.removeprefix(OF_ARM) if weights.startswith(OF_ARM) else None

    def recipe(self, arm: str, seed: int, factor: float) -> Recipe:
        """Return the recipe of one run of an arm.

        Args:
            arm: Name of the arm.
            seed: Number that is added to the recipe's seed.
            factor: Factor of the recipe's learning rate.
        """
        recipe = self.recipes[arm]
        rate = scaled(value_of(recipe, RATE), factor, str(self.path))
        return changed(recipe, {"seed": recipe.seed + seed, RATE: rate}, str(self.path))

    def _recipe(self, base: Recipe, arm: str, changes: Changes) -> Recipe:
        label = f"{self.path}: arms.{arm}"
        recipe = changed(base, dict.fromkeys(UNTRAINED) | {"departs": []} | changes, label)
        try:
            check_build(recipe.net, **recipe.build.model_dump(exclude_none=True))
        except InputError as error:
            raise InputError(f"{label}: {error}") from error
        return recipe

    def _check(self, arm: str) -> None:
        """Raise InputError if an arm's recipe does not fit its measures, test protocol or start."""
        recipe, label = self.recipes[arm], f"{self.path}: arms.{arm}"
        for measure in (*self.measures(arm), self.claim.chosen_by):
            key, _, value = MEASURES[measure].needs.partition(" ")
            found = value_of(recipe, key)
            if key and (found is None or (value and value not in found)):
                expected = f"{value!r} in the key {key}" if value else f"a split in the key {key}"
                raise InputError(f"{label}: the measure {measure} needs {expected}")
        if test := self.tests[arm]:
            try:
                sides_of(test["protocol"], 1, 1, test.get("scales"))
            except InputError as error:
                raise InputError(f"{label}.test: {error}") from error
        self.recipe(arm, 0, 1.0)  # raises InputError if its learning rate cannot be scaled
        if (start := self.start(arm)) is None:
            return
        if start not in self.recipes:
            hint = nearest(start, self.recipes)
            raise InputError(f"{label}: initial.weights: arm {start!r} is unknown; {hint}")
        if self.start(start) is not None or self.devices[start] != self.devices[arm]:
            raise InputError(
                f"{label}: initial.weights: arm {start!r} starts from another arm, or is trained "
                "on another device; choose an arm that does neither"
            )


def _recipe_path(path: Path, recipe: str, key: str) -> Path:
    """Return the path of a recipe: a file relative to the claim file, or else as in `find`."""
    neighbour = path.parent / recipe
    try:
        return neighbour if neighbour.is_file() else find(recipe)
    except InputError as error:
        raise InputError(f"{path}: {key}: {error}") from error
