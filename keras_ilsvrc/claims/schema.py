"""Schema of claim files. Does not import Keras."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from keras_ilsvrc.claims.measures import LEVEL, MEASURES
from keras_ilsvrc.recipe import published
from keras_ilsvrc.recipe.ops import Count, Positive, Table
from keras_ilsvrc.recipe.schema import Protocol
from keras_ilsvrc.recipe.tables import find_file, read_table
from keras_ilsvrc.utils.errors import nearest

CLAIMS = "claims"  # subfolder of the recipes with the claims of this package
Changes = dict[str, Any]


class Row(Table):
    """Comparison of two arms, or of one arm with a number, and its expected result.

    There are three forms: `higher` and `lower` are the names of two arms; `alike` has the names of
    two arms whose means differ by less than `within`; `arm` is the name of an arm whose mean is
    `above` or `below` a number.
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
            found = f"has the keys {', '.join(sorted(given))}" if given else "names no arm"
            raise ValueError(
                f"{found}; expected the keys higher and lower, or alike and within, or arm and one "
                "of above and below"
            )
        if len(set(self.arms)) < len(self.arms):
            raise ValueError(f"compares {self.arms[0]!r} with itself; expected two different arms")
        return self

    @property
    def arms(self) -> list[str]:
        """Names of the compared arms, first the one that should have the higher value."""
        return [x for x in (self.higher, self.lower, self.arm, *(self.alike or ())) if x]


def _different(rates: list[float]) -> list[float]:
    if len(set(rates)) < len(rates):
        raise ValueError(f"contains a factor twice: {rates}")
    return rates


Rates = Annotated[list[Positive], Field(min_length=1), AfterValidator(_different)]


class Tested(Table):
    """Test protocol of an arm, and its scales if it needs them."""

    protocol: Protocol
    scales: Annotated[list[Count], Field(min_length=1)] | None = None


class OfArm(Table):
    """Keys of an arm that do not change its recipe."""

    test: Tested | None = None
    device: Literal["cpu", "gpu"] | None = None


class Quick(Table):
    """Quick form of a claim: a recipe with small images, its changes, seeds and rates."""

    recipe: str
    set: Annotated[Changes, Field(default_factory=dict)]
    arms: Annotated[dict[str, Changes], Field(default_factory=dict)]
    seeds: Count = 3
    rates: Annotated[Rates, Field(default_factory=lambda: [1.0])]


class Claim(Table):
    """Content of a claim file.

    An arm is a table of changes to the recipe, by dotted key. Two of its keys do not change the
    recipe: `test` is the test protocol of the arm, and `device` is the only device on which the arm
    is trained, "cpu" or "gpu".
    `rates` are factors of the recipe's learning rate. Each arm is trained with all of them, and the
    best one has the lowest value of the measure `chosen_by`. `reduced` says what is smaller than in
    the paper. `reason` is a possible reason why the claim is not seen on a small data set.
    """

    title: str
    says: str
    source: str
    recipe: str
    measure: str
    at: float | None = None
    chosen_by: str = "validation_error"
    seeds: Annotated[int, Field(ge=1, le=100)] = 3
    rates: Annotated[Rates, Field(default_factory=lambda: [0.3, 1.0, 3.0])]
    minutes: Positive
    reduced: str = ""
    reason: str = ""
    set: Annotated[Changes, Field(default_factory=dict)]
    arms: Annotated[dict[str, Changes], Field(min_length=1)]
    quick: Quick | None = None
    expect: Annotated[list[Row], Field(min_length=1)]

    @model_validator(mode="after")
    def known(self) -> "Claim":
        measures = (self.measure, self.chosen_by, *map(self.measure_of, self.expect))
        for measure in measures:
            if measure not in MEASURES:
                raise ValueError(f"measure {measure!r} is unknown; {nearest(measure, MEASURES)}")
        if LEVEL in measures and self.at is None:
            raise ValueError(f"at: missing; the measure {LEVEL} needs a training error in %")
        for name in (
            *(x for row in self.expect for x in row.arms),
            *(self.quick.arms if self.quick else ()),
        ):
            if name not in self.arms:
                raise ValueError(f"arm {name!r} is unknown; {nearest(name, self.arms)}")
        return self

    def measure_of(self, row: Row) -> str:
        """Return the name of the measure that a comparison uses."""
        return row.measure or self.measure


def claims() -> dict[str, Path]:
    """Return the claim files of this package by name, in the order of their numbers."""
    return published(CLAIMS)


def find_claim(name: str) -> Path:
    """Return the path of a claim, given its path, its name in this package, or its number.

    Raises:
        InputError: If there is no such claim; the message suggests similar names.
    """
    known = claims()
    if number := re.fullmatch(r"r0*(\d{1,2})", name, re.IGNORECASE):
        start = f"R{int(number[1]):02d}_"
        name = next((stem for stem in known if stem.startswith(start)), name)
    return find_file(name, known, "claim in the package", "`keras-ilsvrc claim` lists all claims")


def read_claim(path: Path) -> Claim:
    """Read a claim file and check its schema.

    Raises:
        InputError: If the file is invalid, as in `read_table`.
    """
    return read_table(Claim, path)
