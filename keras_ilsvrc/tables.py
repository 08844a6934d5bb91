"""The tables of a recipe: their keys, with type and range. Names in them are resolved later."""

from typing import Annotated, Any, Literal, Union

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

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
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None


class Optimizer(Table):
    """What all optimizers have; `l2` goes through the gradient of the kernels.

    `rates` multiply the rate of weights by their name, `clip_norm` is the global norm that
    gradients are scaled down to, `average` the momentum of the averages of the weights.
    """

    momentum: Annotated[float, Field(ge=0, lt=1)]
    l2: NotNegative
    rates: dict[str, NotNegative] | None = None
    clip_norm: Positive | None = None
    average: Annotated[float, Field(gt=0, lt=1)] | None = None


class SGD(Optimizer):
    """The papers' SGD."""

    name: Literal["sgd"]


class RMSprop(Optimizer):
    """RMSProp of Inception-v3."""

    name: Literal["rmsprop"]
    rho: Annotated[float, Field(ge=0, lt=1)]
    epsilon: Positive


class Schedule(Table):
    """How many steps, and the learning rate of each.

    `warm_up` is [steps, first rate]: up to that step the rate rises from there.
    """

    steps: Count
    warm_up: list[float] | None = None

    @field_validator("warm_up")
    @classmethod
    def pair(cls, pair: list[float] | None) -> list[float] | None:
        if pair is not None and (len(pair) != 2 or pair[0] < 1 or pair[0] % 1 or pair[1] < 0):
            raise ValueError("expected [steps, first rate]")
        return pair


class Steps(Schedule):
    """From which step on which rate."""

    name: Literal["steps"]
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


class Plateau(Schedule):
    """Times `factor` after `patience` epochs without a new least validation error."""

    name: Literal["plateau"]
    learning_rate: Positive
    factor: Annotated[float, Field(gt=0, lt=1)]
    patience: Count
    times: Count

    @field_validator("warm_up")
    @classmethod
    def none(cls, pair: list[float] | None) -> None:
        if pair is not None:
            raise ValueError("a plateau has no warm-up; leave it out")


class Polynomial(Schedule):
    """Down to 0 behind the last step, as (1 - step / steps) ^ power."""

    name: Literal["polynomial"]
    learning_rate: Positive
    power: Positive


class Exponential(Schedule):
    """Times `factor` every so many steps."""

    name: Literal["exponential"]
    learning_rate: Positive
    factor: Annotated[float, Field(gt=0, lt=1)]
    every: Count


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
    """A whole run.

    `precision` is Keras' dtype policy, float32 where it is not given; with `accumulate`, each
    replica computes the images of a step in so many pieces.
    """

    net: str
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    initial: str
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] | None = None
    accumulate: Count | None = None
    baseline: Literal["svm"] | None = None
    build: Build
    data: Data
    batch_norm: BatchNorm
    loss: Loss
    optimizer: Annotated[SGD | RMSprop, Field(discriminator="name")]
    schedule: Annotated[Steps | Plateau | Polynomial | Exponential, Field(discriminator="name")]
    expect: Expect | None = None
    departs: list[Departure] = []

    def toml(self) -> str:
        """The recipe as a file would hold it."""
        return tomli_w.dumps(self.table())

    def table(self) -> dict[str, Any]:
        """The recipe as `tomllib` reads it."""
        return self.model_dump(exclude_none=True)


TABLES: dict[str, type[Table]] = {
    "build": Build,
    "data": Data,
    "batch_norm": BatchNorm,
    "loss": Loss,
    "expect": Expect,
    "departs": Departure,
}
# Tables that a key of theirs chooses among: the key, and what each of its words takes.
CHOICES: dict[str, tuple[str, dict[str, list[str]]]] = {
    "optimizer": ("name", {"sgd": [*SGD.model_fields], "rmsprop": [*RMSprop.model_fields]}),
    "schedule": (
        "name",
        {
            "steps": [*Steps.model_fields],
            "plateau": [*Plateau.model_fields],
            "polynomial": [*Polynomial.model_fields],
            "exponential": [*Exponential.model_fields],
        },
    ),
    **{
        key: ("op", {name: ["op", *keys] for name, keys in OP_KEYS.items()})
        for key in ("train_ops", "eval_ops")
    },
}
