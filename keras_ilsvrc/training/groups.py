"""Selection of layers by name, to freeze them or to scale their learning rates."""

import re
from collections.abc import Iterable, Mapping

import keras

from keras_ilsvrc.layers.graph import body, leaves, walk
from keras_ilsvrc.utils.errors import InputError, nearest

HEAD = "head"  # name that refers to all classifiers of a model


def freeze(model: keras.Model, until: str, bn: str = "inference") -> list[str]:
    """Freeze the layers that a name refers to, and all layers before them.

    Call this before the model is compiled. In training with the recipes of this package, frozen
    layers run as in inference, dropout included, and no gradients are computed for them.

    Args:
        model: Functional model, for example from `build`.
        until: Name of the last frozen layer. The name of a unit, for example `"conv4_3"`, or of a
            module, for example `"inception_4b"`, refers to all layers whose names begin with it.
        bn: Mode of the frozen batch normalisation layers. With `"inference"`, they use their moving
            statistics, and their weights do not change. With `"train"`, they are trained, with the
            statistics of each batch.

    Returns:
        The names of the frozen layers, in topological order. Layers that are not before `until`
        remain as they were.

    Raises:
        InputError: If the model has no such layer, or `bn` has another value.
    """
    if bn not in ("inference", "train"):
        raise InputError(f"bn is {bn!r}; expected 'inference' or 'train'")
    frozen = layers_until("freeze", model, until)
    for layer in frozen:
        inner = body(layer)
        if bn == "inference" or not isinstance(inner, keras.Model):
            norm = isinstance(layer, keras.layers.BatchNormalization)
            layer.trainable = norm and bn == "train"
            continue
        for leaf in leaves(inner):  # freezing the whole unit would also freeze its BN layers
            leaf.trainable = isinstance(leaf, keras.layers.BatchNormalization)
    return [layer.name for layer in frozen]


def layers_until(key: str, model: keras.Model, name: str) -> list[keras.Layer]:
    """Return the layers that a name refers to and all layers before them, in topological order.

    Raises:
        InputError: If the name refers to no layer; the message begins with `key`.
    """
    last = check_name(key, model, name)
    needed: set[int] = set()
    found: dict[keras.Layer, None] = {}  # used as an ordered set
    for call in reversed(walk(model).inside):
        if call.operation in last or needed & set(map(id, call.outputs)):
            needed.update(map(id, call.inputs))
            if isinstance(call.operation, keras.Layer):
                found[call.operation] = None
    return [*reversed(found)]


def named(model: keras.Model, name: str) -> list[keras.Layer]:
    """Return the layers that a name refers to: one layer, a unit, a module or all classifiers.

    A unit or module consists of all layers whose names begin with its name: "conv4_1" refers to
    "conv4_1" and "conv4_1_bn", but not to "conv4_10". "head" refers to all classifiers.
    """
    if name == HEAD:
        return heads(model)
    begins = re.compile(rf"{re.escape(name)}(?:$|[^a-zA-Z0-9]|(?<=\d)[a-zA-Z])")
    return [layer for layer in model.layers if begins.match(layer.name)]


def unit_of(layer: str) -> str:
    """Return the name of the smallest unit or module, as in `named`, that a layer belongs to.

    For example, a layer with its normalisation is a unit, and so is an inception module.
    """
    module = re.match(r"(?:inception|mixed)_\d[a-z]", layer)
    return module[0] if module else layer.removesuffix("_bn")


def heads(model: keras.Model) -> list[keras.Layer]:
    """Return the classifiers: the last layer with weights before each output of the model."""
    root = walk(model)
    made = {id(tensor): call for call in root.inside for tensor in call.outputs}
    found = []
    for tensor in root.outputs:
        call = made.get(id(tensor))
        while call and not getattr(call.operation, "weights", None):
            call = made.get(id(call.inputs[0]))
        found += [call.operation] if call else []
    return found


def check_name(
    key: str, model: keras.Model, name: str, others: Iterable[str] = ()
) -> list[keras.Layer]:
    """Return the layers that a name refers to, as in `named`; raise an error if there are none.

    Raises:
        InputError: If there are none. The message begins with `key`, and suggests similar names
            among the names of layers and `others`.
    """
    found = named(model, name)
    if not found:
        layers = (x.name for x in model.layers if not isinstance(x, keras.layers.InputLayer))
        hint = nearest(name, [*others, *layers, HEAD])
        hint = hint or "`keras-ilsvrc info NET --account` and model.summary() list all layers"
        raise InputError(f"{key}: {model.name} has no layer {name!r}; {hint}")
    return found


def rates_by_weight(
    key: str, model: keras.Model, rates: Mapping[str, float]
) -> Mapping[str, float]:
    """Convert learning rate factors by name into the form that the optimizers expect.

    The factor of a weight is the factor of its name, for example "bias", times the factor of its
    layer. If several names refer to the same layer, the factor of "head" is used if it is one of
    them, and otherwise the factor of the longest name.

    Args:
        key: Name of the recipe key, for messages.
        model: Model whose weights the factors are for.
        rates: Factors by weight name, and by names of layers as in `named`.

    Returns:
        `rates` unchanged if it contains only names of weights; otherwise factors by weight path.

    Raises:
        InputError: If a name refers to neither a weight nor a layer.
    """
    weights = {weight.name for weight in model.weights}
    groups = {
        name: check_name(f"{key}.{name}", model, name, sorted(weights))
        for name in rates
        if name not in weights
    }
    if not groups:
        return rates
    found: dict[str, float] = {}
    for layer in model.layers:
        names = [name for name, layers in groups.items() if layer in layers]
        own = rates[max(names, key=lambda x: (x == HEAD, len(x)))] if names else 1.0
        found |= {x.path: own * rates.get(x.name, 1.0) for x in layer.weights}
    return found
