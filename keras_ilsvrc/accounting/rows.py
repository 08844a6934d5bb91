"""The rows of an account, and their sums."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from typing import Any

from keras_ilsvrc.errors import InputError, nearest

PADDING = ("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "Pad")


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What can be summed; None where a part of it is not known.

    Attributes:
        parameters: Trainable weights; those of a shared layer stand at its first call.
        statistics: Weights that are not trainable, as moving means and variances, counted alike.
        units: Outputs of layers with weights, but for normalisation; other layers have none.
        connections: What goes into all units, their biases included.
        macs: Multiply-adds of convolutions and dense layers, without biases.
        memory: Bytes of the outputs for one image.
    """

    parameters: int
    statistics: int
    units: int | None
    connections: int | None
    macs: int | None
    memory: int


@dataclass(frozen=True, kw_only=True)
class Row(Numbers):
    """One call of a layer, or of a unit or nested model with the sums of what is in it.

    `field`, `stride` and `start` have a number for each axis of the image, and none where the
    model sees no image. They are None where they are not known.

    Attributes:
        name: The layer's, from its second call on as `shared#2`; inside another as
            `conv3_1/conv_2`.
        kind: Its class.
        size: Shape of its (first) output without the batch.
        field: Rows and columns of pixels that a unit sees, those in the padding included.
        stride: Pixels from one unit's window to the next; 0 where all units see the same.
        start: First pixel of the first unit's window, from 0; negative in the padding.
    """

    name: str
    kind: str
    size: tuple[int, ...]
    field: tuple[int, ...] | None
    stride: tuple[int, ...] | None
    start: tuple[int, ...] | None


@dataclass(frozen=True, kw_only=True)
class Stage(Numbers):
    """Rows one after another whose maps have one size, with their sums.

    Attributes:
        size: Height and width; `()` for vectors.
        rows: The names of the rows.
    """

    size: tuple[int, ...]
    rows: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Account(Numbers):
    """The rows of a model, with their sums.

    Attributes:
        name: The model's.
        depth: Layers with units on the longest way from an input to an output.
        rows: In an order in which the layers can run, branch by branch.
    """

    name: str
    depth: int
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row:
        """The row of a layer.

        Raises:
            InputError: If there is none; near names are suggested.
        """
        rows = {row.name: row for row in self.rows}
        if name not in rows:
            raise InputError(f"{self.name} has no row {name!r}; {nearest(name, rows)}".rstrip("; "))
        return rows[name]

    def by_stage(self) -> list[Stage]:
        """The rows by the size of their maps; padding goes with the layer that it is for."""
        sizes = [row.size[:-1] for row in self.rows]
        for number in reversed(range(len(sizes) - 1)):
            if self.rows[number].kind in PADDING:
                sizes[number] = sizes[number + 1]
        stages = []
        for size, pairs in groupby(zip(sizes, self.rows), key=lambda pair: pair[0]):
            rows = [row for _, row in pairs]
            stages.append(Stage(size=size, rows=tuple(row.name for row in rows), **sums(rows)))
        return stages

    def as_dict(self) -> dict[str, Any]:
        """Numbers, names, tuples and dicts alone, for JSON."""
        return asdict(self)


def sums(rows: Iterable[Numbers]) -> dict[str, Any]:
    """The sum of every number; None where one is not known."""
    rows = list(rows)
    columns = {name.name: [getattr(row, name.name) for row in rows] for name in fields(Numbers)}
    return {name: None if None in column else sum(column) for name, column in columns.items()}
