"""A claim as it is tested: the recipes of its arms, checked before anything is trained.

Importing this module needs no Keras.
"""

from itertools import combinations
from pathlib import Path
from typing import Any

from keras_ilsvrc.claims.measures import MEASURES
from keras_ilsvrc.claims.schema import Changes, Claim, OfArm, Quick, read_claim
from keras_ilsvrc.errors import InputError, nearest
from keras_ilsvrc.evaluation.protocols import sides_of
from keras_ilsvrc.nets.build import check_build
from keras_ilsvrc.recipe import Recipe, changed, find, load, scaled, value_of
from keras_ilsvrc.recipe.tables import valid

RATE = "schedule.learning_rate"
OF_ARM = "arm:"  # `initial.weights` = "arm:NAME" starts from the run of another arm
# Keys of a recipe that do not change what is trained. Runs that differ only in them are shared.
UNTRAINED = ("expect", "report", "baseline", "departs", "keep_epochs")


class Study:
    """A claim as it is tested: the recipe of each arm, the seeds and the rates.

    Args:
        path: Path of the claim file.
        quick: Whether to train the quick form on small images.
        dataset: Data source to use instead of the recipe's.
        seeds: Number of seeds; None for that of the claim.

    Attributes:
        name: Name of the claim, from its file.
        claim: Content of the file.
        recipes: Recipe of each arm, with the first seed and the recipe's rate.
        tests: Test protocol of each arm that has its own, as {"protocol": name, "scales": [...]}.
        devices: "cpu" or "gpu" for each arm that is trained only there.

    Raises:
        InputError: If the file or a recipe is wrong; the message has one line for each fault.
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
            raise InputError(f"{path}: quick: missing; leave out --quick, or add this table")
        self.seeds = seeds or form.seeds
        self.rates = form.rates
        key = "quick." * quick
        base = load(_beside(path, form.recipe, f"{key}recipe"))
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
                raise InputError(f"{path}: arms.{other}: the same as {one}; expected a difference")

    def measures(self, arm: str) -> list[str]:
        """Return the measures of an arm: that of the claim, and those of its comparisons."""
        rows = [row for row in self.claim.expect if arm in row.arms]
        return sorted({self.claim.measure, *map(self.claim.measure_of, rows)})

    def start(self, arm: str) -> str | None:
        """Return the arm from whose weights an arm starts, if any."""
        initial = self.recipes[arm].initial
        weights = initial if isinstance(initial, str) else initial.weights
        return weights.removeprefix(OF_ARM) if weights.startswith(OF_ARM) else None

    def recipe(self, arm: str, seed: int, factor: float) -> Recipe:
        """Return the recipe of an arm's run with a seed, and its learning rate times a factor."""
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
        """Raise InputError if an arm's measures or its start need what its recipe does not have."""
        recipe, label = self.recipes[arm], f"{self.path}: arms.{arm}"
        for measure in (*self.measures(arm), self.claim.chosen_by):
            key, _, value = MEASURES[measure].needs.partition(" ")
            found = value_of(recipe, key)
            if key and (found is None or (value and value not in found)):
                expected = f"a list with {value}" if value else "a split"
                raise InputError(f"{label}: the measure {measure} needs {key}, {expected}")
        if test := self.tests[arm]:
            try:
                sides_of(test["protocol"], 1, 1, test.get("scales"))
            except InputError as error:
                raise InputError(f"{label}.test: {error}") from error
        self.recipe(arm, 0, 1.0)  # its rate can be multiplied
        if (start := self.start(arm)) is None:
            return
        if start not in self.recipes:
            hint = nearest(start, self.recipes)
            raise InputError(f"{label}: initial.weights: arm {start!r} is unknown; {hint}")
        if self.start(start) is not None or self.devices[start] != self.devices[arm]:
            raise InputError(
                f"{label}: initial.weights: {start} starts from another arm, or is trained on "
                "another device; expected an arm that does neither"
            )


def _beside(path: Path, recipe: str, key: str) -> Path:
    """Return the path of a recipe: relative to the claim file, or by its name in the package."""
    beside = path.parent / recipe
    try:
        return beside if beside.is_file() else find(recipe)
    except InputError as error:
        raise InputError(f"{path}: {key}: {error}") from error
