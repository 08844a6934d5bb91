"""Conversion of functional models to the blocks of a drawing."""

import keras

from keras_ilsvrc.layers.graph import Call, walk
from keras_ilsvrc.visualize.drawing.blocks import Block, describe, kernel_of
from keras_ilsvrc.visualize.drawing.groups import distinct, group, modules
from keras_ilsvrc.visualize.drawing.towers import split_towers


def blocks_of(model: keras.Model) -> list[Block]:
    """Return the blocks of a functional model in topological order, beginning with its inputs.

    Nested models and residual units become groups. So do modules: layers with a common name prefix
    that branch off from one layer and end in a merge or in an auxiliary output.
    """
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
