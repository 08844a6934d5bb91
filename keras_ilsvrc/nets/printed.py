"""Values that papers print about their nets. Imports only the standard library."""

from collections.abc import Callable
from typing import NamedTuple


class Line(NamedTuple):
    """Value printed in a paper, and the quantity of the built net to compare it with.

    Attributes:
        label: Name of the value in the paper.
        quantity: `size`, `cells`, or a count: `parameters`, `units`, `connections`, `macs`.
        layers: Name of the layer, or prefix of layers `<layers>_*` and `<layers>/*`; empty for the
            whole net.
        printed: Value as printed; K, M and G after a number are powers of `Printed.thousand`.
        why: Reason for the difference if the built net has a different value.
    """

    label: str
    quantity: str
    layers: str
    printed: str
    why: str = ""


class Printed(NamedTuple):
    """Table printed in a paper. `lines` returns its values, in which K stands for `thousand`."""

    title: str
    lines: Callable[[], list[Line]]
    thousand: int = 1000
