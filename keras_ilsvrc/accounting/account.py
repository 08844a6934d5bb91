"""The function `account`: table of parameters, operations and receptive fields of a model."""

import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_ilsvrc.accounting.cost import cost
from keras_ilsvrc.accounting.geometry import Window, pixels, window
from keras_ilsvrc.accounting.rows import Account, Row, sums
from keras_ilsvrc.layers.graph import Call, functional, walk
from keras_ilsvrc.utils.errors import InputError


def account(model: keras.Model, opened: bool = False) -> Account:
    """Return a table of parameters, operations and receptive fields, with a row for each layer.

    There is one row for each call of a layer or of a `keras.ops` operation. A custom layer can
    define `cost(output_shape)`, which takes a shape without the batch axis and returns the numbers
    of units, connections and multiply-adds. If it uses no padding, it can also define `window()`,
    which returns the kernel size and the stride, each with one number per axis. After a layer whose
    window is unknown, receptive fields are None. If the cost of a layer with weights is unknown,
    its cost and the total cost of the model are None, but its weights are counted.

    Args:
        model: Functional or Sequential model, channels last, with a known input size.
        opened: Whether the layers inside residual units and nested models have separate rows.

    Raises:
        InputError: If the model is not functional or not built, if the size of one of its tensors
            is unknown, or if a layer uses channels_first.
    """
    if not isinstance(model, keras.Model):
        raise InputError(f"model is a {type(model).__name__}; expected a keras.Model")
    if not functional(model):
        raise InputError(
            f"{model.name} ({type(model).__name__}) is not a built functional model; build it from "
            "keras.Input, or as a Sequential model that begins with a keras.Input"
        )
    for x in model.inputs:
        if None in x.shape[1:]:
            raise InputError(
                f"{model.name} has the input shape {x.shape[1:]}, which contains an unknown size; "
                "build it with a known size, for example input_shape=(224, 224, 3)"
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
    """Intermediate results of `account`.

    Attributes:
        windows: {`id` of a tensor: its receptive fields}, None where they are unknown.
        counted: `id` of each weight that has been counted.
        depths: {`id` of a tensor: number of layers with units on the longest path to it}.
    """

    def __init__(self, images: Iterable[Any]) -> None:
        self.windows: dict[int, Window | None] = {id(image): pixels(image) for image in images}
        self.counted: set[int] = set()
        self.depths: dict[int, int] = {}

    def rows(self, call: Call) -> list[Row]:
        """Return the table rows of a call: one row, or one for each layer in a nested model."""
        if call.inside:
            return [row for part in call.inside for row in self.rows(part)]
        layer = call.operation
        for x in call.outputs:
            if None in x.shape[1:]:
                raise InputError(
                    f"layer {call.name!r} has the output shape {x.shape[1:]}, which contains an "
                    "unknown size; build the model so that this size is known"
                )
        if getattr(layer, "data_format", None) == "channels_first":
            raise InputError(
                f"layer {call.name!r} has data_format='channels_first'; build it with "
                "data_format='channels_last'"
            )
        seen = window(call, [self.windows[id(x)] for x in call.inputs])
        for x in call.outputs:
            # Keep existing entries. In a model without layers, the input is also the output.
            self.windows.setdefault(id(x), seen)
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
        """Return the table row of a layer call, given its counts."""
        output = call.outputs[0]
        seen = self.windows[id(output)]
        name, kind, size = call.name, type(call.operation).__name__, output.shape[1:]
        start, field, stride = (None,) * 3 if seen is None else zip(*seen) if seen else ((),) * 3
        return Row(
            name=name, kind=kind, size=size, field=field, stride=stride, start=start, **numbers
        )

    def count(self, weights: Iterable[Any]) -> int:
        """Return the number of parameters in those `weights` that have not been counted before."""
        new = [weight for weight in weights if id(weight) not in self.counted]
        self.counted.update(map(id, new))
        return sum(math.prod(weight.shape) for weight in new)


def memory(x: Any) -> int:
    """Return the size of a tensor in bytes, for a batch of one image."""
    return math.prod(x.shape[1:]) * np.dtype(x.dtype).itemsize
