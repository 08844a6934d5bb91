"""Traversal of the layers and tensors of a functional model, including nested models."""

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_ilsvrc.layers.residual import ResidualUnit
from keras_ilsvrc.utils.errors import InputError, nearest


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer, a `keras.ops` operation or a nested model in a functional model.

    A tensor that connects two calls is one object: an element of `outputs` of the first call and of
    `inputs` of the second. The same is true of the inputs and outputs of a nested model. If a
    nested model is called twice, each of the two calls has its own inner tensors.

    Attributes:
        name: Name of the layer, or name of the operation without the number that Keras appends.
            Repeated names in a model are numbered, for example `shared#2`. Calls inside a nested
            model or residual unit have its name as a prefix, for example `conv3_1/conv_2`.
        operation: The layer, operation or model.
        arguments: Positional and keyword arguments of the call.
        inputs: The tensors among the arguments.
        outputs: The tensors that the call returns.
        inside: Calls inside a nested model or residual unit; empty for all other operations.
    """

    name: str
    operation: Any
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    inputs: list[Any]
    outputs: list[Any]
    inside: list["Call"]


def body(layer: Any) -> Any:
    """Return the inner model if the layer is a residual unit, otherwise the layer itself."""
    return getattr(layer, "body", layer) if isinstance(layer, ResidualUnit) else layer


def functional(layer: Any) -> bool:
    """Return whether a layer is a built functional or Sequential model without a custom `call`."""
    return (
        isinstance(layer, keras.Model)
        and bool(getattr(layer, "outputs", None))
        and type(layer).call.__module__.startswith("keras.")
    )


def check_functional(model: keras.Model) -> None:
    """Raise InputError if a model is not functional, or not built."""
    if not functional(model):
        raise InputError(f"{model.name} is not a functional model; build it from keras.Input")


def check_one_image(model: keras.Model) -> None:
    """Raise InputError if a model is not functional, or its input is not a single image."""
    check_functional(model)
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        shapes = [tuple(x.shape) for x in model.inputs]
        raise InputError(
            f"{model.name} has inputs of shapes {shapes}; expected one input of shape (batch, "
            "height, width, channels)"
        )


def output_of(model: keras.Model) -> Any:
    """Return the output tensor of a functional model, or the list or dict of its output tensors.

    A `keras.Sequential` has no attribute `output` before its first call, so this function reads
    its `outputs`.
    """
    return model.outputs[0] if isinstance(model, keras.Sequential) else model.output


def main_output(model: keras.Model) -> keras.Model:
    """Return a functional model reduced to its main output.

    If the outputs are a dict, the main output is `predictions`. A model with only one output is
    returned unchanged.

    Raises:
        InputError: If a dict of outputs has no `predictions`, or several outputs have no names.
    """
    if isinstance(output := output_of(model), dict):
        if "predictions" not in output:
            hint = nearest("predictions", output)
            raise InputError(f"{model.name} has no output 'predictions'; {hint}".rstrip("; "))
        return keras.Model(model.input, output["predictions"], name=model.name)
    if len(model.outputs) != 1:
        raise InputError(
            f"{model.name} has {len(model.outputs)} outputs without names; expected one output, or "
            "a dict with the key 'predictions'"
        )
    return model


def single(model: keras.Model) -> keras.Model:
    """Return a functional model with one input, reduced to its main output (see `main_output`).

    Raises:
        InputError: If the model is not functional or not built, if it has several inputs, or if it
            has several outputs but no `predictions`.
    """
    check_functional(model)
    if len(model.inputs) != 1:
        names = ", ".join(x.name for x in model.inputs)
        raise InputError(f"{model.name} has {len(model.inputs)} inputs ({names}); expected one")
    return main_output(model)


def walk(model: keras.Model, inputs: Sequence[Any] | None = None, name: str = "") -> Call:
    """Return a `Call` for a functional model. Its `inside` contains a `Call` for each layer call.

    The inner calls are in topological order, one branch after another.

    Args:
        model: Model for which `functional` returns True.
        inputs: Keras tensors to call the model with, in the order of `model.inputs`. None means
            `model.inputs`. Their shapes determine the shapes of all tensors inside.
        name: Prefix of the names of the inner calls.
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
    """Yield, in topological order, all calls inside `call` that contain no further calls."""
    for inner in call.inside:
        if inner.inside:
            yield from leaf_calls(inner)
        else:
            yield inner


def run_call(
    call: Call,
    tensors: dict[int, Any],
    run: Callable[..., Any] | None = None,
    training: bool = False,
) -> None:
    """Run one call on the input values in `tensors`, and add the output values to `tensors`.

    By default, layers run in inference mode, as in `model.predict`, even if the graph passes
    `training=True`.

    Args:
        call: One of the calls from `leaf_calls`.
        tensors: {`id` of a Keras tensor: its value}; updated in place.
        run: Function to run instead of the layer or operation of `call`, with the same arguments;
            None to run the layer or operation itself.
        training: Whether layers run in training mode.
    """
    args, kwargs = keras.tree.map_structure(lambda x: tensors.get(id(x), x), call.arguments)
    run = run or call.operation
    takes = isinstance(run, keras.Layer) and "training" in inspect.signature(run.call).parameters
    if takes:
        kwargs = kwargs | {"training": training}
    outputs = keras.tree.flatten(run(*args, **kwargs))
    tensors.update(zip(map(id, call.outputs), outputs, strict=True))


def _call(node: Any, arguments: tuple[tuple[Any, ...], dict[str, Any]], name: str) -> Call:
    """Return a `Call` for a node of Keras' graph, with the given arguments."""
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
    """Return the Keras nodes that compute the outputs of a model, in topological order."""
    given = set(map(id, model.inputs))
    nodes: dict[Any, None] = {}  # used as an ordered set
    waiting = _producers(reversed(model.outputs), given)
    while waiting:  # no recursion: a net may be deeper than Python's recursion limit
        needed = [x for x in _producers(waiting[-1].input_tensors, given) if x not in nodes]
        if needed:
            waiting += reversed(needed)
        else:
            nodes[waiting.pop()] = None
    return list(nodes)


def _producers(tensors: Any, given: set[int]) -> list[Any]:
    """Return the Keras nodes that produced the tensors, except those whose `id` is in `given`."""
    histories = [x._keras_history for x in tensors if id(x) not in given]
    return [x.operation._inbound_nodes[x.node_index] for x in histories]


def leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield every layer that contains no other layer, including those inside nested models."""
    for layer in model.layers:
        inner = body(layer)
        if isinstance(inner, keras.Model):
            yield from leaves(inner)
        else:
            yield layer


def batch_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return every batch normalisation layer of the model, including nested ones."""
    return [x for x in leaves(model) if isinstance(x, keras.layers.BatchNormalization)]


def synchronize(model: keras.Model, synchronized: bool) -> None:
    """Set whether batch normalisation computes its statistics over all replicas or per replica."""
    for layer in [*model.layers, *batch_norms(model)]:
        if hasattr(layer, "synchronized"):
            layer.synchronized = synchronized
