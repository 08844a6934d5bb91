"""Every net by name. Standard library only, so that listing nets costs nothing."""

import fnmatch

from keras_ilsvrc.nets.registry import Net, unknown
from keras_ilsvrc.nets.table import NETS
from keras_ilsvrc.nets.variations import split_name

__all__ = ["NETS", "available", "depths", "info"]


def available(pattern: str = "*") -> list[str]:
    """The names of the nets that match a shell pattern, as in `available("resnet*")`."""
    return [name for name in NETS if fnmatch.fnmatchcase(name, pattern)]


def info(name: str, **variations: object) -> Net:
    """The registry's facts of a net; of a varied one, also by its name in brackets.

    Args:
        name: As in `available()`, or a varied name as `"alexnet[activation=tanh]"`.
        **variations: As in `build`.

    Raises:
        InputError: If the net, a variation or its value is unknown; near names are suggested.
    """
    base, spelled = split_name(name, {key: net.variations for key, net in NETS.items()})
    if base not in NETS:
        raise unknown(base, NETS)
    return NETS[base].vary({**spelled, **variations})


def depths(name: str) -> dict[int, str]:
    """Depth to name of the nets that differ from this one in depth alone; itself included."""
    own = NETS[info(name).name]
    rest = {key: value for key, value in own.arguments.items() if key != "depth"}
    return {
        net.arguments["depth"]: net.name
        for net in NETS.values()
        if net.builder == own.builder
        and net.arguments == {**rest, "depth": net.arguments.get("depth")}
    }
