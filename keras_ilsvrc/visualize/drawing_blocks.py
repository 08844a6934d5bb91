"""Blocks of which drawings of a network are made: layers, units and modules, and their links."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from keras_ilsvrc.layers import LocalResponseNormalization, Subsampling2D, TableConv2D
from keras_ilsvrc.layers.graph import Call, walk

# Layers and operations that are not drawn, as in the papers' figures. Softmax is drawn.
HIDDEN = frozenset(
    "Activation ReLU Relu Relu6 LeakyReLU PReLU ELU Sigmoid Tanh Silu Gelu Dropout SpatialDropout2D "
    "GaussianNoise GaussianDropout BatchNormalization Normalization LayerNormalization Identity "
    "Rescaling Flatten Reshape ZeroPadding1D ZeroPadding2D ZeroPadding3D Pad GetItem Cast Squeeze "
    "ExpandDims RandomFlip RandomRotation RandomTranslation RandomZoom RandomContrast".split()
)
MERGES = {"Add": "+", "Multiply": "×", "Subtract": "−", "Concatenate": "concat"}
LONG_RUN = 8  # longest run of equal units that is drawn whole if units are open
MOST_LINES = 8  # largest number of lines in a block


@dataclass(eq=False)
class Block:
    """One block of a drawing: a layer, or a group of layers such as a unit or a module.

    Attributes:
        name: Name of the layer, unit or module.
        kind: Key of `FILLS` in `drawing`, which is the block's colour, or `add` for an addition.
        lines: What the block says about itself, for example `7x7 conv, 64, /2`.
        size: Shape of the output without the batch axis; None for unknown sizes.
        inputs: Layer blocks whose outputs the layer takes; empty for groups.
        inside: Blocks of a group, in topological order; empty for layers.
        times: Number of equal units or modules, one after another, that the block stands for.
        kernel: Height and width of the window of a convolution or pool.
        groups: Number of groups of a convolution.
        shortcut: For a residual unit: `solid` if its shortcut is the identity, else `dashed`.
    """

    name: str
    kind: str
    lines: list[str]
    size: tuple[int | None, ...]
    inputs: list["Block"] = field(default_factory=list)
    inside: list["Block"] = field(default_factory=list)
    times: int = 1
    kernel: tuple[int, ...] = ()
    groups: int = 1
    shortcut: str = ""

    @property
    def size_text(self) -> str:
        return "x".join(str(side or "?") for side in self.size)


Links = dict[Block, list[Block | None]]  # {block: the blocks that it takes its inputs from}


def blocks_of(model: keras.Model) -> list[Block]:
    """Return the blocks of a functional model in topological order, beginning with its inputs.

    Nested models and residual units are groups. So are modules: layers with a common prefix in
    their names that branch off from one layer and end in a merge or in an auxiliary output.
    """
    from keras_ilsvrc.visualize.drawing_towers import split_towers

    root = walk(model)
    images = [Block(x.name, "image", ["input"], tuple(x.shape[1:])) for x in root.inputs]
    sources = dict(zip(map(id, root.inputs), images))
    return modules(split_towers([*images, *_read(root, sources)]))


def _read(call: Call, sources: dict[int, Block]) -> list[Block]:
    """Return the blocks of the calls inside `call`; add the block of each tensor to `sources`."""
    blocks = []
    for inner in call.inside:
        if inner.inside:
            parts = modules(_read(inner, sources))
            blocks += parts if len(parts) < 2 else [group(inner.name, parts)]
            continue
        inputs = distinct(sources[id(x)] for x in inner.inputs if id(x) in sources)
        kind, text = describe(inner)
        if inputs and len(inputs) < 2 and (not kind or kind in ("add", "merge")):
            block = inputs[0]
        else:
            size, kernel = tuple(inner.outputs[0].shape[1:]), kernel_of(inner.operation)
            block = Block(inner.name, kind or "other", [text], size, inputs, kernel=kernel)
            block.groups = getattr(inner.operation, "groups", 1) if kind == "conv" else 1
            blocks.append(block)
        sources.update((id(x), block) for x in inner.outputs)
    return blocks


def describe(call: Call) -> tuple[str, str]:
    """Return the kind and the text of a layer call; the kind of a hidden layer is empty."""
    layer, name = call.operation, type(call.operation).__name__
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"[123]D$", "", name)).lower()
    maps = call.outputs[0].shape[-1]
    kernel = "x".join(map(str, kernel_of(layer)))
    stride = _pair(getattr(layer, "strides", None) or 1)
    step = f", /{max(stride)}" if max(stride) > 1 else ""
    if name in MERGES:
        return ("add" if name == "Add" else "merge"), MERGES[name]
    if name == "Softmax" or getattr(layer, "activation", None) is keras.activations.softmax:
        return "softmax", f"fc, {maps}, softmax" if layer.weights else "softmax"
    if "Pooling" in name or isinstance(layer, Subsampling2D):
        kind = "max pool" if "Max" in name else "average pool"
        kind = "subsampling" if isinstance(layer, Subsampling2D) else kind
        return "pool", f"{kernel} {kind}{step}" if kernel else f"global {kind}"
    if kernel and (hasattr(layer, "filters") or "Depthwise" in name or name == "TableConv2D"):
        kind = words.removesuffix("2d").replace("grouped", "").replace("table", "").strip()
        groups = getattr(layer, "groups", 1)
        divided = f", {groups} groups" if groups > 1 else ""
        return "conv", f"{kernel} {kind}, {maps}{step}{divided}"
    if isinstance(layer, keras.layers.Dense):
        return "dense", f"fc, {maps}"
    if isinstance(layer, LocalResponseNormalization):
        return "norm", "local response norm"
    return ("" if name in HIDDEN or isinstance(layer, _NORMS) else "other"), words


_NORMS = (keras.layers.BatchNormalization, keras.layers.Dropout)


def kernel_of(layer: Any) -> tuple[int, ...]:
    """Return the height and width of a layer's window, or () if it has none."""
    if isinstance(layer, Subsampling2D):
        return (2, 2)
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None) or ()
    return (size, size) if isinstance(layer, TableConv2D) else tuple(_pair(size) if size else ())


def _pair(value: Any) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)


def distinct(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def leaves(block: Block) -> list[Block]:
    """Return the layer blocks in a block, in topological order."""
    return [leaf for part in block.inside for leaf in leaves(part)] or [block]


def links(blocks: Sequence[Block]) -> Links:
    """Return the links between the blocks of one level; None stands for all blocks outside."""
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
    """Return the number of links on the longest path to each block; {None: 0} is outside."""
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
    """Return the block of the main output, the one at the end of the longest path."""
    users, depth = users_of(given), depths(given)
    return max((block for block in given if not users[block]), key=depth.__getitem__)


def modules(blocks: list[Block]) -> list[Block]:
    """Return the blocks, with each module and each auxiliary classifier as a group."""
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
    """Return the blocks with a prefix that lead to `end`, if all their inputs are one block."""
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
    """Return the group of some blocks, with lines that sum up what is inside."""
    given = links(parts)
    end = main_end(given)
    made = Block(name, "group", [], end.size, inside=parts)
    if end.kind == "merge" and len(given[end]) > 1 and end.lines == ["concat"]:
        widths = [str((x or parts[0]).size[-1]) for x in given[end]]
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
    """Replace each run of equal groups, one after another, by its first one with `times` set.

    If groups are drawn open, only runs of more than `LONG_RUN` are replaced, also inside groups.
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
    folded, moved = [], {}
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
