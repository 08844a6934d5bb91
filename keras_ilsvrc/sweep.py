"""keras-tuner over the networks."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from keras_ilsvrc.build import build
from keras_ilsvrc.nets import depths, info

if TYPE_CHECKING:
    import keras


def hypermodel(name: str, **arguments: Any) -> "Callable[[Any], keras.Model]":
    """What keras-tuner's tuners take: hyperparameters to a compiled model.

    Tunes the learning rate, momentum and L2 of the papers' SGD, and the depth where the net has
    sisters that differ in depth alone. Give the tuner `distribution_strategy=` for several
    devices; it opens the scope itself.

    Args:
        name: As for `build`; its depth is the default.
        **arguments: Handed to `build`.

    Raises:
        InputError: If the net is unknown.
    """
    row = info(name)
    family = depths(name)

    def compiled(hyperparameters: Any) -> "keras.Model":
        from keras_ilsvrc.training.optimizers import SGD
        from keras_ilsvrc.training.stock import compile_model

        net = name
        if len(family) > 1:
            depth = hyperparameters.Choice("depth", sorted(family), default=row.arguments["depth"])
            net = family[depth]
        rate = hyperparameters.Float("learning_rate", 1e-3, 1.0, sampling="log", default=0.1)
        momentum = hyperparameters.Float("momentum", 0.5, 0.99, default=0.9)
        l2 = hyperparameters.Float("l2", 1e-6, 1e-2, sampling="log", default=1e-4)
        model = build(net, **arguments)
        compile_model(model, SGD(rate, momentum, l2))
        return model

    return compiled
