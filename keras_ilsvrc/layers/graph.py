"""The one walk over the layers and tensors of a functional model."""

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_ilsvrc.layers.residual import ResidualUnit


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer, of an operation of `keras.ops`, or of a model with all inside it.

    Its tensors are Keras tensors of its own: what leaves one call enters the next as the same
    object, into nested models and out of them too, and two calls of one model have none in
    common.

    Attributes:
        name: The layer's, or an operation's without Keras' running number; from the second on of
            a name in a model with its own, as `shared#2`; inside a nested model or unit behind
            that one's, as `conv3_1/conv_2`.
        operation: The layer, operation or model.
        arguments: What it is called with, positional and by keyword.
        inputs: The tensors among the arguments.
        outputs: The tensors it returns.
        inside: The calls that a nested model or unit makes; empty for every other.
    """

    name: str
    operation: Any
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    inputs: list[Any]
    outputs: list[Any]
    inside: list["Call"]


def body(layer: Any) -> Any:
    """What runs when a layer is called: a unit's inner model, or else the layer itself."""
    return getattr(layer, "body", layer) if isinstance(layer, ResidualUnit) else layer


def functional(layer: Any) -> bool:
    """Whether the layer is a built model that runs the graph it was made of."""
    return (
        isinstance(layer, keras.Model)
        and bool(getattr(layer, "outputs", None))
        and type(layer).call.__module__.startswith("keras.")
    )


def output_of(model: keras.Model) -> Any:
    """The output of a functional model, or a structure of several.

    A `keras.Sequential` has no `output` before it is called.
    """
    return model.outputs[0] if isinstance(model, keras.Sequential) else model.output


def walk(model: keras.Model, inputs: Sequence[Any] | None = None, name: str = "") -> Call:
    """The call of a functional model, with every call in it.

    Calls stand in an order in which they can run, branch by branch.

    Args:
        model: A model for which `functional` holds.
        inputs: Keras tensors to call it with, in the order of `model.inputs`, which stand if
            None. Sizes inside follow from theirs.
        name: What the names inside begin with.
    """
    inputs = list(model.inputs if inputs is None else inputs)
    tensors = dict(zip(map(id, model.inputs), inputs))
    counts: Counter[str] = Counter()
    inside = []
    for node in _nodes(model):
        own = node.operation.name
        if not isinstance(node.operation, keras.Layer):
            own = re.sub(r"_\d+$", "", own)
        counts[own] += 1
        path = f"{name}/{own}".lstrip("/") + (f"#{counts[own]}" if counts[own] > 1 else "")
        call = _call(node, node.arguments.fill_in(tensors), path)
        tensors.update(zip(map(id, node.outputs), call.outputs))
        inside.append(call)
    outputs = [tensors[id(x)] for x in model.outputs]
    return Call(name, model, ((inputs,), {}), inputs, outputs, inside)


def leaf_calls(call: Call) -> Iterator[Call]:
    """The calls in a call that hold no others, in an order in which they can run."""
    for inner in call.inside:
        if inner.inside:
            yield from leaf_calls(inner)
        else:
            yield inner


def run_call(call: Call, tensors: dict[int, Any], run: Callable[..., Any] | None = None) -> None:
    """Runs one call, on the values of its Keras tensors, and adds the values that it returns.

    It runs as outside of training, also if the graph says otherwise, as in `model.predict`.

    Args:
        call: Of `leaf_calls`.
        tensors: Values by the `id` of their Keras tensors.
        run: In place of the call's own operation, with the same arguments.
    """
    args, kwargs = keras.tree.map_structure(lambda x: tensors.get(id(x), x), call.arguments)
    run = run or call.operation
    takes = isinstance(run, keras.Layer) and "training" in inspect.signature(run.call).parameters
    if takes:
        kwargs = kwargs | {"training": False}
    outputs = keras.tree.flatten(run(*args, **kwargs))
    tensors.update(zip(map(id, call.outputs), outputs, strict=True))


def _call(node: Any, arguments: tuple[tuple[Any, ...], dict[str, Any]], name: str) -> Call:
    """A node of Keras' graph as a call with these arguments."""
    operation, (args, kwargs) = node.operation, arguments
    inputs = [x for x in keras.tree.flatten(arguments) if isinstance(x, keras.KerasTensor)]
    inner = body(operation)
    if functional(inner):
        by_name = args[0] if args and isinstance(args[0], dict) else {}
        names = [x.name for x in inner.inputs]
        given = [by_name[key] for key in names] if set(names) == set(by_name) else inputs
        nested = walk(inner, given, name)
        return Call(name, operation, arguments, inputs, nested.outputs, nested.inside)
    outputs = node.outputs
    if [x.shape[1:] for x in inputs] != [x.shape[1:] for x in node.input_tensors]:
        outputs = keras.tree.flatten(operation.compute_output_spec(*args, **kwargs))
    outputs = [keras.KerasTensor(x.shape, x.dtype, name=x.name) for x in outputs]
    return Call(name, operation, arguments, inputs, outputs, [])


def _nodes(model: keras.Model) -> list[Any]:
    """Keras' records of the calls behind the outputs, each after those it needs."""
    given = set(map(id, model.inputs))
    nodes: dict[Any, None] = {}  # in order
    waiting = _behind(reversed(model.outputs), given)
    while waiting:  # no recursion: a net may be deeper than Python's stack
        needed = [x for x in _behind(waiting[-1].input_tensors, given) if x not in nodes]
        if needed:
            waiting += reversed(needed)
        else:
            nodes[waiting.pop()] = None
    return list(nodes)


def _behind(tensors: Any, given: set[int]) -> list[Any]:
    """The nodes that made the tensors, but for those that are given."""
    histories = [x._keras_history for x in tensors if id(x) not in given]
    return [x.operation._inbound_nodes[x.node_index] for x in histories]


def leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Every layer that holds no other, through nested models and residual units, in order."""
    for layer in model.layers:
        inner = body(layer)
        if isinstance(inner, keras.Model):
            yield from leaves(inner)
        else:
            yield layer


def batch_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Every batch normalisation of the model."""
    return [x for x in leaves(model) if isinstance(x, keras.layers.BatchNormalization)]


def synchronize(model: keras.Model, synchronized: bool) -> None:
    """Makes every batch normalisation use the statistics of all replicas, or of its own."""
    for layer in [*model.layers, *batch_norms(model)]:
        if hasattr(layer, "synchronized"):
            layer.synchronized = synchronized
