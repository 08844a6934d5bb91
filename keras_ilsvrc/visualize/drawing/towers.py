"""Towers: the two parallel halves of layers around grouped convolutions (AlexNet, figure 2)."""

from dataclasses import replace

from keras_ilsvrc.visualize.drawing.blocks import Block
from keras_ilsvrc.visualize.drawing.groups import links

APART = ("pool", "norm")  # kinds of layers that do not mix the maps of the two towers


def split_towers(blocks: list[Block]) -> list[Block]:
    """Split each layer of the towers into two blocks, one for each tower, and return all blocks.

    The towers begin at the convolution before the first one with two groups. They end with the last
    hidden fully connected layer, as in the paper, or else after the last convolution with two
    groups. Models with other layers or branches in between are not changed.
    """
    grouped = [number for number, block in enumerate(blocks) if block.groups == 2]
    if not grouped:
        return blocks
    first, last = grouped[0], grouped[-1]
    while blocks[first - 1].kind in APART:
        first -= 1
    first -= blocks[first - 1].kind == "conv"
    while last + 1 < len(blocks) and blocks[last + 1].kind in APART:
        last += 1
    dense = [number for number, block in enumerate(blocks) if block.kind == "dense"]
    if dense[:1] == [last + 1]:
        last = dense[-2] if len(dense) > 1 else last
    given, region = links(blocks), blocks[first : last + 1]
    for before, block in zip(blocks[first - 1 :], region):
        known = block.kind in (*APART, "conv", "dense") and block.groups in (1, 2)
        if not known or given[block] != [before] or (block.size[-1] or 1) % 2:
            return blocks
    halves: dict[Block, list[Block]] = {}
    made = []
    for block in blocks:
        sources = [halves.get(x, [x]) for x in block.inputs]
        if block not in region:
            block.inputs = [x for parts in sources for x in parts]
            made.append(block)
            continue
        alone = block.kind in APART or block.groups == 2
        halves[block] = [_half(block, tower, sources, alone) for tower in (0, 1)]
        made += halves[block]
    return made


def _half(block: Block, tower: int, sources: list[list[Block]], alone: bool) -> Block:
    """Return the half of a layer in one tower. If `alone`, its inputs are only from this tower."""
    maps = block.size[-1] or 0
    text = block.lines[0].replace(", 2 groups", "")
    if block.kind in ("conv", "dense"):
        text = text.replace(f", {maps}", f", {maps // 2}")
    inputs = [x for parts in sources for x in ([parts[tower % len(parts)]] if alone else parts)]
    size = (*block.size[:-1], maps // 2)
    return replace(block, lines=[text], size=size, inputs=inputs, groups=1)
