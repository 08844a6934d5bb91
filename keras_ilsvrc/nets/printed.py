"""Classes for values that are printed in the papers.

This module imports only the standard library.
"""

from collections.abc import Callable
from typing import NamedTuple


class Line(NamedTuple):
    """Value printed in a paper, and the quantity of the built net to compare it with.

    Attributes:
        label: Name of the value in the paper.
        quantity: `size` (of feature maps), `cells` (convolutions in the paper's notation), or one
            of the counts `parameters`, `units`, `connections` and `macs`.
        layers: Name of a layer, or common prefix of several: `conv4` stands for `conv4_*` and
            `conv4/*`. Empty for the whole net.
        printed: Value as printed; K, M and G after a number are powers of `Printed.thousand`.
        why: Reason for the difference, if the built net has another value.
    """

    label: str
    quantity: str
    layers: str
    printed: str
    why: str = ""


class Printed(NamedTuple):
    """Table printed in a paper.

    Attributes:
        title: Number of the table or section in the paper.
        lines: Function that returns the values in the table.
        thousand: Value of K in the table, 1000 or 1024.
    """

    title: str
    lines: Callable[[], list[Line]]
    thousand: int = 1000
