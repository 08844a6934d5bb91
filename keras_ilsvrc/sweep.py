"""Hyperparameter search over the networks with keras-tuner."""

import functools
from typing import TYPE_CHECKING, Any

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.nets import depths
from keras_ilsvrc.nets.build import build, check_build

if TYPE_CHECKING:
    import keras
    import keras_tuner

DEEPEST = 200  # maximum number of layers that a search tries by default; deeper nets train for days


def hypermodel(name: str, **arguments: Any) -> "keras_tuner.HyperModel":
    """Return a `keras_tuner.HyperModel` whose default hyperparameters build the given net.

    It tunes the learning rate, momentum and weight decay of SGD and, if there are nets that differ
    from this one only in depth, the depth. Nets with more than 200 layers that are deeper than
    this one are offered only if `depth` in the tuner's own `hyperparameters` lists their depth.
    For several devices, pass `distribution_strategy=` to the tuner, which enters its scope.

    With `include_top=False` it tunes only the depth and returns models that are not compiled, like
    those of `keras_tuner.applications`, which you can extend in your own hypermodel.

    Args:
        name: Name of the net, as in `build`.
        **arguments: Arguments passed to `build`.

    Raises:
        InputError: If the net or an argument is unknown, or a value cannot be built.
    """
    row = check_build(name, **arguments)
    activation = arguments.get("classifier_activation", "softmax")
    if arguments.get("include_top", True) and activation != "softmax":
        raise InputError(
            f"classifier_activation is {activation!r}; expected 'softmax', since the loss of a "
            "hypermodel needs probabilities"
        )
    return _hypermodel_class()(name, arguments, row.name)


@functools.cache
def _hypermodel_class() -> type:
    """Return our `HyperModel` class. keras-tuner, which imports Keras, is imported only here."""
    import keras_tuner

    class NetHyperModel(keras_tuner.HyperModel):
        def __init__(self, net: str, arguments: dict[str, Any], name: str) -> None:
            super().__init__(name)
            self.net, self.arguments = net, arguments

        def build(self, hp: "keras_tuner.HyperParameters") -> "keras.Model":
            net = _net_of_depth(self.net, self.arguments, hp)
            if not self.arguments.get("include_top", True):
                return build(net, **self.arguments)
            return _compiled(build(net, **self.arguments), hp)

        def __reduce__(self) -> tuple[Any, ...]:
            state = {"name": self.name, "tunable": self.tunable}
            return functools.partial(hypermodel, self.net, **self.arguments), (), state

    return NetHyperModel


def _net_of_depth(name: str, arguments: dict[str, Any], hp: "keras_tuner.HyperParameters") -> str:
    """Return the name of the net with the depth that the tuner chose for a trial."""
    row = check_build(name, **arguments)
    family = depths(name, **{key: arguments[key] for key in row.variations if key in arguments})
    own = row.arguments.get("depth", 0)
    offered = [depth for depth in sorted(family) if depth <= max(own, DEEPEST)]
    if len(offered) < 2 and not (family and "depth" in hp):
        return name
    depth = hp.Choice("depth", offered, default=own)
    if depth not in family:
        known = ", ".join(map(str, sorted(family)))
        raise InputError(f"depth is {depth}; expected one of {known}")
    return family[depth]


def _compiled(model: "keras.Model", hp: "keras_tuner.HyperParameters") -> "keras.Model":
    """Compile a model with the SGD settings that the tuner chose for a trial, and return it."""
    from keras_ilsvrc.training.keras_fit import compile_model
    from keras_ilsvrc.training.optimizers import SGD

    rate = hp.Float("learning_rate", 1e-3, 1.0, sampling="log", default=0.1)
    momentum = hp.Float("momentum", 0.5, 0.99, default=0.9)
    l2 = hp.Float("l2", 1e-6, 1e-2, sampling="log", default=1e-4)
    compile_model(model, SGD(rate, momentum, l2))
    return model
