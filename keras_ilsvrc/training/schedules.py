"""Learning rate schedules."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

Rate: TypeAlias = float | LearningRateSchedule


def steps(rows: Sequence[Sequence[float]]) -> Rate:
    """Return a piecewise constant learning rate schedule, or the rate itself if there is only one.

    Args:
        rows: (first step, rate) pairs in rising order, the first at step 0. Each rate applies
            until the first step of the next pair.
    """
    starts, rates = zip(*rows)
    if len(rates) == 1:
        return rates[0]
    # Keras expects the last step at which each rate applies; `rows` contains the first.
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        [int(start) - 1 for start in starts[1:]], list(rates)
    )


def polynomial(rate: float, total: int, power: float = 0.5) -> LearningRateSchedule:
    """Return Caffe's schedule, rate * (1 - step / total) ^ power, and 0 from step `total` on."""
    return keras.optimizers.schedules.PolynomialDecay(rate, total, 0.0, power)


def cosine(rate: float, total: int) -> LearningRateSchedule:
    """Return the schedule rate * (1 + cos(pi * step / total)) / 2; see arXiv:1608.03983."""
    return keras.optimizers.schedules.CosineDecay(rate, total)


def exponential(rate: float, factor: float, every: int) -> LearningRateSchedule:
    """Return GoogLeNet's and Inception-v3's schedule, rate * factor ^ floor(step / every)."""
    return keras.optimizers.schedules.ExponentialDecay(rate, every, factor, staircase=True)


@keras.saving.register_keras_serializable("keras_ilsvrc")
class WarmUp(LearningRateSchedule):
    """Schedule that rises linearly from `start` for `until` steps and then follows schedule `then`.

    The linear rise is our addition; none of the papers has one.
    """

    def __init__(self, then: Rate, until: float, start: float = 0.0):
        self.then, self.until, self.start = then, until, start

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        goal = self._then(ops.cast(self.until, "float32"))
        rising = self.start + (goal - self.start) * step / self.until
        return ops.where(step < self.until, rising, self._then(step))

    def _then(self, step: Any) -> Any:
        return self.then(step) if callable(self.then) else self.then

    def get_config(self) -> dict[str, Any]:
        then = self.then
        if callable(then):
            then = keras.optimizers.schedules.serialize(then)
        return {"then": then, "until": self.until, "start": self.start}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "WarmUp":
        if isinstance(config["then"], dict):
            then = keras.optimizers.schedules.deserialize(config["then"])
            config = {**config, "then": then}
        return cls(**config)


class Decay(keras.callbacks.Callback):
    """Callback that multiplies the learning rate by a factor, which falls during `fit`.

    Args:
        name: Key of `FACTORS`: "cosine" lowers the rate to 0, and "steps" divides it by 10 after
            1/2 and 3/4 of the training, as in He et al. (arXiv:1512.03385, section 4.2), CIFAR-10.
    """

    FACTORS: Mapping[str, Callable[[float], float]] = MappingProxyType(
        {
            "cosine": lambda share: (1 + math.cos(math.pi * share)) / 2,
            "steps": lambda share: 0.1 ** ((share >= 1 / 2) + (share >= 3 / 4)),
        }
    )

    def __init__(self, name: str):
        super().__init__()
        self.factor = self.FACTORS[name]

    def on_train_begin(self, logs: Any = None) -> None:
        self.rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        # While the number of steps in an epoch is unknown, the rate changes only between epochs.
        done = self.epoch + batch / (self.params["steps"] or math.inf)
        self.model.optimizer.learning_rate = self.rate * self.factor(done / self.params["epochs"])


class Plateau(keras.callbacks.Callback):
    """Callback that lowers the learning rate when the validation error stops falling.

    Args:
        factor: Factor by which the learning rate is multiplied, between 0 and 1.
        patience: Number of epochs without a new minimum before the rate is lowered. The
            default is our choice.
        times: Maximum number of reductions. AlexNet's authors reduced the rate 3 times, by hand.
    """

    def __init__(self, factor: float = 0.1, patience: int = 5, times: int = 3):
        super().__init__()
        self.factor, self.patience, self.times = factor, patience, times
        self.state: dict[str, Any] = {"best": None, "wait": 0, "done": 0}

    def get_state(self) -> dict[str, Any]:
        return dict(self.state)

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.state = dict(state)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        error, state = logs["validation_error"], self.state
        if state["best"] is None or error < state["best"]:
            state["best"], state["wait"] = float(error), 0
            return
        state["wait"] += 1
        if state["wait"] >= self.patience and state["done"] < self.times:
            rate = ops.convert_to_numpy(self.model.optimizer.learning_rate)
            self.model.optimizer.learning_rate = float(rate) * self.factor
            state["wait"], state["done"] = 0, state["done"] + 1
