"""Every net by name. Standard library only, so that listing nets costs nothing."""

import fnmatch
from typing import Any

from keras_ilsvrc.nets.registry import Net, unknown
from keras_ilsvrc.nets.table import NETS
from keras_ilsvrc.nets.variations import split_name

__all__ = ["NETS", "available", "depths", "info"]


def available(pattern: str = "*") -> list[str]:
    """Return the names of the nets that match a shell pattern, for example `"resnet*"`."""
    return [name for name in NETS if fnmatch.fnmatchcase(name, pattern)]


def info(name: str, **variations: object) -> Net:
    """Return the registry's facts about a net, published or varied.

    Everything that takes the name of a net resolves it here.

    Args:
        name: One of `available()`, or a varied name, for example `"alexnet[activation=tanh]"`.
        **variations: As in `build`.

    Raises:
        InputError: If the net, a variation or its value is unknown; near names are suggested.
    """
    base, spelled = split_name(str(name), {key: net.variations for key, net in NETS.items()})
    if base not in NETS:
        raise unknown(base, NETS)
    return NETS[base].vary({**spelled, **variations})


def depths(name: str, **variations: object) -> dict[int, str]:
    """Return depth to name of the nets that differ from this one in depth only, itself included.

    Args:
        name: As for `info`.
        **variations: As for `info`; the other nets are varied in the same way.

    Returns:
        An empty dict for a net without a depth.
    """
    own = info(name, **variations)
    base = NETS[own.name.partition("[")[0]]
    if own.arguments.get("depth") is None:
        return {}
    sisters = [net.vary(own.varied) for net in NETS.values() if _family(net) == _family(base)]
    return {net.arguments["depth"]: net.name for net in sisters}


def _family(net: Net) -> tuple[Any, ...]:
    """Return what all nets have in common that differ in depth only."""
    fixed = {key: value for key, value in net.vary({}).arguments.items() if key != "depth"}
    return net.builder, net.paper, net.input_shape, dict(net.variations), fixed
