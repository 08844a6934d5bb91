"""Hyperparameter search over the networks with keras-tuner."""

import functools
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from keras_ilsvrc.nets import info, siblings
from keras_ilsvrc.nets.build import build, check_build, initial_values
from keras_ilsvrc.nets.variations import Number
from keras_ilsvrc.sweeps.space import Hyperparameter, known, narrowed, value_of
from keras_ilsvrc.utils.errors import InputError

if TYPE_CHECKING:
    import keras
    import keras_tuner

# {argument of `hypermodel`: (attribute of `Account` that it limits, unit of the limit)}
LIMITS = {
    "max_model_size": ("parameters", "parameters"),
    "max_operations": ("macs", "multiply-adds"),
}


def hypermodel(
    name: str,
    space: Any = None,
    *,
    max_model_size: float | None = None,
    max_operations: float | None = None,
    **arguments: Any,
) -> "keras_tuner.HyperModel":
    """Return a `keras_tuner.HyperModel` whose default hyperparameters build the given net.

    `keras-ilsvrc info NAME --space` lists the hyperparameters: the variations in the net's paper,
    and settings of the training. The default training is SGD with learning rate 0.1, momentum 0.9
    and weight decay 1e-4. To fix a variation, pass it as an argument of `build`. With `weights`,
    the only variation is the depth. With `include_top=False`, models are not compiled, and only
    variations of the net are searched.

    The hyperparameters `schedule` and `batch_size` are used in `HyperModel.fit`, which tuners call.
    The batch size is searched only if the images are an array and `search` gets no `batch_size`.

    A trial fails if its values do not fit together or its model exceeds a limit; its message gives
    the reason. keras-tuner then continues, up to `max_consecutive_failed_trials`. For several
    devices, pass `distribution_strategy=` to the tuner, which enters its scope.

    Args:
        name: Name of the net, as in `build`.
        space: None to search the default hyperparameters, or an iterable of names to search only
            these, or a dict that changes the defaults. The dict maps a name to a list of values, a
            tuple (minimum, maximum) of numbers, or one value.
        max_model_size: Maximum number of trainable parameters, counted before the model is built.
        max_operations: Maximum number of multiply-adds for one image, counted in the same way.
        **arguments: Arguments passed to `build`.

    Raises:
        InputError: If the net, an argument or a hyperparameter is unknown, or a value is invalid.
    """
    rows = known(name, arguments)
    searched = narrowed(name, rows, space)
    # A net without a published depth has no default depth, so take its depth from `space`.
    needed = {
        key: row.default
        for key, row in searched.items()
        if row.source == "variation" and row.accepted.default is None
    }
    check_build(name, **{**arguments, **needed})
    activation = arguments.get("classifier_activation", "softmax")
    if arguments.get("include_top", True) and activation != "softmax":
        raise InputError(
            f"classifier_activation is {activation!r}; expected 'softmax', since the loss of a "
            "hypermodel needs probabilities"
        )
    limits = {"max_model_size": max_model_size, "max_operations": max_operations}
    limits = {key: limit for key, limit in limits.items() if limit is not None}
    _check_limits(limits, arguments)
    return _hypermodel_class()(name, arguments, rows, searched, {"space": space, **limits})


def _check_limits(limits: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    for key, limit in limits.items():
        if limit not in (valid := Number(None, least=1)):
            raise InputError(f"{key} is {limit!r}; expected {valid}")
        if None in (arguments.get("input_shape") or ()):
            raise InputError(
                f"{key} needs images of a known size; pass input_shape=(height, width, channels)"
            )


class OfNet:
    """Mixin for `keras_tuner.HyperModel` that builds and trains one net."""

    name: str
    tunable: bool

    def __init__(
        self,
        net: str,
        arguments: dict[str, Any],
        rows: dict[str, Hyperparameter],
        searched: dict[str, Hyperparameter],
        given: dict[str, Any],
    ) -> None:
        base = {key: arguments[key] for key in info(net).variations if key in arguments}
        super().__init__(info(net, **base).name)  # type: ignore[call-arg]
        self.net, self.arguments, self.given = net, arguments, given
        self.rows, self.searched, self.collecting = rows, searched, False

    def declare_hyperparameters(self, hp: "keras_tuner.HyperParameters") -> None:
        # A tuner calls this method and then, once, `build` to collect the hyperparameters.
        self.collecting = True

    def build(self, hp: "keras_tuner.HyperParameters") -> "keras.Model | None":
        from keras_tuner.errors import FailedTrialError

        collecting, self.collecting = self.collecting, False
        # `fit` declares the batch size, if it has an effect.
        values = {key: self.value(hp, key) for key in self.rows if key != "batch_size"}
        try:
            return _model(self.net, self.arguments, self.rows, values, self.given)
        except ValueError as error:
            if collecting:  # this model is never trained, so it need not be valid
                return None
            reason = " ".join(str(error).split())
            raise FailedTrialError(reason) from error

    def value(self, hp: "keras_tuner.HyperParameters", key: str) -> Any:
        if key in self.searched:
            return value_of(hp, key, self.searched[key])
        return hp.get(key) if key in hp else self.rows[key].default

    def fit(
        self, hp: "keras_tuner.HyperParameters", model: "keras.Model", *args: Any, **kwargs: Any
    ) -> Any:
        from keras_ilsvrc.training.schedules import Decay

        hp = hp if self.tunable else hp.copy()  # as keras-tuner does in `build`
        images = args[0] if args else kwargs.get("x")
        batched = len(args) > 2 or "batch_size" in kwargs or not hasattr(images, "shape")
        if "batch_size" in self.rows and not batched:
            kwargs["batch_size"] = self.value(hp, "batch_size")
        schedule = self.value(hp, "schedule") if "schedule" in self.rows else "constant"
        if schedule != "constant":
            kwargs["callbacks"] = [*(kwargs.get("callbacks") or ()), Decay(schedule)]
        return model.fit(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        state = {"name": self.name, "tunable": self.tunable}
        made = functools.partial(hypermodel, self.net, **self.given, **self.arguments)
        return made, (), state


@functools.cache
def _hypermodel_class() -> type:
    """Return our `HyperModel` class. keras-tuner, which imports Keras, is imported only here."""
    import keras_tuner

    return type("NetHyperModel", (OfNet, keras_tuner.HyperModel), {})


def _model(
    name: str,
    arguments: Mapping[str, Any],
    rows: Mapping[str, Hyperparameter],
    values: Mapping[str, Any],
    limits: Mapping[str, Any],
) -> "keras.Model":
    """Build and compile the model of a trial.

    Args:
        name: Name of the net.
        arguments: Arguments of `build`, except those that the tuner chose.
        rows: Hyperparameters of the net.
        values: Value of each hyperparameter.
        limits: Maximum for keys of `LIMITS`; other keys are ignored.

    Raises:
        InputError: If a value is invalid, values do not fit together, or a limit is exceeded.
    """
    varied = {}
    for key, value in values.items():
        if value not in rows[key].accepted:
            raise InputError(f"{key} is {value!r}; expected {rows[key].accepted}")
        if rows[key].source == "networks":
            name = siblings(name, key)[value]
        elif rows[key].source == "variation" and value != rows[key].accepted.default:
            varied[key] = value
    arguments = {**arguments, **varied}
    check_costs(name, arguments, limits)
    model = build(name, **arguments)
    if "initial" in values:
        _set_initial(model, name, values["initial"])
    if "learning_rate" in values:
        _compile(model, values)
    return model


def check_costs(name: str, arguments: Mapping[str, Any], limits: Mapping[str, Any]) -> None:
    """Raise an InputError if a net exceeds a limit. No weights are allocated for the check."""
    if not limits.keys() & LIMITS:
        return
    import keras

    from keras_ilsvrc.accounting import account

    with keras.StatelessScope(initialize_variables=False):
        found = account(build(name, **arguments))
    for key, (quantity, unit) in LIMITS.items():
        if key in limits and getattr(found, quantity) > limits[key]:
            raise InputError(
                f"the model has {getattr(found, quantity):,} {unit}; {key} is {limits[key]:,}"
            )


def _set_initial(model: "keras.Model", name: str, word: str) -> None:
    """Set the initial values of a model by the rule `word`; `build` has already used "he"."""
    from keras_ilsvrc.training.initial import RULES, set_initial_values

    if word != "he":
        table = initial_values(info(name)) if word == "paper" else RULES[word]
        assert table is not None  # the net's space lists "paper" only if the paper gives values
        set_initial_values(model, table, random.randrange(2**31))


def _compile(model: "keras.Model", values: Mapping[str, Any]) -> None:
    """Compile a model with the optimizer that the tuner chose, and augment its training images."""
    from keras_ilsvrc.training.keras_fit import augment, compile_model
    from keras_ilsvrc.training.optimizers import SGD, AdamW, RMSprop

    rate, momentum, l2 = (values[key] for key in ("learning_rate", "momentum", "l2"))
    optimizers = {
        "sgd": lambda: SGD(rate, momentum, l2),
        "rmsprop": lambda: RMSprop(rate, momentum=momentum, l2=l2),
        "adamw": lambda: AdamW(rate, l2, beta_1=momentum),
        "adam": lambda: AdamW(rate, beta_1=momentum),
    }
    outputs = model.output if isinstance(model.output, dict) else ()
    weights = {x: values["auxiliary_weight"] for x in outputs if x != "predictions"}
    compile_model(model, optimizers[values["optimizer"]](), {"predictions": 1.0, **weights})
    augment(model, values["augmentation"])
