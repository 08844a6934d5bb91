"""Layout of the blocks of a drawing. Lengths are in points; y grows from the input to the output."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.visualize.drawing_blocks import (
    Block,
    Links,
    depths,
    links,
    longest_path,
    main_end,
    users_of,
)

FONT, SMALL = 8.0, 6.0  # sizes of the texts
LINE = 11.0  # height of a line of text
GAP, FORK = 17.0, 30.0  # height between rows, and where links run sideways
ASIDE = 14.0  # distance between blocks beside each other
FRAME = 15.0  # space between the border of an open module and its blocks
LANE = 11.0  # distance between an arc and the blocks that it passes
PLUS = 10.0  # diameter of an addition
EXTRA = "in a checkout of keras_ilsvrc, run python -m pip install '.[draw]'"

Point = tuple[float, float]


@dataclass
class Box:
    """Block with its place: the centre of its edge nearest the input, and its width and height."""

    block: Block
    x: float
    y: float
    width: float
    height: float
    within: str = ""  # name of the open module around it
    framed: bool = False  # whether this is the frame of an open module


@dataclass
class Line:
    """Link between blocks. An arc starts and ends on other lines, and has its own `lane`."""

    points: list[Point]
    arrow: bool = True
    dashed: bool = False
    lane: float | None = None  # x of an arc's long side
    block: Block | None = None  # projection that is drawn as an arc


@dataclass
class Picture:
    """Boxes and lines of some blocks; x is 0 where the link from the input arrives."""

    boxes: list[Box] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    rows: list[tuple[float, Block]] = field(
        default_factory=list
    )  # (where a row begins, a block in it)
    left: float = 0.0
    right: float = 0.0
    height: float = 0.0
    leave: float = 0.0  # x where the link to the output leaves

    def add(self, other: "Picture", x: float, y: float) -> None:
        """Add another picture, moved by x and y."""
        moved = other.mapped(lambda at: at + y, x)
        self.boxes += moved.boxes
        self.lines += moved.lines

    def mapped(self, move: Callable[[float], float], x: float = 0.0) -> "Picture":
        """Return a copy with `move` applied to every y, and moved by `x`."""
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
    """Return the second text of a block: its name, without the name of its module, and its size."""
    name = block.name.removeprefix(within).lstrip("_/.") or block.name
    name = name if len(name) < 36 else f"{name[:35]}…"
    return f"{name}  {block.size_text}"


def width_of(blocks: list[Block], opened: bool, within: str = "") -> float:
    """Return the width of the widest block that is drawn as a box."""
    widths = [0.0]
    for block in blocks:
        if block.inside and opened:
            inner = block.name.partition(" …")[0] if is_framed(block) else ""
            widths.append(width_of(block.inside, opened, inner))
        elif block.kind != "add":
            widths += [text_width(line, FONT) + 12 for line in block.lines]
            widths.append(text_width(small_text(block, within), SMALL) + 12)
    return max(widths)


def _times_width(block: Block) -> float:
    """Return the width of the text that tells how often a unit is repeated."""
    return text_width(f"× {block.times}", 10) * 1.15 + 10 if block.times > 1 else 0.0


def is_framed(block: Block) -> bool:
    """Return whether an open group has a frame: all but single units of convolutions do."""
    return block.kind != "conv" or block.times > 1


Vertex = Block | tuple[Block | None, Block, int] | None


@dataclass
class Arc:
    """Shortcut around other blocks to an addition, with the projection in it, if any."""

    start: Block | None
    end: Block
    projection: Block | None
    dashed: bool


class Level:
    """Layout of the blocks of one level: a whole model, or the inside of a unit or module.

    Args:
        blocks: Blocks in topological order.
        width: Width of all boxes.
        opened: Whether groups show what is inside them.
        entry: Whether a link from outside arrives.
        within: Name of the module whose inside this is; left out of the names in it.
    """

    def __init__(
        self, blocks: list[Block], width: float, opened: bool, entry: bool = False, within: str = ""
    ):
        self.width, self.opened = width, opened
        given = links(blocks)
        self.arcs = _take_arcs(given)
        self.leave = longest_path(given, main_end(given))[-1]
        rows, self.aside = _rows(given), _take_aside(given, self.leave)
        self.parts = {block: self._part(block, within) for block in [*given, *self.aside]}
        row_of: dict[Vertex, int] = {None: 0} if entry else {}
        self.chains: list[list[Vertex]] = []  # for each link, the vertices on its way
        for block, sources in given.items():
            for source in sources if entry else [x for x in sources if x is not None]:
                bends = [(source, block, row) for row in range(rows[source] + 1, rows[block])]
                row_of |= {bend: bend[-1] for bend in bends}
                self.chains.append([source, *bends, block])
            row_of[block] = rows[block]
        numbers = {vertex: number for number, vertex in enumerate(row_of)}
        pairs = [pair for chain in self.chains for pair in pairwise(chain)]
        none = Picture(left=LANE, right=LANE)
        sides = [self.parts.get(vertex, none) for vertex in row_of]  # type: ignore[call-overload]
        edges = [(numbers[a], numbers[b]) for a, b in pairs]
        columns = _columns(list(row_of.values()), edges, [(x.left, x.right) for x in sides])
        self.x = dict(zip(row_of, (x - columns[0] for x in columns)))
        self.row_of, self.tops, self.bottoms = row_of, [0.0], [0.0]
        self.made = Picture()
        self._add_rows(pairs)
        self.made.lines += [self._line(chain) for chain in self.chains]
        for arc in sorted(self.arcs, key=lambda arc: rows[arc.end] - rows[arc.start]):
            self.made.lines.append(self._arc(arc))
        self.made.leave = self.x[self.leave]
        self.made.right = max(
            *(self.x[block] + self.parts[block].right for block in given),
            *(_right(line) for line in self.made.lines),
        )
        self.made.left = max(box.width / 2 - box.x for box in self.made.boxes)
        self._add_aside()
        self.made.left = max(box.width / 2 - box.x for box in self.made.boxes)

    def _part(self, block: Block, within: str) -> Picture:
        """Return the picture of one block, with the link from its input at (0, 0)."""
        if block.kind == "add":
            return Picture(
                [Box(block, 0, 0, PLUS, PLUS)], left=PLUS / 2, right=PLUS / 2, height=PLUS
            )
        if not (block.inside and self.opened):
            height, half = LINE * len(block.lines) + 12, self.width / 2
            made = Picture([Box(block, 0, 0, self.width, height, within)], height=height)
            if block.shortcut:
                x, ends = half + LANE, (-GAP / 3, height + GAP / 3)
                line = Line([(0, ends[0]), (0, ends[1])], True, block.shortcut == "dashed", x)
                made.lines = [line]
            made.left = made.right = half
            made.right = half + (LANE + 2 if block.shortcut else 0) + _times_width(block)
            return made
        if not is_framed(block):
            return Level(block.inside, self.width, True, True).made
        inner = Level(block.inside, self.width, True, True, block.name.partition(" …")[0]).made
        made = Picture()
        made.add(inner, 0, FRAME - GAP)
        title = text_width(block.name, 7) * 1.15 + 8  # to the left of the link in the middle
        half = max(max(inner.left, inner.right) + FRAME / 2, title)
        height = inner.height + 2 * FRAME - GAP
        made.boxes.insert(0, Box(block, 0, 0, 2 * half, height, framed=True))
        if block not in self.aside:
            points = [(inner.leave, height - FRAME), (inner.leave, height)]
            made.lines.append(Line(points, arrow=False))
        made.left, made.right, made.height, made.leave = half, half, height, inner.leave
        made.right += _times_width(block)
        return made

    def _add_rows(self, pairs: list[tuple[Vertex, Vertex]]) -> None:
        """Set the top and bottom of each row, and add the pictures of the blocks in it."""
        self.tops, self.bottoms, y = [], [], 0.0
        for row in range(max(self.row_of.values()) + 1):
            here = [x for x, at in self.row_of.items() if at == row and isinstance(x, Block)]
            arriving = [pair for pair in pairs if self.row_of[pair[1]] == row]
            through = here and all(self._through(block) for block in here)
            branch = any(self.row_of[source] == row - 1 for source in self.aside.values())
            if branch or any(abs(self.x[a] + self._leave(a) - self.x[b]) > 1 for a, b in arriving):
                y += FORK
            elif row and not through:
                y += GAP
            height = max((self.parts[block].height for block in here), default=0.0)
            self.tops.append(y)
            for block in here:
                at = y + (height - self.parts[block].height) / 2
                self.made.add(self.parts[block], self.x[block], at)
            if here:  # a unit without frame begins with a link; others are entered by an arc above
                self.made.rows.append((y + 1 if through else y - GAP / 2, here[0]))
            y += height
            self.bottoms.append(y)
        self.made.height = y

    def _add_aside(self) -> None:
        """Add the auxiliary outputs to the left of all other blocks, below each other."""
        free = 0.0
        for block, source in self.aside.items():
            part, row = self.parts[block], self.row_of[source] + 1
            x, y = -self.made.left - ASIDE - part.right, max(free, self.tops[row])
            self.made.add(part, x, y)
            start = (self.x[source] + self._leave(source), self._ends(source)[1])
            bend = [(x, self.tops[row]), (x, self.tops[row])] if y > self.tops[row] else []
            self.made.lines.append(Line([start, *bend, (x, y)], not (self.opened and block.inside)))
            free = y + part.height + GAP
            self.made.height = max(self.made.height, y + part.height)

    def _through(self, block: Block) -> bool:
        """Return whether a block is an open unit without frame, which begins with its own gap."""
        return bool(block.inside) and self.opened and not is_framed(block)

    def _leave(self, vertex: Vertex) -> float:
        return self.parts[vertex].leave if isinstance(vertex, Block) else 0.0

    def _ends(self, vertex: Vertex) -> Point:
        """Return the y at which a vertex begins and ends, in the middle of its row."""
        top, bottom = self.tops[self.row_of[vertex]], self.bottoms[self.row_of[vertex]]
        space = bottom - top - self.parts[vertex].height if isinstance(vertex, Block) else 0.0
        return top + space / 2, bottom - space / 2

    def _line(self, chain: list[Vertex]) -> Line:
        points = []
        for a, b in pairwise(chain):
            points.append((self.x[a] + self._leave(a), self._ends(a)[1]))
            points.append((self.x[b], self._ends(b)[0]))
        target = chain[-1]
        inside = isinstance(target, Block) and self.opened and bool(target.inside)
        return Line(points, arrow=not inside)

    def _arc(self, arc: "Arc") -> Line:
        """Return the line of a shortcut, to the right of everything that it passes."""
        start, end = self._ends(arc.start)[1] + GAP / 3, sum(self._ends(arc.end)) / 2
        passed = [
            _right(shape)
            for shape in [*self.made.boxes, *self.made.lines]
            if (isinstance(shape, Box) and start < shape.y + shape.height and shape.y < end)
            or (isinstance(shape, Line) and shape.lane is not None and start <= shape.points[-1][1])
            and shape.points[0][1] <= end
        ]
        x = max(passed, default=0.0) + LANE
        source, target = self.x[arc.start] + self._leave(arc.start), self.x[arc.end]
        points = [(source, start), (target + PLUS / 2, end)]
        return Line(points, True, arc.dashed, x, arc.projection)


def _right(shape: Box | Line) -> float:
    """Return the x of the right edge of a box or an arc, including its label."""
    if isinstance(shape, Box):
        return shape.x + shape.width / 2
    if shape.lane is None:
        return max(x for x, _ in shape.points)
    texts = [*shape.block.lines, small_text(shape.block)] if shape.block else []
    return shape.lane + max((text_width(text, FONT) + 6 for text in texts), default=0.0)


def _take_arcs(given: Links) -> list[Arc]:
    """Remove the shortcuts from the links, and return them as arcs."""
    users, depth, arcs = users_of(given), depths(given), []

    def behind(block: Block | None, source: Block | None) -> bool:
        """Return whether `source` is among the blocks that `block` is computed from."""
        waiting, seen = [block], {block}
        while waiting:
            found = waiting.pop()
            if found is source:
                return True
            for x in given[found] if found is not None else ():
                if x not in seen and depth[x] >= depth[source]:
                    seen.add(x)
                    waiting.append(x)
        return False

    for end in [block for block in given if block.kind == "add"]:
        for source in list(given[end]):
            others = [x for x in given[end] if x is not source]
            if any(behind(x, source) for x in others):
                given[end] = others
                size = source.size if source else ()
                arcs.append(Arc(source, end, None, bool(size) and size != end.size))
            elif source and source.kind == "conv" and users[source] == [end] and others:
                before = given[source][0] if len(given[source]) == 1 else source
                deeper = [x for x in others if depth[x] > depth[source] and behind(x, before)]
                if before is not source and deeper:
                    given[end] = others
                    del given[source]
                    arcs.append(Arc(before, end, source, True))
    return arcs


def _take_aside(given: Links, main: Block) -> dict[Block, Block]:
    """Remove other outputs than the main one from the links; return {output: its input}."""
    users, aside = users_of(given), {}
    for block in [block for block in given if not users[block] and block is not main]:
        source = given[block][0] if len(given[block]) == 1 else None
        if source and len(users[source]) > 1:
            del given[block]
            aside[block] = source
    return aside


def _rows(given: Links) -> dict[Block | None, int]:
    """Return the row of each block: as late as possible, unless that makes links longer."""
    rows, users = depths(given), users_of(given)
    for block in reversed(given):
        if users[block] and len(given[block]) <= len(users[block]):
            rows[block] = min(rows[user] for user in users[block]) - 1
    return rows


def _columns(
    rows: list[int], edges: list[tuple[int, int]], sides: list[tuple[float, float]]
) -> list[float]:
    """Return the x of each vertex, so that few links cross and blocks do not overlap.

    Args:
        rows: Row of each vertex.
        edges: Links between vertices of neighbouring rows.
        sides: Width of each vertex to the left and right of its centre.
    """
    if len(set(rows)) == len(rows):
        return [0.0] * len(rows)
    try:
        import igraph
    except ImportError as error:
        raise InputError(f"networks with branches are drawn with igraph: {EXTRA}") from error
    graph = igraph.Graph(len(rows), edges, directed=True)
    found = [x for x, _ in graph.layout_sugiyama(layers=rows, maxiter=200).coords[: len(rows)]]
    scale = 0.0
    order = sorted(range(len(rows)), key=lambda number: (rows[number], found[number]))
    for a, b in pairwise(order):
        if rows[a] == rows[b]:
            needed = sides[a][1] + sides[b][0] + ASIDE
            scale = max(scale, needed / max(found[b] - found[a], 1e-3))
    return [x * scale for x in found]
