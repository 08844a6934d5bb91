"""Runs of functional models up to a layer, and signals passed back from it to the images."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.layers.graph import Call, check_one_image, leaf_calls, output_of, run_call, walk
from keras_ilsvrc.utils.errors import InputError, nearest
from keras_ilsvrc.visualize.checks import check_batch, type_of
from keras_ilsvrc.visualize.rules import RULES, by_rule, twin

SOFTMAXES = tuple(
    getattr(home, name)
    for home in (keras.activations, keras.ops, tf.nn)
    for name in ("softmax", "log_softmax")
)


class Probe:
    """Wrapper that runs a functional model up to a layer and passes signals back to the images.

    Args:
        model: Functional model of one input, (batch, height, width, channels).
        layer: Name of a layer, for example `conv3_1/conv_2` in a residual unit or nested model.
            None for the scores of the classes, before the softmax.
        rule: Rule by which signals pass back through ReLU: one of `RULES`.

    Attributes:
        shape: Shape of the layer's output for one image: (height, width, maps), or (units,).
        probable: Function from scores to probabilities: softmax if the model ends in softmax or in
            a linear layer, or sigmoid if that layer has a single unit. Otherwise the identity.

    Raises:
        InputError: If the model is not functional or has other inputs, or if the layer or the rule
            is unknown.
    """

    def __init__(self, model: keras.Model, layer: str | None = None, rule: str = "gradient"):
        if rule not in RULES:
            raise InputError(f"rule is {rule!r}; {nearest(rule, RULES)}")
        self.model, self.layer = model, layer
        self.root = graph_of(model)
        self.image = self.root.inputs[0]
        self.replaced: dict[int, Callable[..., Any]] = {}
        self.probable: Callable[[tf.Tensor], tf.Tensor] = tf.identity
        if layer is None:
            self.target = self._scores()
        else:
            self.target = call_named(self.root, layer).outputs[0]
        self.shape = tuple(self.target.shape[1:])
        made = list(leaf_calls(self.root))
        self.steps = [
            (call, self.replaced.get(id(call), by_rule(call.operation, RULES[rule])))
            for call in _needed(made, self.target)
        ]
        self.activations = self.graph(lambda images: self.values(images)[id(self.target)])

    def graph(self, function: Callable[..., Any], *further: tf.TensorSpec) -> Any:
        """Compile a function of images and `further` inputs into one graph for all batch sizes."""
        images = tf.TensorSpec(self.image.shape, type_of(self.image))
        traced = tf.function(function, input_signature=[images, *further])
        # Concrete functions avoid TensorFlow's retracing warning when many layers are probed.
        made = cache(traced.get_concrete_function)
        return lambda *given: made()(*map(tf.convert_to_tensor, given))

    def values(self, images: Any) -> dict[int, Any]:
        """Run the model up to the layer; return all values, by the `id` of their Keras tensors."""
        tensors = {id(self.image): images}
        for call, run in self.steps:
            run_call(call, tensors, run)
        return tensors

    def pull_back(self, images: Any, signal_of: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Pass a signal from the layer back to the images.

        Args:
            images: (batch, height, width, channels).
            signal_of: Function that returns the signal for the activations of the layer.

        Returns:
            The activations of the layer, and the signal at the images, in the images' shape.
        """
        with tf.GradientTape() as tape:
            tape.watch(images)
            activations = self.values(images)[id(self.target)]
        return activations, tape.gradient(activations, images, signal_of(activations))

    def batch(self, images: Any) -> np.ndarray:
        """Return the images as a batch that fits the model; see `check_batch`."""
        return check_batch(self.root, images)

    def _scores(self) -> Any:
        """Return the tensor of class scores, and leave any final softmax out of the graph."""
        output = output_of(self.model)
        if isinstance(output, dict):
            if "predictions" not in output:
                hint = nearest("predictions", output)
                raise InputError(f"{self.model.name} has no output named 'predictions'; {hint}")
            output = output["predictions"]
        output = output[0] if isinstance(output, (list, tuple)) else output
        if not keras.backend.is_keras_tensor(output):
            raise InputError(f"the output of {self.model.name} is {output!r}; expected a tensor")
        target = self.root.outputs[list(map(id, self.model.outputs)).index(id(output))]
        if len(target.shape) != 2:
            shape = tuple(target.shape)
            raise InputError(f"{self.model.name} returns shape {shape}; expected (batch, classes)")
        call = next(x for x in leaf_calls(self.root) if any(y is target for y in x.outputs))
        layer = call.operation
        activation = getattr(layer, "activation", None)
        if type(layer).__name__ in ("Softmax", "LogSoftmax"):
            self.probable = tf.nn.softmax
            return call.inputs[0]
        if activation in SOFTMAXES:
            self.replaced[id(call)] = twin(layer, activation=keras.activations.linear)
        if activation in (*SOFTMAXES, keras.activations.linear):
            self.probable = tf.nn.softmax if target.shape[1] > 1 else tf.nn.sigmoid
        return target


def graph_of(model: keras.Model) -> Call:
    """Return the graph of layer calls of a functional model that takes one image.

    Raises:
        InputError: If the model is not functional, or its input is not a single image.
    """
    if not isinstance(model, keras.Model):
        raise InputError(f"model is a {type(model).__name__}; expected a keras.Model")
    check_one_image(model)
    return walk(model)


def call_named(root: Call, name: str) -> Call:
    """Find the call of a layer by name, also inside residual units and nested models.

    Raises:
        InputError: If there is no such layer; the message suggests similar names.
    """
    calls = {call.name: call for call in _all(root)}
    if name not in calls:
        hint = nearest(str(name), calls)
        raise InputError(f"{root.operation.name} has no layer {name!r}; {hint}".rstrip("; "))
    return calls[name]


def maps_of(probe: Probe, layer: str | None = None) -> Any:
    """Return the Keras tensor of a layer's feature maps, on which the probe's output depends.

    Args:
        probe: Probe of a later layer, or of the scores.
        layer: Name of the layer; by default the last one with maps larger than 1x1.

    Raises:
        InputError: If the layer is unknown or has no maps, or if the probe does not depend on it.
    """
    steps = [call for call, _ in probe.steps if len(call.outputs[0].shape) == 4]
    name = probe.model.name
    if layer is None:
        large = [call for call in steps if call.outputs[0].shape[1:3] != (1, 1)]
        if not large:
            raise InputError(
                f"{name} has no layer with feature maps larger than 1x1; choose a layer"
            )
        return large[-1].outputs[0]
    maps = call_named(probe.root, layer).outputs[0]
    if len(maps.shape) != 4:
        raise InputError(
            f"layer {layer} returns shape {tuple(maps.shape[1:])}; expected feature maps (height, "
            "width, maps); choose another layer"
        )
    if not any(maps is call.outputs[0] for call in steps):
        raise InputError(f"the scores of {name} do not depend on {layer}; choose another layer")
    return maps


def _all(call: Call) -> Iterator[Call]:
    for inner in call.inside:
        yield inner
        yield from _all(inner)


def _needed(calls: list[Call], target: Any) -> list[Call]:
    """Return the layer calls on which a tensor depends, in the order of the graph."""
    wanted, needed = {id(target)}, []
    for call in reversed(calls):
        if not wanted.isdisjoint(map(id, call.outputs)):
            needed.append(call)
            wanted.update(map(id, call.inputs))
    return needed[::-1]
