"""Links between blocks, and groups of blocks: units, modules, and runs of equal units."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from keras_ilsvrc.visualize.drawing.blocks import Block

LONG_RUN = 8  # maximum number of consecutive equal units that are drawn separately if opened
MOST_LINES = 8  # maximum number of lines of text in a block
Links = dict[Block, list[Block | None]]  # {block: blocks that its inputs come from}


def distinct(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def leaves(block: Block) -> list[Block]:
    """Return the layer blocks in a block, in topological order."""
    return [leaf for part in block.inside for leaf in leaves(part)] or [block]


def links(blocks: Sequence[Block]) -> Links:
    """Return the links between the blocks of one level; None is any block outside the level."""
    owner = {leaf: block for block in blocks for leaf in leaves(block)}
    return {
        block: [
            source
            for source in distinct(owner.get(x) for leaf in leaves(block) for x in leaf.inputs)
            if source is not block
        ]
        for block in blocks
    }


def users_of(given: Links) -> dict[Block | None, list[Block]]:
    """Return {block: the blocks that take its output}."""
    users: dict[Block | None, list[Block]] = {block: [] for block in given}
    for block, sources in given.items():
        for source in sources:
            users.setdefault(source, []).append(block)
    return users


def depths(given: Links) -> dict[Block | None, int]:
    """Return {block: number of links on the longest path to it}; None, outside, has depth 0."""
    found: dict[Block | None, int] = {None: 0}
    for block, sources in given.items():
        found[block] = max((found[source] + 1 for source in sources), default=0)
    return found


def longest_path(given: Links, end: Block) -> list[Block]:
    """Return the blocks on the longest path to `end`."""
    depth, path = depths(given), [end]
    while sources := [source for source in given[path[-1]] if source is not None]:
        path.append(max(sources, key=depth.__getitem__))
    return path[::-1]


def main_end(given: Links) -> Block:
    """Return the block of the main output, which is at the end of the longest path."""
    users, depth = users_of(given), depths(given)
    return max((block for block in given if not users[block]), key=depth.__getitem__)


def modules(blocks: list[Block]) -> list[Block]:
    """Replace the blocks of each module and each auxiliary classifier with one group."""
    given = links(blocks)
    users, main = users_of(given), main_end(given)
    groups: dict[Block, Block] = {}
    taken: set[Block] = set()
    for end in reversed(blocks):
        branches = len(given[end]) > 1 or (not users[end] and end is not main)
        words = [*re.finditer(r"(?<=[^_/.])(?=[_/.]|$)", end.name)] if branches else []
        for word in reversed(words):
            region = _region(end, end.name[: word.start()], given, users) - taken
            if len(region) > 1 and end in region:
                parts = [block for block in blocks if block in region]
                groups[end] = group(end.name[: word.start()], parts)
                taken |= region
                break
    return [groups.get(block, block) for block in blocks if block in groups or block not in taken]


def _region(end: Block, prefix: str, given: Links, users: Any) -> set[Block]:
    """Return `end` and the blocks with a name prefix that it is computed from.

    Return an empty set unless these blocks take their inputs from only one other block, and only
    the output of `end` is used by other blocks.
    """
    region, waiting = {end}, [end]
    while waiting:
        for source in given[waiting.pop()]:
            own = source is not None and re.match(rf"{re.escape(prefix)}([_/.]|$)", source.name)
            if source is not None and own and source not in region:
                region.add(source)
                waiting.append(source)
    entries = {source for block in region for source in given[block] if source not in region}
    closed = all(user in region for block in region - {end} for user in users[block])
    return region if closed and len(entries) == 1 else set()


def group(name: str, parts: list[Block]) -> Block:
    """Return a group of blocks, with lines of text that summarise these blocks."""
    given = links(parts)
    end = main_end(given)
    made = Block(name, "group", [], end.size, inside=parts)
    if end.kind == "merge" and len(given[end]) > 1 and end.lines == ["concat"]:
        widths = [str(x.size[-1]) for x in end.inputs]
        made.lines = [f"{' + '.join(widths)} maps"]
        return made
    path = [block for block in longest_path(given, end) if block.kind not in ("add", "merge")]
    made.lines = [line for block in path for line in block.lines]
    if len(made.lines) > MOST_LINES:
        made.lines = [f"{sum(len(leaves(block)) for block in parts)} layers"]
    if {block.kind for block in parts} <= {"conv", "add"}:
        made.kind = "conv"
    if end.kind == "add":
        before = [x.size for leaf in parts for x in leaf.inputs if x not in parts]
        made.shortcut = "solid" if before and before[0] == made.size else "dashed"
    return made


def fold_runs(blocks: list[Block], opened: bool) -> list[Block]:
    """Replace each run of consecutive equal groups with its first group, with `times` set.

    If `opened`, only runs of more than `LONG_RUN` groups are replaced, also inside groups.
    """
    given = links(blocks)
    users = users_of(given)
    runs: list[list[Block]] = []
    for block in blocks:
        last = runs[-1][-1] if runs else None
        follows = last is not None and given[block] == [last] and users[last] == [block]
        if follows and block.inside and _signature(block) == _signature(runs[-1][0]):
            runs[-1].append(block)
        else:
            runs.append([block])
    folded: list[Block] = []
    moved: dict[Block, Block] = {}
    for run in runs:
        if opened and run[0].inside:
            run[0].inside = fold_runs(run[0].inside, opened)
        if len(run) > (LONG_RUN if opened else 1):
            names = f"{run[0].name} … {run[-1].name}"
            folded.append(replace(run[0], name=names, times=len(run)))
            moved.update(zip(leaves(run[-1]), leaves(run[0])))
        else:
            folded += run
    for leaf in [leaf for block in folded for leaf in leaves(block)] if moved else []:
        leaf.inputs = distinct(moved.get(x, x) for x in leaf.inputs)
    return folded


def _signature(block: Block) -> tuple[Any, ...]:
    inner = tuple(map(_signature, block.inside))
    return (block.kind, tuple(block.lines), block.size, block.shortcut, inner)
