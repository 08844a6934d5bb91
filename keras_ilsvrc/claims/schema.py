"""Schema of claim files, and the recipes of their arms. Needs no Keras."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from keras_ilsvrc.claims.measures import MEASURES
from keras_ilsvrc.errors import InputError, nearest
from keras_ilsvrc.files import SMALL, read
from keras_ilsvrc.nets.build import check_build
from keras_ilsvrc.recipe import Recipe, changed, find, load, parse, published, scaled, value_of
from keras_ilsvrc.recipe.ops import Count, Positive, Table

CLAIMS = "claims"  # folder of recipes that contains the claims of this package
RATE = "schedule.learning_rate"
OF_ARM = "arm:"  # `initial.weights` = "arm:NAME" starts from the run of another arm
Changes = dict[str, Any]
# Keys of a recipe that do not change what is trained. Runs that differ only in them are shared.
UNTRAINED = ("expect", "report", "baseline", "departs", "keep_epochs")


class Row(Table):
    """One comparison that a claim expects: of two arms, or of one arm with a number.

    Either `higher` and `lower` name two arms; or `alike` names two arms whose means differ by less
    than `within`; or `arm` names one, whose mean is `above` or `below` a number.
    """

    higher: str | None = None
    lower: str | None = None
    alike: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None
    within: Positive | None = None
    arm: str | None = None
    above: float | None = None
    below: float | None = None
    measure: str | None = None
    published: str = ""

    @model_validator(mode="after")
    def one_form(self) -> "Row":
        forms = {
            frozenset(("higher", "lower")),
            frozenset(("alike", "within")),
            frozenset(("arm", "above")),
            frozenset(("arm", "below")),
        }
        if (given := self.model_fields_set - {"measure", "published"}) not in forms:
            raise ValueError(
                f"has the keys {', '.join(sorted(given)) or 'of no comparison'}; expected higher "
                "and lower, or alike and within, or arm and one of above and below"
            )
        return self

    @property
    def arms(self) -> list[str]:
        """Names of the arms that are compared; first the one that should have the higher value."""
        return [x for x in (self.higher, self.lower, self.arm, *(self.alike or ())) if x]


class Quick(Table):
    """What `--quick` trains instead: a recipe on small images, with changes of its own."""

    recipe: str
    set: Annotated[Changes, Field(default_factory=dict)]
    arms: Annotated[dict[str, Changes], Field(default_factory=dict)]
    seeds: Count = 3
    rates: Annotated[list[Positive], Field(min_length=1), Field(default_factory=lambda: [1.0])]


class Claim(Table):
    """Content of a claim file.

    An arm is a table of changes to the recipe by dotted key. Two of its keys are no changes: `test`
    is the protocol, and perhaps the scales, with which the arm is tested, and `device` is "cpu" or
    "gpu" if the arm is trained only there.
    `rates` are the factors of the recipe's learning rate that each arm tries; the best one for the
    arm is that with the lowest value of `chosen_by`. `reduced` says what is smaller than in the
    paper. `reason` explains, where it is known, why a small data set does not show the claim.
    """

    title: str
    says: str
    source: str
    recipe: str
    measure: str
    at: float | None = None
    chosen_by: str = "validation_error"
    seeds: Annotated[int, Field(ge=1, le=100)] = 3
    rates: Annotated[
        list[Positive], Field(min_length=1), Field(default_factory=lambda: [0.3, 1.0, 3.0])
    ]
    minutes: Positive
    reduced: str = ""
    reason: str = ""
    set: Annotated[Changes, Field(default_factory=dict)]
    arms: Annotated[dict[str, Changes], Field(min_length=1)]
    quick: Quick
    expect: Annotated[list[Row], Field(min_length=1)]

    @model_validator(mode="after")
    def known(self) -> "Claim":
        for measure in (self.measure, self.chosen_by, *(row.measure for row in self.expect)):
            if measure is not None and measure not in MEASURES:
                raise ValueError(f"measure {measure!r} is unknown; {nearest(measure, MEASURES)}")
        for name in (*(x for row in self.expect for x in row.arms), *self.quick.arms):
            if name not in self.arms:
                raise ValueError(f"arm {name!r} is unknown; {nearest(name, self.arms)}")
        return self

    def measure_of(self, row: Row) -> str:
        """Return the measure that a comparison uses."""
        return row.measure or self.measure


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
        form = self.claim.quick if quick else self.claim
        self.seeds = seeds or form.seeds
        self.rates = form.rates
        base = load(_beside(path, form.recipe))
        base = changed(base, form.set, f"{path}: set")
        if dataset is not None:
            base = changed(base, {"data.dataset": dataset}, "--data")
        own = self.claim.quick.arms if quick else {}
        self.recipes = dict[str, Recipe]()
        self.tests, self.devices = dict[str, Any](), dict[str, Any]()
        for arm, changes in self.claim.arms.items():
            changes = {**changes, **own.get(arm, {})}
            self.tests[arm] = changes.pop("test", None)
            self.devices[arm] = changes.pop("device", None)
            self.recipes[arm] = self._recipe(base, arm, changes)

    def recipe(self, arm: str, seed: int, factor: float) -> Recipe:
        """Return the recipe of an arm's run with a seed, and its learning rate times a factor."""
        recipe = self.recipes[arm]
        rate = scaled(value_of(recipe, RATE), factor, str(self.path))
        return changed(recipe, {"seed": recipe.seed + seed, RATE: rate}, str(self.path))

    def _recipe(self, base: Recipe, arm: str, changes: Changes) -> Recipe:
        label = f"{self.path}: arms.{arm}"
        recipe = changed(base, dict.fromkeys(UNTRAINED[:-1]) | {"departs": []} | changes, label)
        try:
            check_build(recipe.net, **recipe.build.model_dump(exclude_none=True))
        except InputError as error:
            raise InputError(f"{label}: {error}") from error
        return recipe


def claims() -> dict[str, Path]:
    """Return the claim files of this package by name, in the order of their numbers."""
    folder = next(iter(published().values())).parent / CLAIMS
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_claim(name: str) -> Path:
    """Return the path of a claim: a file, the name of a claim in this package, or its number.

    Raises:
        InputError: If there is no such claim; the message suggests similar names.
    """
    if Path(name).is_file():
        return Path(name)
    known = claims()
    numbers = {stem.partition("_")[0].lower(): path for stem, path in known.items()}
    if name in known or name.lower() in numbers:
        return known.get(name) or numbers[name.lower()]
    hint = nearest(name, known)
    raise InputError(
        f"{name[:200]}: no such file, and no such claim in the package; {hint} "
        "`keras-ilsvrc claim` lists all"
    )


def read_claim(path: Path) -> Claim:
    """Read a claim file and check its schema.

    Raises:
        InputError: If the file is not TOML, or a key is unknown, missing or of the wrong type.
    """
    try:
        return Claim.model_validate(parse(read(path, SMALL).decode("utf-8-sig")))
    except ValidationError as error:
        raise InputError(*(_fault(path, each) for each in error.errors())) from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a TOML file: {error}") from error


def _fault(path: Path, error: Mapping[str, Any]) -> str:
    """Return one error of pydantic as a line."""
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        hint = nearest(str(error["loc"][-1]), Claim.model_fields)
        return f"{path}: {key}: unknown key; {hint}".rstrip("; ")
    if error["type"] == "missing":
        return f"{path}: {key}: missing"
    reason = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if error["type"] == "value_error":
        return f"{path}: {key}: {reason}".replace(": :", ":")
    return f"{path}: {key} is {error['input']!r:.60}; it {reason}"


def _beside(path: Path, recipe: str) -> Path:
    """Return the path of a recipe: relative to the claim file, or by its name in the package."""
    beside = path.parent / recipe
    return beside if beside.is_file() else find(recipe)
