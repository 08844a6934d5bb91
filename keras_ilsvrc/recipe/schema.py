"""Schema of recipes: keys, types and ranges. Names of networks and splits are checked in `runs`."""

from typing import Annotated, Any, Literal, get_args

import tomli_w
from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from keras_ilsvrc.recipe.ops import (
    OP_KEYS,
    Count,
    NotNegative,
    Ops,
    Percent,
    Positive,
    Share,
    Table,
)
from keras_ilsvrc.recipe.training import (
    AdamTable,
    AdamWTable,
    CosineTable,
    EarlyStopping,
    ExponentialTable,
    PlateauTable,
    PolynomialTable,
    RMSpropTable,
    SGDTable,
    StepsTable,
)

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
    """Arguments of `nets.build.build`. Extra keys are variations of the published network."""

    model_config = ConfigDict(extra="allow")

    classes: Count | None = None
    input_shape: Annotated[list[Count], Field(min_length=3, max_length=3)] | None = None

    @property
    def variations(self) -> dict[str, Any]:
        """Extra keys, which are options that make the network differ from the published one."""
        return dict(self.model_extra or {})


class Split(Table):
    """Shares of the images for the validation and test splits that a folder or CSV file lacks.

    The shares apply to each class. `seed` determines which images are chosen.
    """

    validation: Annotated[float, Field(ge=0, le=0.9)]
    test: Annotated[float, Field(ge=0, le=0.9)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]

    @model_validator(mode="after")
    def leaving_some(self) -> "Split":
        if self.validation + self.test >= 1:
            raise ValueError("validation and test add up to 1 or more; leave images for training")
        return self


class Data(Table):
    """Dataset and splits of a run, the preprocessing ops, and the global batch size.

    If `on_bad` is "skip", up to `bad_limit` files that cannot be decoded are left out of
    training. Otherwise training stops with an error at the first of them. `mixup` is the parameter
    alpha of mixup, as in `training.update.Update`.
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
    mixup: Positive | None = None

    @model_validator(mode="after")
    def limited(self) -> "Data":
        if (self.on_bad == "skip") != (self.bad_limit is not None):
            raise ValueError("on_bad = 'skip' and bad_limit need each other; set both, or neither")
        return self


class BatchNorm(Table):
    """Batch normalization setting: statistics over all replicas together, or per replica."""

    statistics: Literal["synchronized", "replica"]


class Loss(Table):
    """Loss settings. `weights` is {name of an auxiliary output: loss weight}.

    `decay` is the rule that reduces the weights of auxiliary outputs from epoch to epoch. If
    `class_weights` is "balanced", all classes have the same total weight in the loss.
    """

    name: Literal["cross_entropy", "squared_error"]
    weights: dict[str, NotNegative] | None = None
    decay: Literal["cnds", "linear"] | None = None
    label_smoothing: Share | None = None
    class_weights: Literal["balanced"] | None = None


class Expect(Table):
    """Test protocol of a run, and the test errors (in %) that are expected with this protocol.

    `scales` are the lengths to which a multi-scale protocol resizes the shorter side of an image.
    `measured` describes the runs of this package that gave the errors. If it is None, the errors
    are those in the paper.
    """

    protocol: Protocol
    scales: Annotated[list[Count], Field(min_length=1)] | None = None
    top1_error: Percent | None = None
    top5_error: Percent | None = None
    measured: str | None = None

    @property
    def errors(self) -> dict[str, float | None]:
        """Expected errors; an empty dict if there are none."""
        found = {"top1_error": self.top1_error, "top5_error": self.top5_error}
        return found if any(x is not None for x in found.values()) else {}


Names = Annotated[list[str], Field(min_length=1)]


class Initial(Table):
    """Initial weights, all or some of which come from another run, a file or a source.

    With `layers`, only these layers are copied from `weights`, which must be a run directory. With
    `skip`, all layers except these are set from `weights`, a run directory, file or source. `rest`
    is the rule, run or file that sets all other layers.
    """

    weights: str
    layers: Names | None = None
    skip: Names | None = None
    rest: str = "he"

    @model_validator(mode="after")
    def one_of_two(self) -> "Initial":
        if (self.layers is None) == (self.skip is None):
            raise ValueError("expected either layers or skip, for example skip = ['head']")
        return self


class First(Table):
    """First stage of training: the recipe keys whose values differ from the main stage.

    A table with the key `name` replaces the table of the recipe. A table without it changes only
    the keys that it contains.
    """

    accumulate: Count | None = None
    early_stopping: dict[str, Any] | None = None
    freeze: str | None = None
    keep: Literal["best", "last"] | None = None
    loss: dict[str, Any] | None = None
    optimizer: dict[str, Any] | None = None
    schedule: dict[str, Any] | None = None


class Departure(Table):
    """Departure of a recipe from the paper, and the reason for it."""

    what: str
    why: str


def _unique(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("expected each name once")
    return names


class Recipe(Table):
    """Complete settings of a training run, as read from a recipe file.

    `precision` is Keras' dtype policy, by default float32. `accumulate` is the number of pieces
    into which each replica splits its part of a batch. `keep_epochs` lists the epochs after which
    weights are kept in the run directory. If `report` is true, the run ends with an HTML report.
    `keep` selects the weights to test and save: the last, or those of the epoch with the lowest
    validation error. `freeze` names a layer; this layer and all layers before it are not trained.
    `watch` lists the quantities to measure in every layer during training. If there is a table
    `first`, a first stage of training sets the initial weights.
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
    watch: (
        Annotated[
            list[Literal["gradients", "responses"]], Field(min_length=1), AfterValidator(_unique)
        ]
        | None
    ) = None
    report: bool | None = None
    keep: Literal["best", "last"] | None = None
    freeze: str | None = None
    build: Build
    data: Data
    batch_norm: BatchNorm
    loss: Loss
    optimizer: Annotated[
        SGDTable | RMSpropTable | AdamTable | AdamWTable, Field(discriminator="name")
    ]
    schedule: Annotated[
        StepsTable | PlateauTable | PolynomialTable | CosineTable | ExponentialTable,
        Field(discriminator="name"),
    ]
    early_stopping: EarlyStopping | None = None
    first: First | None = None
    expect: Expect | None = None
    departs: Annotated[list[Departure], Field(default_factory=list)]

    def toml(self) -> str:
        """Return the recipe as TOML text."""
        return tomli_w.dumps(self.table())

    def table(self) -> dict[str, Any]:
        """Return the recipe as a dict, as `tomllib` would read it from `toml()`."""
        return self.model_dump(exclude_none=True)

    def first_table(self) -> dict[str, Any]:
        """Return the recipe of the first stage as a dict; `first` must not be None."""
        assert self.first is not None
        left_out = {"first", "expect", "baseline", "keep_epochs", "watch", "report"}
        table = {key: value for key, value in self.table().items() if key not in left_out}
        for key, value in self.first.model_dump(exclude_none=True).items():
            part = isinstance(value, dict) and "name" not in value
            table[key] = {**table.get(key, {}), **value} if part else value
        return table


def _keys(*variants: type[Table]) -> dict[str, list[str]]:
    """Return {name: valid keys} for the variants of a table. The key `name` selects a variant."""
    return {get_args(x.model_fields["name"].annotation)[0]: [*x.model_fields] for x in variants}


# Tables whose valid keys are always the same, by name.
TABLES: dict[str, type[Table]] = {
    "build": Build,
    "data": Data,
    "split": Split,
    "batch_norm": BatchNorm,
    "loss": Loss,
    "early_stopping": EarlyStopping,
    "first": First,
    "expect": Expect,
    "departs": Departure,
}
# Tables whose valid keys depend on one key: {table: (this key, {its value: valid keys})}.
CHOICES: dict[str, tuple[str, dict[str, list[str]]]] = {
    "optimizer": ("name", _keys(SGDTable, RMSpropTable, AdamTable, AdamWTable)),
    "schedule": (
        "name",
        _keys(StepsTable, PlateauTable, PolynomialTable, CosineTable, ExponentialTable),
    ),
    "initial": ("weights", {"word": [], "table": [*Initial.model_fields]}),
    **{
        key: ("op", {name: ["op", *keys] for name, keys in OP_KEYS.items()})
        for key in ("train_ops", "eval_ops")
    },
}
