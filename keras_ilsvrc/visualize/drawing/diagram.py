"""Figures of networks drawn as blocks, side by side."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.path import Path as Outline

from keras_ilsvrc.visualize.drawing.blocks import Block
from keras_ilsvrc.visualize.drawing.groups import fold_runs, leaves
from keras_ilsvrc.visualize.drawing.level import Level
from keras_ilsvrc.visualize.drawing.page import (
    ASIDE,
    EDGE,
    FAINT,
    FILLS,
    FRAME_FILL,
    GREEN,
    INK,
    MARGIN,
    TITLE,
    page,
    patch,
    write,
)
from keras_ilsvrc.visualize.drawing.picture import (
    FONT,
    GAP,
    LINE,
    SMALL,
    Box,
    Line,
    Picture,
    Point,
    small_text,
    width_of,
)

Up = Callable[[float], float]  # function from a y coordinate of a picture to a height on the page


def block_figure(
    nets: Sequence[tuple[str, list[Block]]], opened: bool, upward: bool | None
) -> Figure:
    """Return a figure of networks drawn as blocks, each with its name above it.

    Args:
        nets: Networks as (name, blocks) pairs.
        opened: Whether to draw the blocks inside groups, as in `draw_model`.
        upward: Whether the input is at the bottom, as in `draw_model`.
    """
    if upward is None:
        upward = all(any(_concatenates(x) for x in blocks) for _, blocks in nets)
    nets = [(name, fold_runs(blocks, opened)) for name, blocks in nets]
    pictures = [Level(blocks, width_of(blocks, opened), opened).made for _, blocks in nets]
    stages = _align(pictures) if len(pictures) > 1 else {}
    height = max(picture.height for picture in pictures) + 2 * MARGIN + TITLE
    heading = 80.0 if stages else 0.0
    width = 2 * MARGIN + heading + ASIDE * (len(nets) - 1)
    figure, axes = page(width + sum(x.left + x.right for x in pictures), height)

    def up(y: float) -> float:
        return MARGIN + y if upward else height - MARGIN - TITLE - y

    for size, y in stages.items():
        text = f"output size: {max(size, 1)}"
        write(axes, MARGIN, up(y) - (0 if upward else 10), text, FONT, FAINT, "left")
    x = MARGIN + heading
    for (name, _), picture in zip(nets, pictures):
        x += picture.left
        top = up(picture.height) if upward else up(0)
        write(axes, x, top + TITLE - 10, name, 11, INK, weight="bold")
        _draw(axes, picture.mapped(lambda y: y, x), up)
        x += picture.right + ASIDE
    return figure


def _concatenates(block: Block) -> bool:
    return any(leaf.lines == ["concat"] for leaf in leaves(block))


def _align(pictures: list[Picture]) -> dict[int, float]:
    """Move rows so that maps of the same size begin at the same y in all pictures.

    Return {size: y}. If the maps of any network become larger again, move nothing and return {}.
    """
    stages = []
    for picture in pictures:
        sizes = [(y, _side(block)) for y, block in picture.rows]
        if any(a < b for (_, a), (_, b) in pairwise(sizes)):
            return {}
        stages.append({size: y for y, size in reversed(sizes)})
    begin: dict[int, float] = {}
    moves: list[list[tuple[float, float]]] = [[] for _ in pictures]  # (y of a size, its shift)
    for size in sorted({size for of_one in stages for size in of_one}, reverse=True):
        having = [n for n, of_one in enumerate(stages) if size in of_one]
        shifted = {n: stages[n][size] + (moves[n][-1][1] if moves[n] else 0.0) for n in having}
        ends = [
            max(y + _shift(moves[n], y) for y, block in pictures[n].rows if _side(block) > size)
            for n in range(len(pictures))
            if any(_side(block) > size for _, block in pictures[n].rows)
        ]
        begin[size] = max([*shifted.values(), *(end + 2 * GAP for end in ends)])
        for n in having:
            moves[n].append((stages[n][size], begin[size] - stages[n][size]))
    for n, picture in enumerate(pictures):
        pictures[n] = picture.mapped(lambda y, own=moves[n]: y + _shift(own, y))  # type: ignore[misc]
    return begin


def _shift(moves: list[tuple[float, float]], y: float) -> float:
    return next((shift for begin, shift in reversed(moves) if y >= begin - 1e-6), 0.0)


def _side(block: Block) -> int:
    """Return the height of a block's maps, or 0 for vectors and unknown sizes."""
    return (block.size[0] or 0) if len(block.size) == 3 else 0


def _draw(axes: Axes, picture: Picture, up: Up) -> None:
    """Draw a picture; `up` converts its y coordinates to heights on the page."""
    boxes = [(box, min(up(box.y), up(box.y + box.height))) for box in picture.boxes]
    fills: dict[str, list[Outline]] = {}
    for box, bottom in boxes:
        fill = FRAME_FILL if box.framed else FILLS.get(box.block.kind, GREEN)
        corner = (box.x - box.width / 2, bottom)
        fills.setdefault(fill, []).append(_rounded(*corner, box.width, box.height, box.block))
        if box.block.times > 1 and not box.framed:  # a second box behind the first
            back = _rounded(corner[0] + 3, bottom + 3, box.width, box.height, box.block)
            fills.setdefault(f"{fill} ", []).append(back)
    patch(axes, fills.pop(FRAME_FILL, []), FRAME_FILL, 0.5)
    for fill in [fill for fill in fills if fill.endswith(" ")]:
        patch(axes, fills.pop(fill), fill.strip(), 0.7)
    for dashed in (False, True):
        shown = [_outline(line, up) for line in picture.lines if line.dashed == dashed]
        patch(axes, shown, "none", 0.9, (0, (3, 2)) if dashed else "-")
    patch(axes, [_head(line, up) for line in picture.lines if line.arrow], EDGE, 0.1)
    for fill, outlines in fills.items():
        patch(axes, outlines, fill, 0.7)
    for box, bottom in boxes:
        _label(axes, box, bottom, up(1) > up(0))
    for line in picture.lines:
        if line.block:
            y = sum(up(y) for _, y in line.points) / 2
            write(axes, line.lane + 5, y + 4, line.block.lines[0], FONT, align="left")  # type: ignore[operator]
            write(axes, line.lane + 5, y - 5, small_text(line.block), SMALL, FAINT, "left")  # type: ignore[operator]


def _label(axes: Axes, box: Box, bottom: float, upward: bool) -> None:
    """Write the texts of a box: its lines, name and output shape, and the number of repetitions."""
    block, top = box.block, bottom + box.height
    if block.times > 1:
        x = box.x + box.width / 2 + (17 if block.shortcut and not box.framed else 8)
        write(axes, x, (top + bottom) / 2, f"× {block.times}", 10, align="left", weight="bold")
    if block.kind == "add":
        write(axes, box.x, (top + bottom) / 2, "+", 9)
    elif box.framed:
        left = box.x - box.width / 2 + 5
        write(axes, left, top - 7, block.name, 7, FAINT, "left", "bold")
        write(axes, left, bottom + 6, block.size_text, SMALL, FAINT, "left")
    else:
        lines = block.lines[::-1] if upward else block.lines
        for number, line in enumerate(lines):
            write(axes, box.x, top - 8 - LINE * number, line, FONT)
        write(axes, box.x, bottom + 6.5, small_text(block, box.within), SMALL, FAINT)


def _rounded(x: float, y: float, width: float, height: float, block: Block) -> Outline:
    """Return the outline of a block: a rectangle with round corners; a circle for an addition."""
    if block.kind == "add":
        return Outline.circle((x + height / 2, y + height / 2), height / 2)
    r = 3.0
    right, top = x + width, y + height
    points = [(x + r, y), (right - r, y), (right, y), (right, y + r), (right, top - r)]
    points += [(right, top), (right - r, top), (x + r, top), (x, top), (x, top - r)]
    points += [(x, y + r), (x, y), (x + r, y), (x + r, y)]
    codes = [1, 2, 3, 3, 2, 3, 3, 2, 3, 3, 2, 3, 3, 79]
    return Outline(points, codes)


def _outline(line: Line, up: Up) -> Outline:
    """Return the curve of a line: vertical at both ends, or horizontal at both ends for an arc."""
    at = [(x, up(y)) for x, y in line.points]
    points, codes = [at[0]], [1]
    if line.lane is not None:
        (_, y0), (_, y1) = at
        r = min(6.0, abs(y1 - y0) / 2) * (1 if y1 > y0 else -1)
        points += [(line.lane - abs(r), y0), (line.lane, y0), (line.lane, y0 + r)]
        points += [(line.lane, y1 - r), (line.lane, y1), (line.lane - abs(r), y1), at[1]]
        return Outline(points, [1, 2, 3, 3, 2, 3, 3, 2])
    for number, ((x0, y0), (x1, y1)) in enumerate(pairwise(at)):
        if number % 2 or abs(x0 - x1) < 1e-6:
            points, codes = [*points, (x1, y1)], [*codes, 2]
        else:
            middle = (y0 + y1) / 2
            points += [(x0, middle), (x1, middle), (x1, y1)]
            codes += [4, 4, 4]
    return Outline(points, codes)


def _head(line: Line, up: Up) -> Outline:
    """Return the arrowhead of a line: a triangle."""
    x, y = line.points[-1]
    tip: Point = (x, up(y))
    if line.lane is not None:
        corners = [(x + 5, tip[1] + 2.2), (x + 5, tip[1] - 2.2)]
    else:
        back = -5 if up(1) > up(0) else 5
        corners = [(x - 2.2, tip[1] + back), (x + 2.2, tip[1] + back)]
    return Outline([tip, *corners, tip], [1, 2, 2, 79])
