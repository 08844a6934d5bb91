"""Schema of recipes: keys, types and ranges. `runs` checks the names of nets, splits etc."""

from typing import Annotated, Any, Literal, get_args

import tomli_w
from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

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
    training; otherwise the first such file ends training. `mixup` is the parameter alpha of the
    beta distribution from which the share of the first of two mixed images is drawn.
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
    mixup: Positive | None = None

    @model_validator(mode="after")
    def limited(self) -> "Data":
        if (self.on_bad == "skip") != (self.bad_limit is not None):
            raise ValueError("on_bad = 'skip' and bad_limit go together; give both, or neither")
        return self


class BatchNorm(Table):
    """Scope of the batch statistics: all replicas together, or each replica separately."""

    statistics: Literal["synchronized", "replica"]


class Loss(Table):
    """Cross-entropy loss. `weights` gives the loss weight of auxiliary outputs by name.

    With "balanced" class weights, the training images of every class weigh the same in total.
    """

    name: Literal["cross_entropy"]
    weights: dict[str, NotNegative] | None = None
    label_smoothing: Share | None = None
    class_weights: Literal["balanced"] | None = None


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
    `keep` says which weights are tested and saved: the last, or those of the epoch with the lowest
    validation error. `freeze` names a layer that, like all layers before it, is not trained.
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
    expect: Expect | None = None
    departs: Annotated[list[Departure], Field(default_factory=list)]

    def toml(self) -> str:
        """Return the recipe as TOML text."""
        return tomli_w.dumps(self.table())

    def table(self) -> dict[str, Any]:
        """Return the recipe as the dict that `tomllib` would read from its TOML text."""
        return self.model_dump(exclude_none=True)


def _keys(*variants: type[Table]) -> dict[str, list[str]]:
    """Return the keys of each variant of a table, by the value of its key `name`."""
    return {get_args(x.model_fields["name"].annotation)[0]: [*x.model_fields] for x in variants}


TABLES: dict[str, type[Table]] = {
    "build": Build,
    "data": Data,
    "batch_norm": BatchNorm,
    "loss": Loss,
    "early_stopping": EarlyStopping,
    "expect": Expect,
    "departs": Departure,
}
# Tables with variants: {table: (the key that selects the variant, {variant: its keys})}.
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
