"""Look-up of networks by name.

Keras is not imported, so that the names can be listed quickly.
"""

import fnmatch
from collections.abc import Mapping
from typing import Any

from keras_ilsvrc.nets.registry import Net, unknown
from keras_ilsvrc.nets.table import NETS
from keras_ilsvrc.nets.variations import split_name

__all__ = ["NETS", "available", "chosen", "info", "siblings"]


def available(pattern: str = "*") -> list[str]:
    """Return the names of the nets that match a shell pattern, for example `"resnet*"`."""
    return [name for name in NETS if fnmatch.fnmatchcase(name, pattern)]


def info(name: str, **variations: object) -> Net:
    """Return a `Net`: the facts about a network, as published or with variations.

    All functions that accept the name of a net call this function to find it.

    Args:
        name: One of `available()`, or a varied name, for example `"alexnet[activation=tanh]"`.
        **variations: Variations of the net, as in `build`.

    Raises:
        InputError: If the net, a variation or its value is unknown; the message suggests similar
            names.
    """
    base, _ = _split(name)
    if base not in NETS:
        raise unknown(base, NETS)
    return NETS[base].vary(chosen(name, variations))


def chosen(name: str, variations: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variations in the brackets of a net's name, updated with `variations`."""
    return {**_split(name)[1], **variations}


def _split(name: str) -> tuple[str, dict[str, Any]]:
    return split_name(str(name), {key: net.variations for key, net in NETS.items()})


def siblings(name: str, key: str) -> dict[Any, str]:
    """Return this net and all nets that differ from it only in the argument `key`.

    Args:
        name: Name of the net, as in `info`. Variations in brackets apply to all returned nets.
        key: Argument of the builder, for example "depth".

    Returns:
        {value of the argument: name of the net}, empty for a net without this argument.
    """
    own = info(name)
    base = NETS[own.name.partition("[")[0]]
    if own.arguments.get(key) is None:
        return {}
    same = [net for net in NETS.values() if _rest(net, key) == _rest(base, key)]
    return {net.arguments[key]: net.name for net in (net.vary(own.varied) for net in same)}


def _rest(net: Net, key: str) -> tuple[Any, ...]:
    """Return facts that are equal for two nets if these differ at most in the argument `key`."""
    fixed = {k: value for k, value in net.vary({}).arguments.items() if k != key}
    return net.builder, net.paper, net.input_shape, dict(net.variations), fixed
