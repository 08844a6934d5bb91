"""A model's account: one walk over its calls."""

import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_ilsvrc.accounting.cost import cost
from keras_ilsvrc.accounting.geometry import pixels, window
from keras_ilsvrc.accounting.rows import Account, Row, sums
from keras_ilsvrc.accounting.span import Window
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.layers.graph import Call, functional, walk


def account(model: keras.Model, opened: bool = False) -> Account:
    """What a functional model costs layer by layer, and what its units see of the image.

    There is a row for each call of a layer and of an operation of `keras.ops`. A layer of another
    kind than Keras' tells what it costs by a method `cost(output_shape)`, which returns units,
    connections and multiply-adds for a shape without the batch, and what it sees by a method
    `window()`, which returns its kernel and its stride, a number an axis each, and means that it
    pads nothing. Where a layer tells no window, its own and those of all behind it are None. Where
    one with weights tells no cost, its cost and the model's are None; its weights are counted.

    Args:
        model: Functional or sequential, channels last, for images of a known size.
        opened: Whether what is inside units and nested models has rows, not they themselves.

    Raises:
        InputError: If the model is not built or is no graph of layers, if a size in it is not
            known, or if it is channels first.
    """
    if not isinstance(model, keras.Model):
        raise InputError(f"model is a {type(model).__name__}; expected a keras.Model")
    if not functional(model):
        raise InputError(
            f"{model.name} ({type(model).__name__}) has no graph to account for; make it from a "
            "keras.Input: functional, or a Sequential that begins with one"
        )
    for x in model.inputs:
        if None in x.shape[1:]:
            raise InputError(
                f"{model.name} takes images of {x.shape[1:]}; build it with a known size, as "
                "input_shape=(224, 224, 3)"
            )
    ledger = Ledger(model.inputs)
    rows: list[Row] = []
    whole = walk(model)
    for call in whole.inside:
        inside = ledger.rows(call)
        rows += inside if opened else [ledger.row(call, sums(inside))]
    depth = max(ledger.depths.get(id(x), 0) for x in whole.outputs)
    return Account(name=model.name, depth=depth, rows=tuple(rows), **sums(rows))


class Ledger:
    """What is known on the way through a model: windows and depths of tensors, weights counted."""

    def __init__(self, images: Iterable[Any]) -> None:
        self.windows: dict[int, Window | None] = {id(image): pixels(image) for image in images}
        self.counted: set[int] = set()
        self.depths: dict[int, int] = {}

    def rows(self, call: Call) -> list[Row]:
        """A row for each call of a layer or operation inside, or the call's own."""
        if call.inside:
            return [row for part in call.inside for row in self.rows(part)]
        layer = call.operation
        for x in call.outputs:
            if None in x.shape[1:]:
                raise InputError(
                    f"layer {call.name!r} returns {x.shape[1:]}; build the model such that its "
                    "size is known"
                )
        if getattr(layer, "data_format", None) == "channels_first":
            raise InputError(f"layer {call.name!r} is channels first; build it channels last")
        seen = window(call, [self.windows[id(x)] for x in call.inputs])
        for x in call.outputs:
            self.windows.setdefault(id(x), seen)  # an empty nested model returns its inputs
        units, connections, macs = cost(call)
        above = max((self.depths.get(id(x), 0) for x in call.inputs), default=0)
        for x in call.outputs:
            self.depths.setdefault(id(x), above + bool(units))
        numbers = {
            "parameters": self.count(getattr(layer, "trainable_weights", ())),
            "statistics": self.count(getattr(layer, "non_trainable_weights", ())),
            "units": units,
            "connections": connections,
            "macs": macs,
            "memory": sum(map(memory, call.outputs)),
        }
        return [self.row(call, numbers)]

    def row(self, call: Call, numbers: dict[str, Any]) -> Row:
        """The row of a call with these numbers."""
        output = call.outputs[0]
        seen = self.windows[id(output)]
        name, kind, size = call.name, type(call.operation).__name__, output.shape[1:]
        start, field, stride = (None,) * 3 if seen is None else zip(*seen) if seen else ((),) * 3
        return Row(
            name=name, kind=kind, size=size, field=field, stride=stride, start=start, **numbers
        )

    def count(self, weights: Iterable[Any]) -> int:
        """How many values weights have that were not counted before."""
        new = [weight for weight in weights if id(weight) not in self.counted]
        self.counted.update(map(id, new))
        return sum(math.prod(weight.shape) for weight in new)


def memory(x: Any) -> int:
    """Bytes of a tensor for one image."""
    return math.prod(x.shape[1:]) * np.dtype(x.dtype).itemsize
