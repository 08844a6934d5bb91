"""Layout of the blocks of one level: a whole model, or the inside of a unit or module."""

from itertools import pairwise

from keras_ilsvrc.visualize.drawing.arcs import Arc, take_arcs, take_aside
from keras_ilsvrc.visualize.drawing.blocks import Block
from keras_ilsvrc.visualize.drawing.columns import columns, rows_of
from keras_ilsvrc.visualize.drawing.groups import links, longest_path, main_end
from keras_ilsvrc.visualize.drawing.picture import (
    ASIDE,
    FORK,
    FRAME,
    GAP,
    LANE,
    LINE,
    PLUS,
    Box,
    Line,
    Picture,
    Point,
    is_framed,
    right_of,
    text_width,
    times_width,
)

Vertex = Block | tuple[Block | None, Block, int] | None


class Level:
    """Layout of the blocks of one level: a whole model, or the inside of a unit or module.

    Args:
        blocks: Blocks in topological order.
        width: Width of all boxes, in points.
        opened: Whether the blocks inside groups are drawn.
        entry: Whether the level has an input link from outside.
        within: Name of the enclosing module, which is removed from the names of the blocks.
    """

    def __init__(
        self, blocks: list[Block], width: float, opened: bool, entry: bool = False, within: str = ""
    ):
        self.width, self.opened = width, opened
        given = links(blocks)
        self.arcs = take_arcs(given)
        self.leave = longest_path(given, main_end(given))[-1]
        rows, self.aside = rows_of(given), take_aside(given, self.leave)
        self.parts = {block: self._part(block, within) for block in [*given, *self.aside]}
        row_of: dict[Vertex, int] = {None: 0} if entry else {}
        self.chains: list[list[Vertex]] = []  # for each link, the vertices on its path
        for block, sources in given.items():
            for source in sources if entry else [x for x in sources if x is not None]:
                bends = [(source, block, row) for row in range(rows[source] + 1, rows[block])]
                row_of |= {bend: bend[-1] for bend in bends}
                self.chains.append([source, *bends, block])
            row_of[block] = rows[block]
        numbers = {vertex: number for number, vertex in enumerate(row_of)}
        pairs = [pair for chain in self.chains for pair in pairwise(chain)]
        none = Picture(left=LANE, right=LANE)
        sides = [self.parts[x] if isinstance(x, Block) else none for x in row_of]
        edges = [(numbers[a], numbers[b]) for a, b in pairs]
        found = columns(list(row_of.values()), edges, [(x.left, x.right) for x in sides])
        self.x = dict(zip(row_of, (x - found[0] for x in found)))
        self.row_of, self.tops, self.bottoms = row_of, [0.0], [0.0]
        self.made = Picture()
        self._add_rows(pairs)
        self.made.lines += [self._line(chain) for chain in self.chains]
        for arc in sorted(self.arcs, key=lambda arc: rows[arc.end] - rows[arc.start]):
            self.made.lines.append(self._arc(arc))
        self.made.leave = self.x[self.leave]
        rights = [self.x[block] + self.parts[block].right for block in given]
        self.made.right = max(rights + [right_of(line) for line in self.made.lines])
        self.made.left = max(box.width / 2 - box.x for box in self.made.boxes)
        self._add_aside()
        self.made.left = max(box.width / 2 - box.x for box in self.made.boxes)

    def _part(self, block: Block, within: str) -> Picture:
        """Return the picture of one block; its input link arrives at (0, 0)."""
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
            made.right = half + (LANE + 2 if block.shortcut else 0) + times_width(block)
            return made
        if not is_framed(block):
            return Level(block.inside, self.width, True, True).made
        inner = Level(block.inside, self.width, True, True, block.name.partition(" …")[0]).made
        made = Picture()
        made.add(inner, 0, FRAME - GAP)
        title = text_width(block.name, 7) * 1.15 + 8  # must fit to the left of the centre link
        half = max(max(inner.left, inner.right) + FRAME / 2, title)
        height = inner.height + 2 * FRAME - GAP
        made.boxes.insert(0, Box(block, 0, 0, 2 * half, height, framed=True))
        if block not in self.aside:
            points = [(inner.leave, height - FRAME), (inner.leave, height)]
            made.lines.append(Line(points, arrow=False))
        made.left, made.right, made.height, made.leave = half, half, height, inner.leave
        made.right += times_width(block)
        return made

    def _add_rows(self, pairs: list[tuple[Vertex, Vertex]]) -> None:
        """Set the top and bottom of each row, and add the pictures of the blocks in it."""
        self.tops, self.bottoms, y = [], [], 0.0
        for row in range(max(self.row_of.values()) + 1):
            here = [x for x, at in self.row_of.items() if at == row and isinstance(x, Block)]
            arriving = [pair for pair in pairs if self.row_of[pair[1]] == row]
            own_gap = here and all(self._has_own_gap(block) for block in here)
            branch = any(self.row_of[source] == row - 1 for source in self.aside.values())
            if branch or any(abs(self.x[a] + self._leave(a) - self.x[b]) > 1 for a, b in arriving):
                y += FORK
            elif row and not own_gap:
                y += GAP
            height = max((self.parts[block].height for block in here), default=0.0)
            self.tops.append(y)
            for block in here:
                at = y + (height - self.parts[block].height) / 2
                self.made.add(self.parts[block], self.x[block], at)
            if here:  # a row begins in the gap above it, below the point where an arc may start
                self.made.rows.append((y + 1 if own_gap else y - GAP / 2, here[0]))
            y += height
            self.bottoms.append(y)
        self.made.height = y

    def _add_aside(self) -> None:
        """Add the auxiliary outputs to the left of all other blocks, one below the other."""
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

    def _has_own_gap(self, block: Block) -> bool:
        """Return whether a block is an open unit without a frame. Its picture begins with a gap."""
        return bool(block.inside) and self.opened and not is_framed(block)

    def _leave(self, vertex: Vertex) -> float:
        return self.parts[vertex].leave if isinstance(vertex, Block) else 0.0

    def _ends(self, vertex: Vertex) -> Point:
        """Return the top and bottom y of a vertex, which is centred vertically in its row."""
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
        """Return the line of a shortcut, to the right of all boxes and arcs that it passes."""
        start, end = self._ends(arc.start)[1] + GAP / 3, sum(self._ends(arc.end)) / 2
        passed = [
            right_of(box) for box in self.made.boxes if start < box.y + box.height and box.y < end
        ]
        for line in self.made.lines:
            if line.lane is not None and start <= line.points[-1][1] and line.points[0][1] <= end:
                passed.append(right_of(line))
        x = max(passed, default=0.0) + LANE
        source, target = self.x[arc.start] + self._leave(arc.start), self.x[arc.end]
        points = [(source, start), (target + PLUS / 2, end)]
        return Line(points, True, arc.dashed, x, arc.projection)
