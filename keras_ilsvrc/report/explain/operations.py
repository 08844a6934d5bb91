"""Conversion of networks to lists of operations that the page's JavaScript computes."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_ilsvrc.accounting import account
from keras_ilsvrc.layers.graph import leaf_calls, single, walk
from keras_ilsvrc.report.explain.rules import COPIES, activation_of, step_of
from keras_ilsvrc.weights.folding import folded

HIDDEN = ("pad", "slice")  # kinds of operations that have no row on the page
NAMES = {"relu": "ReLU", "relu6": "ReLU6", "elu": "ELU", "silu": "SiLU"}


@dataclass
class Operation:
    """Operation on one image or vector: a layer, with the activation that follows it.

    Attributes:
        name: Name of the layer.
        output: Name of the layer that returns the result: the activation layer, if there is one.
        kind: Name of the JavaScript function, as in `rules.Step`.
        title: Short description of the layer for the reader of the page.
        inputs: Indices of the operations whose results are the inputs; -1 is the image.
        shape: Shape of the result: (height, width, channels), or (units,).
        activation: Name in JavaScript of the activation that is applied at the end.
        settings: Numeric arguments of the function.
        weights: Array arguments of the function.
        span: Start, size and stride of the receptive fields in pixels, each as (along the rows,
            along the columns), as in `accounting`. None if unknown.
    """

    name: str
    output: str
    kind: str
    title: str
    inputs: list[int]
    shape: tuple[int, ...]
    activation: str
    settings: dict[str, Any] = field(repr=False)
    weights: dict[str, np.ndarray] = field(repr=False)
    span: list[tuple[int, ...]] | None = None

    @property
    def shown(self) -> bool:
        """Whether the page has a row for the operation. The final softmax is the page's answer."""
        return self.kind not in HIDDEN and self.activation != "softmax"

    def table(self) -> dict[str, Any]:
        """Return the operation as a dict for the page's JavaScript, without its weights."""
        applied = NAMES.get(self.activation, self.activation.replace("_", " "))
        words = [self.title, applied if self.activation != "linear" else ""]
        return {
            **{
                key: getattr(self, key) for key in ("kind", "inputs", "shape", "activation", "span")
            },
            "name": self.name.replace(".", "/"),
            "title": ", ".join(filter(None, words)),
            "shown": self.shown,
            **self.settings,
        }


def for_inference(model: keras.Model) -> keras.Model:
    """Return a copy of a network for inference, with batch normalisation folded (see `folded`).

    Raises:
        InputError: If the model is not functional, or has several inputs, or several outputs of
            which none is `predictions`.
    """
    return folded(single(model))


def operations(net: keras.Model) -> list[Operation]:
    """Return the operations of a network, in the order in which the page computes them.

    Args:
        net: Result of `for_inference`, for images of a known size.

    Raises:
        InputError: If the page cannot compute a layer, or the size of a result is unknown.
    """
    rows = {row.name: row for row in account(net, opened=True).rows}
    root = walk(net)
    calls = list(leaf_calls(root))
    uses = Counter(id(x) for call in calls for x in call.inputs)
    places, made = {id(root.inputs[0]): -1}, list[Operation]()
    for call in calls:
        x, y = call.inputs[0], call.outputs[0]
        inputs = [places[id(one)] for one in call.inputs]
        if type(call.operation) in COPIES:
            places[id(y)] = inputs[0]
            continue
        step, activation = step_of(call), activation_of(call)
        before = made[inputs[0]] if inputs[0] >= 0 else None
        alone = not step.title and activation != "softmax" and uses[id(x)] == 1
        if alone and before and before.activation == "linear":
            before.activation, before.output = activation, call.name
            places[id(y)] = inputs[0]
            continue
        row = rows[call.name]
        span = None
        if row.start and row.field and row.stride:
            span = [row.start, row.field, row.stride]
        places[id(y)] = len(made)
        head = call.name, call.name, step.kind, step.title, inputs, tuple(y.shape[1:]), activation
        made.append(Operation(*head, step.settings, step.weights, span))
    return made
