"""The tables of a recipe: their keys, with type and range. Names in them are resolved later."""

from typing import Annotated, Any, Literal

import tomli_w
from pydantic import ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from keras_ilsvrc.recipe.ops import OP_KEYS, Count, NotNegative, Ops, Percent, Positive, Table

Protocol = Literal[
    "single_view",
    "ten_crop",
    "dense",
    "multi_scale",
    "dense_multi_scale",
    "multi_crop_150",
    "crops_144",
    "dense_and_crops",
]


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
    """Which images, and what is done to them. `batch_size` is over all replicas.

    Where `on_bad` is "skip", up to `bad_limit` files that cannot be decoded are left out of
    training; elsewhere the first one ends it.
    """

    dataset: str
    train: str
    validation: str | None = None
    test: str
    batch_size: Count
    train_ops: Ops
    eval_ops: Ops
    on_bad: Literal["error", "skip"] | None = None
    bad_limit: Count | None = None

    @model_validator(mode="after")
    def limited(self) -> "Data":
        if (self.on_bad == "skip") != (self.bad_limit is not None):
            raise ValueError("on_bad = 'skip' and bad_limit go together; give both, or neither")
        return self


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
    gradients are scaled down to, `average` the momentum of the averages of the weights,
    `filter_rms` what the root of the mean square of a convolution's filter is held below.
    """

    momentum: Annotated[float, Field(ge=0, lt=1)]
    l2: NotNegative
    rates: dict[str, NotNegative] | None = None
    clip_norm: Positive | None = None
    average: Annotated[float, Field(gt=0, lt=1)] | None = None
    filter_rms: Positive | None = None


class SGDTable(Optimizer):
    """The papers' SGD."""

    name: Literal["sgd"]


class RMSpropTable(Optimizer):
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


class StepsTable(Schedule):
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


class PlateauTable(Schedule):
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


class PolynomialTable(Schedule):
    """Down to 0 behind the last step, as (1 - step / steps) ^ power."""

    name: Literal["polynomial"]
    learning_rate: Positive
    power: Positive


class ExponentialTable(Schedule):
    """Times `factor` every so many steps."""

    name: Literal["exponential"]
    learning_rate: Positive
    factor: Annotated[float, Field(gt=0, lt=1)]
    every: Count


class Expect(Table):
    """What the run should reach, by which protocol; for proxies, where it was measured.

    `scales` are the shorter sides to which a protocol of several scales resizes the images.
    """

    protocol: Protocol
    scales: Annotated[list[Count], Field(min_length=1)] | None = None
    top1_error: Percent | None = None
    top5_error: Percent | None = None
    measured: str | None = None

    @model_validator(mode="after")
    def some(self) -> "Expect":
        if self.top1_error is None and self.top5_error is None:
            raise ValueError("expected top1_error, top5_error or both")
        return self


class Initial(Table):
    """The weights of a run's net in the named layers; the others start as `rest` says."""

    weights: str
    layers: Annotated[list[str], Field(min_length=1)]
    rest: str


class Departure(Table):
    """What differs from the paper, and why."""

    what: str
    why: str


class Recipe(Table):
    """A whole run.

    `precision` is Keras' dtype policy, float32 where it is not given; with `accumulate`, each
    replica computes the images of a step in so many pieces. The weights behind `keep_epochs` are
    kept in the run's directory, and a run whose recipe says `report` ends with its page.
    """

    net: str
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    initial: Annotated[
        Annotated[str, Tag("word")] | Annotated[Initial, Tag("table")],
        Discriminator(lambda found: "table" if isinstance(found, dict | Initial) else "word"),
    ]
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] | None = None
    accumulate: Count | None = None
    baseline: Literal["svm"] | None = None
    keep_epochs: Annotated[list[Count], Field(min_length=1)] | None = None
    report: bool | None = None
    build: Build
    data: Data
    batch_norm: BatchNorm
    loss: Loss
    optimizer: Annotated[SGDTable | RMSpropTable, Field(discriminator="name")]
    schedule: Annotated[
        StepsTable | PlateauTable | PolynomialTable | ExponentialTable, Field(discriminator="name")
    ]
    expect: Expect | None = None
    departs: Annotated[list[Departure], Field(default_factory=list)]

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
    "optimizer": (
        "name",
        {"sgd": [*SGDTable.model_fields], "rmsprop": [*RMSpropTable.model_fields]},
    ),
    "schedule": (
        "name",
        {
            "steps": [*StepsTable.model_fields],
            "plateau": [*PlateauTable.model_fields],
            "polynomial": [*PolynomialTable.model_fields],
            "exponential": [*ExponentialTable.model_fields],
        },
    ),
    "initial": ("weights", {"word": [], "table": [*Initial.model_fields]}),
    **{
        key: ("op", {name: ["op", *keys] for name, keys in OP_KEYS.items()})
        for key in ("train_ops", "eval_ops")
    },
}
