"""Boxes and lines of a drawing. Lengths are in points; y grows from the input to the output."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from keras_ilsvrc.visualize.drawing.blocks import Block

FONT, SMALL = 8.0, 6.0  # font sizes of the lines in a block, and of its name and output shape
LINE = 11.0  # height of a line of text
GAP, FORK = 17.0, 30.0  # space between rows, and between rows where links run sideways
ASIDE = 14.0  # distance between neighbouring blocks of a row
FRAME = 15.0  # space between the border of an open module and its blocks
LANE = 11.0  # distance between an arc and the blocks that it passes
PLUS = 10.0  # diameter of an addition
Point = tuple[float, float]


@dataclass
class Box:
    """Box of a block. (x, y) is the centre of the edge that is nearest to the input."""

    block: Block
    x: float
    y: float
    width: float
    height: float
    within: str = ""  # name of the open module that contains the block
    framed: bool = False  # whether the box is the frame of an open module


@dataclass
class Line:
    """Line of a link between blocks. If `lane` is set, the line is an arc around other blocks."""

    points: list[Point]
    arrow: bool = True
    dashed: bool = False
    lane: float | None = None  # x of the vertical part of an arc
    block: Block | None = None  # projection whose texts are written next to the arc


@dataclass
class Picture:
    """Boxes and lines of some blocks. The input link arrives at x = 0.

    Attributes:
        boxes: Boxes of the blocks.
        lines: Lines of the links.
        rows: For each row, the y at which it begins, and its first block.
        left: Width to the left of x = 0.
        right: Width to the right of x = 0.
        height: Height of the picture.
        leave: The x from which the output link starts.
    """

    boxes: list[Box] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    rows: list[tuple[float, Block]] = field(default_factory=list)
    left: float = 0.0
    right: float = 0.0
    height: float = 0.0
    leave: float = 0.0

    def add(self, other: "Picture", x: float, y: float) -> None:
        """Add the boxes and lines of another picture, shifted by (x, y)."""
        moved = other.mapped(lambda at: at + y, x)
        self.boxes += moved.boxes
        self.lines += moved.lines

    def mapped(self, move: Callable[[float], float], x: float = 0.0) -> "Picture":
        """Return a copy with `move` applied to every y, and with `x` added to every x."""
        boxes = [replace(b, x=b.x + x, y=move(b.y)) for b in self.boxes]
        lines = [
            replace(
                line,
                points=[(px + x, move(py)) for px, py in line.points],
                lane=None if line.lane is None else line.lane + x,
            )
            for line in self.lines
        ]
        rows = [(move(y), block) for y, block in self.rows]
        left, right = self.left - x, self.right + x
        return Picture(boxes, lines, rows, left, right, move(self.height), self.leave + x)


@cache
def text_width(text: str, size: float) -> float:
    """Return the width of a line of text in points."""
    return text_to_path.get_text_width_height_descent(text, FontProperties(size=size), False)[0]


def small_text(block: Block, within: str = "") -> str:
    """Return the small text of a block: its name without the module's name, and output shape."""
    name = block.name.removeprefix(within).lstrip("_/.") or block.name
    name = name if len(name) < 36 else f"{name[:35]}…"
    return f"{name}  {block.size_text}"


def width_of(blocks: list[Block], opened: bool, within: str = "") -> float:
    """Return the width of the widest box that the blocks need for their texts, in points."""
    widths = [0.0]
    for block in blocks:
        if block.inside and opened:
            inner = block.name.partition(" …")[0] if is_framed(block) else ""
            widths.append(width_of(block.inside, opened, inner))
        elif block.kind != "add":
            widths += [text_width(line, FONT) + 12 for line in block.lines]
            widths.append(text_width(small_text(block, within), SMALL) + 12)
    return max(widths)


def times_width(block: Block) -> float:
    """Return the width of the number of repetitions next to a repeated unit; 0 for other blocks."""
    return text_width(f"× {block.times}", 10) * 1.15 + 10 if block.times > 1 else 0.0


def is_framed(block: Block) -> bool:
    """Return whether an open group has a frame. Only a single unit of convolutions has none."""
    return block.kind != "conv" or block.times > 1


def right_of(shape: Box | Line) -> float:
    """Return the x of the right edge of a box or a line, including the texts of an arc."""
    if isinstance(shape, Box):
        return shape.x + shape.width / 2
    if shape.lane is None:
        return max(x for x, _ in shape.points)
    texts = [*shape.block.lines, small_text(shape.block)] if shape.block else []
    return shape.lane + max((text_width(text, FONT) + 6 for text in texts), default=0.0)
