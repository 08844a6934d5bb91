"""Shortcuts and auxiliary outputs, which are drawn beside the other blocks."""

from dataclasses import dataclass

from keras_ilsvrc.visualize.drawing.blocks import Block
from keras_ilsvrc.visualize.drawing.groups import Links, depths, users_of


@dataclass
class Arc:
    """Shortcut around other blocks to an addition, with the projection in it, if any."""

    start: Block | None
    end: Block
    projection: Block | None
    dashed: bool


def take_arcs(given: Links) -> list[Arc]:
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


def take_aside(given: Links, main: Block) -> dict[Block, Block]:
    """Remove other outputs than the main one from the links; return {output: its input}."""
    users, aside = users_of(given), {}
    for block in [block for block in given if not users[block] and block is not main]:
        source = given[block][0] if len(given[block]) == 1 else None
        if source and len(users[source]) > 1:
            del given[block]
            aside[block] = source
    return aside
