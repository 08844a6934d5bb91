"""Schema of recipes: keys, types and ranges. Names of networks and splits are checked in `runs`."""

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
    """Arguments of `nets.build.build`. Extra keys are options that vary the published network."""

    model_config = ConfigDict(extra="allow")

    classes: Count | None = None
    input_shape: Annotated[list[Count], Field(min_length=3, max_length=3)] | None = None

    @property
    def variations(self) -> dict[str, Any]:
        """Extra keys: options that make the network differ from the published one."""
        return dict(self.model_extra or {})


class Split(Table):
    """Shares of each class's images that become splits, if a folder or a CSV has none of its own.

    `seed` chooses the images.
    """

    validation: Annotated[float, Field(ge=0, le=0.9)]
    test: Annotated[float, Field(ge=0, le=0.9)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]

    @model_validator(mode="after")
    def leaving_some(self) -> "Split":
        if self.validation + self.test >= 1:
            raise ValueError("validation and test are 1 or more together, so none is left to train")
        return self


class Data(Table):
    """Dataset and splits of a run, the preprocessing ops, and the global batch size.

    If `on_bad` is "skip", up to `bad_limit` files that cannot be decoded are left out of
    training. Otherwise training stops with an error at the first of them.
    """

    dataset: str
    train: str
    validation: str | None = None
    test: str
    split: Split | None = None
    batch_size: Count
    train_ops: Ops
    eval_ops: Ops
    on_bad: Literal["error", "skip"] | None = None
    bad_limit: Count | None = None

    @model_validator(mode="after")
    def limited(self) -> "Data":
        if (self.on_bad == "skip") != (self.bad_limit is not None):
            raise ValueError("on_bad = 'skip' and bad_limit need each other; set both, or neither")
        return self


class BatchNorm(Table):
    """Batch normalization setting: statistics over all replicas together, or per replica."""

    statistics: Literal["synchronized", "replica"]


class Loss(Table):
    """Cross-entropy loss settings. `weights` is {name of an auxiliary output: loss weight}."""

    name: Literal["cross_entropy"]
    weights: dict[str, NotNegative] | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None


class Optimizer(Table):
    """Settings that all optimizers share.

    `l2` is the coefficient of the weight decay, which is added to the gradients of kernels.
    `rates` multiplies the learning rate of weights by name, e.g. {"bias": 2.0}. `clip_norm` is the
    maximum global norm of the gradients, `average` the momentum of the moving averages of the
    weights, and `filter_rms` the maximum root mean square of a convolution's filter.
    """

    momentum: Annotated[float, Field(ge=0, lt=1)]
    l2: NotNegative
    rates: dict[str, NotNegative] | None = None
    clip_norm: Positive | None = None
    average: Annotated[float, Field(gt=0, lt=1)] | None = None
    filter_rms: Positive | None = None


class SGDTable(Optimizer):
    """SGD settings. Momentum and weight decay are applied as in Krizhevsky et al. 2012."""

    name: Literal["sgd"]


class RMSpropTable(Optimizer):
    """RMSProp settings. The update rule is that of Inception-v3 (Szegedy et al. 2016)."""

    name: Literal["rmsprop"]
    rho: Annotated[float, Field(ge=0, lt=1)]
    epsilon: Positive


class Schedule(Table):
    """Base class of learning rate schedules: the number of training steps, and the warm-up.

    `warm_up` is [steps, first rate]. Over these steps, the rate rises linearly from the first rate
    to the rate of the schedule.
    """

    steps: Count
    warm_up: list[float] | None = None

    @field_validator("warm_up")
    @classmethod
    def pair(cls, pair: list[float] | None) -> list[float] | None:
        if pair is not None and (len(pair) != 2 or pair[0] < 1 or pair[0] % 1 or pair[1] < 0):
            raise ValueError("expected [steps, first rate], e.g. [400, 0.01]")
        return pair


class StepsTable(Schedule):
    """Piecewise constant learning rate. Each row of `learning_rate` is [first step, rate]."""

    name: Literal["steps"]
    learning_rate: Annotated[list[list[float]], Field(min_length=1)]

    @field_validator("learning_rate")
    @classmethod
    def rows(cls, rows: list[list[float]]) -> list[list[float]]:
        if any(len(row) != 2 for row in rows):
            raise ValueError("expected rows of [first step, rate], e.g. [[0, 0.1], [1000, 0.01]]")
        starts = [row[0] for row in rows]
        if starts[0] != 0 or starts != sorted(set(starts)) or any(start % 1 for start in starts):
            raise ValueError(f"first steps are {starts}; expected increasing whole numbers from 0")
        if any(rate <= 0 for _, rate in rows):
            raise ValueError(f"rates are {[rate for _, rate in rows]}; expected numbers above 0")
        return rows


class PlateauTable(Schedule):
    """Schedule that multiplies the rate by `factor` when the validation error stops falling.

    The rate is lowered after `patience` epochs without a new minimum, at most `times` times.
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
    """Polynomial schedule: the rate is learning_rate * (1 - step / steps) ^ power."""

    name: Literal["polynomial"]
    learning_rate: Positive
    power: Positive


class ExponentialTable(Schedule):
    """Exponential schedule: the rate is multiplied by `factor` once every `every` steps."""

    name: Literal["exponential"]
    learning_rate: Positive
    factor: Annotated[float, Field(gt=0, lt=1)]
    every: Count


class Expect(Table):
    """Expected test errors of a run, in %, and the test protocol used to measure them.

    `scales` are the lengths to which a multi-scale protocol resizes the shorter side of an image.
    `measured` describes our runs in which the errors were measured. If it is None, the errors are
    those that the paper published.
    """

    protocol: Protocol
    scales: Annotated[list[Count], Field(min_length=1)] | None = None
    top1_error: Percent | None = None
    top5_error: Percent | None = None
    measured: str | None = None

    @model_validator(mode="after")
    def some(self) -> "Expect":
        if self.top1_error is None and self.top5_error is None:
            raise ValueError("no error is set; expected top1_error, top5_error or both")
        return self


class Initial(Table):
    """Initial weights of a run, some of them copied from another run.

    The layers named in `layers` are copied from the run directory `weights`. `rest` is the rule,
    run or file that sets all other layers.
    """

    weights: str
    layers: Annotated[list[str], Field(min_length=1)]
    rest: str


class Departure(Table):
    """Departure of a recipe from the paper, and the reason for it."""

    what: str
    why: str


class Recipe(Table):
    """Complete settings of a training run, as read from a recipe file.

    `precision` is Keras' dtype policy, by default float32. `accumulate` is the number of pieces
    into which each replica splits its part of a batch. `keep_epochs` lists the epochs after which
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
        """Return the recipe as a dict, as `tomllib` would read it from `toml()`."""
        return self.model_dump(exclude_none=True)


TABLES: dict[str, type[Table]] = {
    "build": Build,
    "data": Data,
    "split": Split,
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
