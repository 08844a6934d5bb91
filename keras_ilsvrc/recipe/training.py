"""Recipe tables for training: optimizers, schedules and early stopping."""

from math import ceil
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from keras_ilsvrc.recipe.ops import Count, NotNegative, Positive, Share, Table
from keras_ilsvrc.utils.errors import counted

# Number of steps or epochs. Whole numbers become integers, so that saved recipes have no `5.0`.
Length = Annotated[float, Field(gt=0, lt=2**31), AfterValidator(lambda x: x if x % 1 else int(x))]


class Momentum(Table):
    """Settings of optimizers with momentum; `l2` is the weight decay added to kernel gradients."""

    momentum: Share
    l2: NotNegative


class Optimizer(Table):
    """Settings that all optimizers share.

    `rates` multiplies the learning rate of weights by name, e.g. {"bias": 2.0}. `clip_norm` is the
    maximum global norm of the gradients, `average` the momentum of the moving averages of the
    weights, and `filter_rms` the maximum root mean square of a convolution's filter.
    """

    rates: dict[str, NotNegative] | None = None
    clip_norm: Positive | None = None
    average: Annotated[float, Field(gt=0, lt=1)] | None = None
    filter_rms: Positive | None = None


class SGDTable(Optimizer, Momentum):
    """SGD settings. Momentum and weight decay are applied as in Krizhevsky et al. 2012."""

    name: Literal["sgd"]


class RMSpropTable(Optimizer, Momentum):
    """RMSProp settings. The update rule is that of Inception-v3 (Szegedy et al. 2016)."""

    name: Literal["rmsprop"]
    rho: Share
    epsilon: Positive


class AdamTable(Optimizer):
    """Adam settings. `beta_1` and `beta_2` are the momentum of the gradient and of its square."""

    name: Literal["adam"]
    beta_1: Share
    beta_2: Share
    epsilon: Positive


class AdamWTable(AdamTable):
    """AdamW settings. `weight_decay` shrinks kernels directly, not through the gradient."""

    name: Literal["adamw"]  # type: ignore[assignment]
    weight_decay: NotNegative


class Schedule(Table):
    """Base class of learning rate schedules: the length of training, and the warm-up.

    The length is either `steps` or `epochs`. With `epochs`, all other lengths of the schedule are
    epochs too. `warm_up` is [steps, first rate]. Over these steps, the rate rises linearly from the
    first rate to the rate of the schedule.
    """

    steps: Count | None = None
    epochs: Annotated[Length | None, Field(validate_default=True)] = None
    warm_up: list[float] | None = None

    @field_validator("epochs")
    @classmethod
    def one_of_two(cls, epochs: float | None, info: ValidationInfo) -> float | None:
        if "steps" in info.data and (epochs is None) == (info.data["steps"] is None):
            both = "expected either steps or epochs, not both"
            raise ValueError(both if epochs else "missing; give steps, or epochs")
        return epochs

    @field_validator("warm_up")
    @classmethod
    def pair(cls, pair: list[float] | None, info: ValidationInfo) -> list[float] | None:
        in_steps = info.data.get("epochs") is None
        if pair is None:
            return None
        if len(pair) != 2 or pair[0] <= 0 or pair[1] < 0 or (in_steps and pair[0] % 1):
            raise ValueError("expected [steps, first rate], e.g. [400, 0.01]")
        noun = "step" if in_steps else "epoch"
        total = info.data.get(f"{noun}s")
        if total and pair[0] >= total:
            whole = counted(total, noun)
            raise ValueError(
                f"the warm-up is not shorter than the {whole} of the schedule; shorten it"
            )
        return pair

    @property
    def length(self) -> str:
        """Length of training as text, for example "600 steps"."""
        return counted(self.steps, "step") if self.steps else counted(self.epochs or 0, "epoch")

    def in_steps(self, per_epoch: int) -> Self:
        """Return the schedule with all lengths in steps.

        Args:
            per_epoch: Number of steps per epoch.
        """
        if self.epochs is None:
            return self

        def steps(epochs: float) -> int:
            return ceil(round(epochs * per_epoch, 6))  # without `round`, 0.1 * 30 gives 4

        changed: dict[str, Any] = {"epochs": None, "steps": steps(self.epochs)}
        if self.warm_up:
            changed["warm_up"] = [steps(self.warm_up[0]), self.warm_up[1]]
        if isinstance(self, ExponentialTable):
            changed["every"] = steps(self.every)
        if isinstance(self, StepsTable):  # of rows that begin at the same step, keep the last
            rows = {steps(start): rate for start, rate in self.learning_rate}
            changed["learning_rate"] = [list(row) for row in rows.items()]
        return self.model_copy(update=changed)


class StepsTable(Schedule):
    """Piecewise constant learning rate. Each row of `learning_rate` is [first step, rate]."""

    name: Literal["steps"]
    learning_rate: Annotated[list[list[float]], Field(min_length=1)]

    @field_validator("learning_rate")
    @classmethod
    def rows(cls, rows: list[list[float]], info: ValidationInfo) -> list[list[float]]:
        if any(len(row) != 2 for row in rows):
            raise ValueError("expected rows of [first step, rate], e.g. [[0, 0.1], [1000, 0.01]]")
        starts = [row[0] for row in rows]
        if starts[0] != 0 or starts != sorted(set(starts)):
            raise ValueError("expected first steps in increasing order, starting at 0")
        if info.data.get("epochs") is None and any(start % 1 for start in starts):
            raise ValueError("expected whole numbers of steps")
        if any(rate <= 0 for _, rate in rows):
            raise ValueError("expected rates above 0")
        return rows


class PlateauTable(Schedule):
    """Schedule that multiplies the rate by `factor` when the validation error stops falling.

    The rate is reduced after `patience` epochs without a new minimum, at most `times` times.
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


class CosineTable(Schedule):
    """Cosine schedule: the rate is learning_rate * (1 + cos(pi * step / steps)) / 2."""

    name: Literal["cosine"]
    learning_rate: Positive


class ExponentialTable(Schedule):
    """Exponential schedule: the rate is multiplied by `factor` after every `every` steps."""

    name: Literal["exponential"]
    learning_rate: Positive
    factor: Annotated[float, Field(gt=0, lt=1)]
    every: Length

    @field_validator("every")
    @classmethod
    def whole(cls, every: float, info: ValidationInfo) -> float:
        if info.data.get("epochs") is None and every % 1:
            raise ValueError("expected a whole number of steps")
        return every


class EarlyStopping(Table):
    """Early stopping: training ends after `patience` epochs without a lower validation error.

    An error counts as lower only if it is lower by more than `min_delta`, in % of the images.
    """

    patience: Count
    min_delta: NotNegative | None = None
