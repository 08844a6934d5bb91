"""Drawings of networks as stacked volumes to scale, as in the papers of LeNet-5 and AlexNet."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.path import Path as Outline

from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.drawing import page
from keras_ilsvrc.visualize.drawing.blocks import Block
from keras_ilsvrc.visualize.drawing.groups import (
    Links,
    depths,
    fold_runs,
    links,
    longest_path,
    main_end,
)
from keras_ilsvrc.visualize.drawing.picture import Point, text_width

# Lengths are in points.
TALLEST = 150.0  # height of the volume with the largest maps
SLANT = 0.35  # shift of the back face, to the right and upward, as a fraction of the maps' width
THINNEST, BAR = 5.0, 9.0  # minimum side of a volume of maps; width of the volume of a vector
SPACE = 30.0  # space between volumes
SMALL = 45.0  # volumes lower than this have the size of their maps above them
TEXT, NUMBER, LINE = 7.0, 6.5, 9.0  # font sizes of texts and of numbers; height of a line of text


@dataclass
class Volume:
    """Box on the page. (x, y) is the lower left corner of its front; `depth` is slanted."""

    block: Block
    x: float
    y: float
    width: float
    height: float
    depth: float

    def side(self, up: float, along: float) -> Point:
        """Return the point on the right face at fractions of its height and depth."""
        x = self.x + self.width + along * self.depth
        return x, self.y + up * self.height + along * self.depth


def volume_figure(nets: Sequence[tuple[str, list[Block]]]) -> Figure:
    """Return a figure of networks, given as (name, blocks), with a row of volumes for each."""
    rows = [(name, *_volumes(name, fold_runs(blocks, False))) for name, blocks in nets]
    width = max(row[2] for row in rows) + 2 * SPACE
    heights = [above + below + page.TITLE for *_, above, below in rows]
    figure, axes = page.page(width, sum(heights) + 2 * page.MARGIN)
    y = sum(heights) + page.MARGIN
    for (name, (columns, given), wide, above, below), height in zip(rows, heights):
        middle = y - page.TITLE - above
        page.write(axes, width / 2, y - 6, name, 11, weight="bold")
        for column in columns:
            for volume in column:
                volume.x += (width - wide) / 2
                volume.y += middle
        _draw(axes, columns, given, middle - below)
        y -= height
    return figure


def _volumes(name: str, blocks: list[Block]) -> tuple[Any, float, float, float]:
    """Return (columns of volumes, links), their width, and their heights above and below y = 0."""
    given = links(blocks)
    depth = depths(given)
    path = [x for x in longest_path(given, main_end(given)) if x.kind not in ("norm", "add")]
    columns = [[x for x in given if depth[x] == depth[of] and x.name == of.name] for of in path]
    for block in path:
        if None in block.size:
            raise InputError(
                f"{name}: the output of {block.name} is {block.size_text}, with an unknown size; "
                "build the model with a known size, for example input_shape=(224, 224, 3)"
            )
    scale = TALLEST / max(max(_sides(block)[:2]) for block in path)
    made = [[_volume(block, scale) for block in column] for column in columns]
    towers = [x.height + x.depth for column in made for x in column if len(column) > 1]
    apart = max(towers, default=0.0) / 2 + 12
    x = 0.0
    for number, column in enumerate(made):
        # 1.15: bold text is wider
        texts = max(text_width(text, TEXT) for text in _texts(column[0].block)) * 1.15 + 8
        body = column[0].width + column[0].depth
        x += max(0.0, texts - body - SPACE) / 2
        for place, volume in enumerate(column):
            centre = 0.0 if len(column) == 1 else apart * (1 - 2 * place)
            volume.x, volume.y = x, centre - (volume.height + volume.depth) / 2
        x += body + max(0.0, texts - body - SPACE) / 2 + SPACE * (number < len(made) - 1)
    boxes = [volume for column in made for volume in column]
    above = max(box.y + box.height + box.depth for box in boxes)
    below = -min(box.y for box in boxes) + 16
    lines = max(len(_texts(column[0].block)) for column in made)
    return (made, given), x, above, below + LINE * lines


def _sides(block: Block) -> tuple[int, int, int]:
    """Return the height, width and number of a block's maps; vectors have maps of 1x1."""
    sizes = [side or 1 for side in block.size] or [1]
    return (*[*sizes[:-1], 1, 1][:2], sizes[-1])  # type: ignore[return-value]


def _volume(block: Block, scale: float) -> Volume:
    height, width, maps = _sides(block)
    if height == width == 1:
        return Volume(block, 0, 0, BAR, max(12.0, 2.2 * math.sqrt(maps)), BAR * SLANT)
    return Volume(
        block,
        0,
        0,
        max(4.0, 1.6 * math.sqrt(maps)),
        max(THINNEST, height * scale),
        max(THINNEST, width * scale) * SLANT,
    )


def _texts(block: Block) -> list[str]:
    """Return the lines of text below a volume."""
    lines = [] if block.kind in ("group", "image") else block.lines
    words = [part for line in lines for part in line.split(", ", 1)]
    lines = lines if block.inside else words
    return [*lines, block.name, *([f"× {block.times}"] if block.times > 1 else [])]


def _draw(axes: Axes, columns: list[list[Volume]], given: Links, bottom: float) -> None:
    """Draw the columns of a network from left to right, and their texts above `bottom`."""
    for column in columns:
        for volume in column:
            _draw_box(axes, volume)
    for before, column in pairwise(columns):
        for volume in column:
            linked = [x for x in before if len(before) < 2 or _linked(volume, x, given)]
            for source in linked:
                _draw_link(axes, source, volume)
    shown: tuple[int, ...] = ()
    for column in columns:
        sides = _sides(column[0].block)
        for volume in column:
            _draw_numbers(axes, volume, sides, sides[:2] != shown)
        shown = sides[:2]
        texts = _texts(column[0].block)
        lowest = bottom + LINE * max(len(_texts(x[0].block)) for x in columns) - 2
        middle = column[0].x + (column[0].width + column[0].depth) / 2
        for number, text in enumerate(texts):
            weight = "bold" if text == column[0].block.name else "normal"
            page.write(axes, middle, lowest - LINE * number, text, TEXT, weight=weight)


def _linked(volume: Volume, source: Volume, given: Links) -> bool:
    """Return whether a volume is computed from a source, directly or through hidden blocks."""
    waiting = [*given[volume.block]]
    while waiting:
        found = waiting.pop()
        if found is source.block:
            return True
        if found is not None and found.kind == "norm":
            waiting += given[found]
    return False


def _draw_box(axes: Axes, v: Volume) -> None:
    """Draw the three visible faces of a box: front, top and right side."""
    fill = page.FILLS.get(v.block.kind, page.GREEN)
    right, top, d = v.x + v.width, v.y + v.height, v.depth
    faces = {
        _mixed(fill, "#000000", 0.12): [(right, v.y), (right + d, v.y + d), (right + d, top + d)],
        _mixed(fill, "#ffffff", 0.45): [(v.x, top), (v.x + d, top + d), (right + d, top + d)],
        fill: [(v.x, v.y), (right, v.y), (right, top), (v.x, top)],
    }
    for colour, points in faces.items():
        points = points if len(points) == 4 else [*points, (right, top)]
        page.patch(axes, [_polygon(points)], colour, 0.7)


def _draw_link(axes: Axes, source: Volume, target: Volume) -> None:
    """Draw the window of a convolution or pool on its input, and lines from it to the output.

    For other layers, the lines start from the whole input. Units and modules have only one line.
    """
    middle = (target.y + target.height / 2) - (source.y + source.height / 2)
    up = 0.5 if abs(middle) < 12 else (0.7 if middle > 0 else 0.3)
    rows, columns, _ = _sides(source.block)
    if target.block.kernel and rows * columns > 1:
        tall = min(1.0, max(target.block.kernel[0] / rows, 4 / source.height))
        deep = min(1.0, max(target.block.kernel[-1] / columns, 4 / source.depth))
        low, near = min(1 - tall, max(0.0, up - tall / 2)), (1 - deep) / 2
        corners = [
            source.side(low + a * tall, near + b * deep)
            for a, b in ((0, 0), (0, 1), (1, 1), (1, 0))
        ]
        fill = page.FILLS.get(target.block.kind, page.GREEN)
        page.patch(axes, [_polygon(corners)], _mixed(fill, "#000000", 0.3), 0.6)
        starts, ends = [corners[1], corners[2]], [(target.x + 1, target.y + up * target.height)] * 2
    elif target.block.inside:
        starts, ends = [source.side(0.5, 0.5)], [(target.x, target.y + target.height / 2)]
    else:
        starts = [source.side(0, 0), source.side(1, 0.5)]
        ends = [(target.x, target.y), (target.x, target.y + target.height)]
    outlines = [Outline([start, end]) for start, end in zip(starts, ends)]
    page.patch(axes, outlines, "none", 0.6, (0, (3, 2)), page.FAINT)


def _draw_numbers(axes: Axes, v: Volume, sides: tuple[int, ...], new: bool) -> None:
    """Write the number of maps below a box and, if `new`, their height and width at its edges."""
    height, width, maps = sides
    below = text_width(str(maps), NUMBER) / 2
    x, low, high = v.x + v.width / 2, v.y - 10, v.y - 2
    corners = [(x - below, low), (x + below, low), (x + below, high), (x - below, high)]
    page.patch(axes, [_polygon(corners)], "#ffffff", 0.0)  # hides lines behind the number
    page.write(axes, x, v.y - 6, str(maps), NUMBER)
    if new and height * width > 1 and v.height < SMALL:
        middle, top = v.x + (v.width + v.depth) / 2, v.y + v.height + v.depth
        page.write(axes, middle, top + 6, f"{height}x{width}", NUMBER)
    elif new and height * width > 1:
        low = v.y + 0.12 * v.height
        page.write(axes, v.x - 2, low, str(height), NUMBER, align="right")
        top = v.y + v.height + v.depth / 2
        page.write(axes, v.x + v.depth / 2 - 3, top + 2, str(width), NUMBER, align="right")


def _polygon(points: list[Point]) -> Outline:
    return Outline([*points, points[0]], [1, *[2] * (len(points) - 1), 79])


def _mixed(colour: str, other: str, share: float) -> str:
    pairs = zip(to_rgb(colour), to_rgb(other))
    return to_hex(tuple((1 - share) * a + share * b for a, b in pairs))
