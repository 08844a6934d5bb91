"""Recipes: one TOML file a run, typed. Shapes and types only; names in it are resolved by `run`."""

import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator

from keras_ilsvrc.errors import InputError, nearest

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[int, Field(gt=0)]


class Table(BaseModel):
    """A table of a recipe: no key but the known ones, no value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


# Every op of `data.ops`, with the keys it takes from a recipe.
OP_KEYS: dict[str, dict[str, Any]] = {
    "resize": {"size": Count},
    "pad": {"size": Count},
    "random_crop": {"size": Count},
    "centre_crop": {"size": Count},
    "flip": {},
    "normalise": {"mean": list[float], "std": list[Positive]},
    "standardise": {},
    "subtract_pixel_mean": {},
}


def _op(name: str, keys: dict[str, Any]) -> type[Table]:
    fields: dict[str, Any] = {key: (kind, ...) for key, kind in keys.items()}
    fields["op"] = (Literal[name], ...)
    return create_model(name, __base__=Table, **fields)


OPS = tuple(_op(name, keys) for name, keys in OP_KEYS.items())
Ops = list[Annotated[Union[OPS], Field(discriminator="op")]]  # type: ignore[valid-type]  # noqa: UP007


class Build(Table):
    """What `build` is called with; any further key is a variation of the net."""

    model_config = ConfigDict(extra="allow")

    classes: Count | None = None
    input_shape: Annotated[list[Count], Field(min_length=3, max_length=3)] | None = None

    @property
    def variations(self) -> dict[str, Any]:
        """The keys that the net has to know."""
        return dict(self.model_extra or {})


class Data(Table):
    """Which images, and what is done to them. `batch_size` is over all replicas."""

    dataset: str
    train: str
    validation: str | None = None
    test: str
    batch_size: Count
    train_ops: Ops
    eval_ops: Ops


class BatchNorm(Table):
    """Over the images of all replicas, or of each alone and then averaged."""

    statistics: Literal["synchronized", "replica"]


class Loss(Table):
    """Cross-entropy; `weights` are those of auxiliary outputs, by name."""

    name: Literal["cross_entropy"]
    weights: dict[str, NotNegative] | None = None


class Optimizer(Table):
    """The papers' SGD; `l2` goes through the gradient of the kernels."""

    name: Literal["sgd"]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    l2: NotNegative


class Schedule(Table):
    """How many steps, and from which step on which learning rate."""

    name: Literal["steps"]
    steps: Count
    learning_rate: Annotated[list[list[float]], Field(min_length=1)]

    @field_validator("learning_rate")
    @classmethod
    def rows(cls, rows: list[list[float]]) -> list[list[float]]:
        if any(len(row) != 2 for row in rows):
            raise ValueError("expected rows of [first step, rate]")
        starts = [row[0] for row in rows]
        if starts[0] != 0 or starts != sorted(set(starts)) or any(start % 1 for start in starts):
            raise ValueError(f"steps are {starts}; expected whole numbers that rise from 0")
        if any(rate <= 0 for _, rate in rows):
            raise ValueError(f"rates are {[rate for _, rate in rows]}; expected them above 0")
        return rows


class Expect(Table):
    """What the run should reach, by which protocol; for proxies, where it was measured."""

    protocol: Literal["single_view"]
    top1_error: Percent
    top5_error: Percent | None = None
    measured: str | None = None


class Departure(Table):
    """What differs from the paper, and why."""

    what: str
    why: str


class Recipe(Table):
    """A whole run."""

    net: str
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    initial: str
    baseline: Literal["svm"] | None = None
    build: Build
    data: Data
    batch_norm: BatchNorm
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    expect: Expect | None = None
    departs: list[Departure] = []

    def toml(self) -> str:
        """The recipe as a file would hold it."""
        return tomli_w.dumps(self.table())

    def table(self) -> dict[str, Any]:
        """The recipe as `tomllib` reads it."""
        return self.model_dump(exclude_none=True)


def find(name: str) -> Path:
    """The file of a recipe: a path, or the name of one that came with the package.

    Raises:
        InputError: If there is none; the nearest names are suggested.
    """
    if Path(name).is_file():
        return Path(name)
    homes = [Path(__file__).parent.parent / "recipes"]
    with suppress(ModuleNotFoundError):  # a checkout that is not installed
        homes.insert(0, Path(str(resources.files("keras_ilsvrc.recipes"))))
    for home in homes:
        if (home / f"{name}.toml").is_file():
            return home / f"{name}.toml"
    known = sorted({file.stem for home in homes for file in home.glob("*.toml")})
    raise InputError(
        f"{name}: no such recipe file, nor a recipe of the package; {nearest(name, known)}"
    )


def load(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Reads and checks a recipe.

    Args:
        path: A TOML file.
        overrides: As `"schedule.steps=100"`: a dotted key and a TOML value, or a bare word.

    Raises:
        InputError: If the file is no TOML (the line is named), or a key is unknown (its path and
            the nearest one), missing, of the wrong type or out of range.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    for override in overrides:
        _set(table, override)
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        errors.sort(key=lambda each: each["type"] != "extra_forbidden")  # a typo explains the rest
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise InputError(f"{path}: {_explain(errors[0])}{more}") from error


def _set(table: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {override}: expected key=value, as in schedule.steps=100")
    *parents, last = key.strip().split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise InputError(f"--set {override}: {parent} is a value, not a table")
    try:
        table[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        table[last] = text


def _explain(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors: the key's path, what was found, what was expected."""
    steps = list(error["loc"])
    known: Iterable[str] = Recipe.model_fields
    for place, step in enumerate(steps[:-1]):
        if isinstance(step, str) and step in OP_KEYS and isinstance(steps[place - 1], int):
            known = ["op", *OP_KEYS[step]]
        elif isinstance(step, str) and step in TABLES:
            known = TABLES[step].model_fields
    # pydantic names the op between its number and its key; a reader looks for the key alone
    shown = [
        str(step)
        for place, step in enumerate(steps)
        if not (step in OP_KEYS and place and isinstance(steps[place - 1], int))
    ]
    path = ".".join(shown)
    found = error["input"]
    if error["type"] == "extra_forbidden":
        return f"unknown key {path}; {nearest(str(steps[-1]), known)}".rstrip("; ")
    if error["type"] == "missing":
        return f"{path} is missing"
    if error["type"] == "union_tag_invalid":
        return f"{path}: no op is called {found['op']!r}; {nearest(str(found['op']), OP_KEYS)}"
    if error["type"] == "union_tag_not_found":
        return f"{path}: expected a table with a key op, found {found!r}"
    reason = error["msg"].removeprefix("Value error, ")
    shown_value = f"{found!r:.60}"
    return f"{path} is {shown_value}: {reason[0].lower()}{reason[1:]}"


TABLES: dict[str, type[Table]] = {
    "build": Build,
    "data": Data,
    "batch_norm": BatchNorm,
    "loss": Loss,
    "optimizer": Optimizer,
    "schedule": Schedule,
    "expect": Expect,
    "departs": Departure,
}
