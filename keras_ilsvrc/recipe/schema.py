"""Schema of recipes: keys, types and ranges. `runs` checks the names of nets, splits etc."""

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
    """Arguments of `build`. Extra keys are variations of the network."""

    model_config = ConfigDict(extra="allow")

    classes: Count | None = None
    input_shape: Annotated[list[Count], Field(min_length=3, max_length=3)] | None = None

    @property
    def variations(self) -> dict[str, Any]:
        """Extra keys, each a variation of the network."""
        return dict(self.model_extra or {})


class Data(Table):
    """Images of a run, their preprocessing, and the global batch size.

    If `on_bad` is "skip", up to `bad_limit` files that cannot be decoded are left out of
    training; otherwise the first such file ends training.
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
    """Scope of the batch statistics: all replicas together, or each replica separately."""

    statistics: Literal["synchronized", "replica"]


class Loss(Table):
    """Cross-entropy loss. `weights` gives the loss weight of auxiliary outputs by name."""

    name: Literal["cross_entropy"]
    weights: dict[str, NotNegative] | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None


class Optimizer(Table):
    """Keys that all optimizers share.

    `l2` is the weight decay, which is added to the gradients of kernels. `rates` are factors of
    the learning rate by name of the weight. `clip_norm` is the maximum global norm of the
    gradients, `average` the momentum of the moving averages of the weights, and `filter_rms` the
    maximum root mean square of a convolution's filter.
    """

    momentum: Annotated[float, Field(ge=0, lt=1)]
    l2: NotNegative
    rates: dict[str, NotNegative] | None = None
    clip_norm: Positive | None = None
    average: Annotated[float, Field(gt=0, lt=1)] | None = None
    filter_rms: Positive | None = None


class SGDTable(Optimizer):
    """SGD settings, with momentum and weight decay as in the papers."""

    name: Literal["sgd"]


class RMSpropTable(Optimizer):
    """RMSProp settings, as in Inception-v3."""

    name: Literal["rmsprop"]
    rho: Annotated[float, Field(ge=0, lt=1)]
    epsilon: Positive


class Schedule(Table):
    """Number of training steps, and the learning rate of each step.

    `warm_up` is [steps, first rate]: the rate rises linearly over that many steps, from the
    first rate to the rate of the schedule.
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
    """Piecewise constant schedule. Each row of `learning_rate` is [first step, rate]."""

    name: Literal["steps"]
    learning_rate: Annotated[list[list[float]], Field(min_length=1)]

    @field_validator("learning_rate")
    @classmethod
    def rows(cls, rows: list[list[float]]) -> list[list[float]]:
        if any(len(row) != 2 for row in rows):
            raise ValueError("expected rows of [first step, rate]")
        starts = [row[0] for row in rows]
        if starts[0] != 0 or starts != sorted(set(starts)) or any(start % 1 for start in starts):
            raise ValueError(f"steps are {starts}; expected increasing whole numbers from 0 on")
        if any(rate <= 0 for _, rate in rows):
            raise ValueError(f"rates are {[rate for _, rate in rows]}; expected numbers above 0")
        return rows


class PlateauTable(Schedule):
    """Schedule that multiplies the rate by `factor` when the validation error stops falling.

    This happens after `patience` epochs without a new minimum, at most `times` times.
    """

    name: Literal["plateau"]
    learning_rate: Positive
    factor: Annotated[float, Field(gt=0, lt=1)]
    patience: Count
    times: Count

    @field_validator("warm_up")
    @classmethod
    def none(cls, pair: list[float] | None) -> None:
        if pair is not None:
            raise ValueError("the plateau schedule has no warm-up; remove this key")


class PolynomialTable(Schedule):
    """Schedule learning_rate * (1 - step / steps) ^ power, which is 0 after the last step."""

    name: Literal["polynomial"]
    learning_rate: Positive
    power: Positive


class ExponentialTable(Schedule):
    """Schedule that multiplies the rate by `factor` after every `every` steps."""

    name: Literal["exponential"]
    learning_rate: Positive
    factor: Annotated[float, Field(gt=0, lt=1)]
    every: Count


class Expect(Table):
    """Test errors that the run should reach, and the protocol that measures them.

    `scales` are the lengths to which a multi-scale protocol resizes the shorter side of an image.
    `measured` describes the runs that measured the errors; without it, they are the paper's.
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
    """Initial weights, some of them from another run.

    The listed `layers` are copied from the run directory `weights`. `rest` sets all other layers.
    """

    weights: str
    layers: Annotated[list[str], Field(min_length=1)]
    rest: str


class Departure(Table):
    """Departure from the paper, and the reason for it."""

    what: str
    why: str


class Recipe(Table):
    """Complete recipe of a run.

    `precision` is Keras' dtype policy, by default float32. `accumulate` is the number of pieces
    into which each replica splits its images of a step. `keep_epochs` lists the epochs after which
    weights are kept in the run directory. If `report` is true, the run ends with an HTML report.
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
        """Return the recipe as TOML text."""
        return tomli_w.dumps(self.table())

    def table(self) -> dict[str, Any]:
        """Return the recipe as the dict that `tomllib` would read from its TOML text."""
        return self.model_dump(exclude_none=True)


TABLES: dict[str, type[Table]] = {
    "build": Build,
    "data": Data,
    "batch_norm": BatchNorm,
    "loss": Loss,
    "expect": Expect,
    "departs": Departure,
}
# Tables with variants: {table: (the key that selects the variant, {variant: its keys})}.
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
