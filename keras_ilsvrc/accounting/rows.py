"""Data classes of the table that `account` returns, with rows for layer calls, and their sums."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Any

from keras_ilsvrc.utils.errors import InputError, nearest

PADDING_KINDS = ("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "Pad")


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Counts for a layer call, or sums over several calls. A sum is None if any count is unknown.

    Attributes:
        parameters: Number of trainable parameters. Those of a shared layer are counted only at the
            first call.
        statistics: Number of non-trainable parameters, such as moving means. Those of a shared
            layer are counted only at the first call.
        units: Number of outputs of layers with kernels; 0 for normalisation and other layers.
        connections: Number of inputs of all units, including biases.
        macs: Number of multiply-adds of convolutions and dense layers, without biases.
        memory: Size of the outputs for one image, in bytes.
    """

    parameters: int
    statistics: int
    units: int | None
    connections: int | None
    macs: int | None
    memory: int


@dataclass(frozen=True, kw_only=True)
class Row(Numbers):
    """Table row for one layer call; for a residual unit or nested model, sums over its layers.

    `field`, `stride` and `start` have one number for each axis of the image. They are empty if the
    input of the model is not an image, and None if they are unknown.

    Attributes:
        name: Name of the layer, for example `shared#2` for the second call of `shared`, or
            `conv3_1/conv_2` inside a residual unit.
        kind: Class name of the layer or operation.
        size: Shape of the output without the batch axis; the first output if there are several.
        field: Height and width of the receptive field in pixels, including padding.
        stride: Distance in pixels between the receptive fields of neighbouring units; 0 if all
            units have the same field.
        start: Number of the first pixel in the first unit's receptive field, counted from 0;
            negative if this pixel is padding.
    """

    name: str
    kind: str
    size: tuple[int, ...]
    field: tuple[int, ...] | None
    stride: tuple[int, ...] | None
    start: tuple[int, ...] | None


@dataclass(frozen=True, kw_only=True)
class Stage(Numbers):
    """Group of consecutive rows whose feature maps have the same size, with sums over the rows.

    Attributes:
        size: Height and width of the feature maps; `()` for vectors.
        rows: Names of the rows.
    """

    size: tuple[int, ...]
    rows: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Account(Numbers):
    """Counts and receptive fields of a model: a row for each layer call, and sums over all rows.

    Attributes:
        name: Name of the model.
        depth: Number of layers with units on the longest path from an input to an output.
        rows: Rows in topological order, one branch after another.
    """

    name: str
    depth: int
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row:
        """Return the row of the layer call with this name.

        Raises:
            InputError: If no row has this name. The message suggests similar names.
        """
        rows = {row.name: row for row in self.rows}
        if name not in rows:
            raise InputError(f"{self.name} has no row {name!r}; {nearest(name, rows)}".rstrip("; "))
        return rows[name]

    def by_stage(self) -> list[Stage]:
        """Group consecutive rows by feature map size, padding layers with the layer after them."""
        sizes = [row.size[:-1] for row in self.rows]
        for number in reversed(range(len(sizes) - 1)):
            if self.rows[number].kind in PADDING_KINDS:
                sizes[number] = sizes[number + 1]
        stages = []
        for size, pairs in groupby(zip(sizes, self.rows), key=lambda pair: pair[0]):
            rows = [row for _, row in pairs]
            stages.append(Stage(size=size, rows=tuple(row.name for row in rows), **sums(rows)))
        return stages


def sums(rows: Iterable[Numbers]) -> dict[str, Any]:
    """Return {name of a count: sum over the rows}. A sum is None if a row's count is unknown."""
    rows = list(rows)
    columns = {name.name: [getattr(row, name.name) for row in rows] for name in fields(Numbers)}
    return {name: None if None in column else sum(column) for name, column in columns.items()}
