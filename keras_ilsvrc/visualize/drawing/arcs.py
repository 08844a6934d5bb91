"""Shortcuts and auxiliary outputs, which are drawn to the side of the other blocks."""

from dataclasses import dataclass

from keras_ilsvrc.visualize.drawing.blocks import Block
from keras_ilsvrc.visualize.drawing.groups import Links, depths, users_of


@dataclass
class Arc:
    """Shortcut that skips some blocks and ends at an addition.

    Attributes:
        start: Block whose output the shortcut takes; None if it is outside the level.
        end: Addition at which the shortcut ends.
        projection: Convolution on the shortcut; None if there is none.
        dashed: Whether the line is dashed, because the shortcut changes the shape.
    """

    start: Block | None
    end: Block
    projection: Block | None
    dashed: bool


def take_arcs(given: Links) -> list[Arc]:
    """Remove the shortcuts from the links, and return them as arcs."""
    users, depth, arcs = users_of(given), depths(given), []

    def depends_on(block: Block | None, source: Block | None) -> bool:
        """Return whether `block` is computed from `source`, directly or through other blocks."""
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
            if any(depends_on(x, source) for x in others):
                given[end] = others
                size = source.size if source else ()
                arcs.append(Arc(source, end, None, bool(size) and size != end.size))
            elif source and source.kind == "conv" and users[source] == [end] and others:
                before = given[source][0] if len(given[source]) == 1 else source
                deeper = [x for x in others if depth[x] > depth[source] and depends_on(x, before)]
                if before is not source and deeper:
                    given[end] = others
                    del given[source]
                    arcs.append(Arc(before, end, source, True))
    return arcs


def take_aside(given: Links, main: Block) -> dict[Block, Block]:
    """Remove auxiliary outputs from the links; return them as {output block: its input block}."""
    users, aside = users_of(given), {}
    for block in [block for block in given if not users[block] and block is not main]:
        source = given[block][0] if len(given[block]) == 1 else None
        if source and len(users[source]) > 1:
            del given[block]
            aside[block] = source
    return aside
