"""Comparison of a model, layer by layer, with the original network in another runtime.

Keras and the other runtimes are imported only when they are needed.
"""

import importlib.util
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_ilsvrc.errors import InputError, nearest, reason
from keras_ilsvrc.weights.check import check
from keras_ilsvrc.weights.sources.source import Source
from keras_ilsvrc.weights.tensors import Tensors

if TYPE_CHECKING:
    import keras

OUTPUT = "output"  # name of the model's output in the list of layers
AFTER = {"Softmax", "Reshape", "Flatten", "Identity", "Squeeze", "Dropout"}  # nodes behind logits

Run = Callable[[np.ndarray], Mapping[str, Any]]  # from images to {our layer: outputs}


class Original(NamedTuple):
    """Original network of a weight file.

    Attributes:
        tensors: The file.
        source: The source of its weights.
        layers: {name of a tensor: our layer that takes its values}; other tensors are left out.
        shape: Height, width and channels of an image.
        classes: Number of classes; None if the file has no classifier.
    """

    tensors: Tensors
    source: Source
    layers: Mapping[str, str]
    shape: tuple[int, ...]
    classes: int | None

    def places(self, place_of: Callable[[str], str]) -> dict[str, str]:
        """Return {layer of the original: our layer}, if all tensors of the first go to the second.

        Args:
            place_of: Function from the name of a tensor to the name of its layer.
        """
        found: dict[str, set[str]] = {}
        for name, stored in self.tensors.stored.items():
            if stored.shape:  # a counter has no effect on outputs
                found.setdefault(place_of(name), set()).add(self.layers.get(name, ""))
        return {place: min(ours) for place, ours in found.items() if len(ours) == 1 and any(ours)}


class Runtime(NamedTuple):
    """Another framework that runs the original network.

    Attributes:
        packages: Packages that it needs.
        channels_first: Whether images and feature maps are (images, channels, height, width).
        open: Function that loads the original.
    """

    packages: tuple[str, ...]
    channels_first: bool
    open: Callable[[Original], Run]


def check_runtime(name: str) -> Runtime:
    """Return a row of `RUNTIMES`.

    Raises:
        InputError: If the runtime is unknown, or a package that it needs is not installed.
    """
    if name not in RUNTIMES:
        raise InputError(f"reference is {name!r}; {nearest(name, RUNTIMES)}".removesuffix("; "))
    needs = RUNTIMES[name].packages
    if any(importlib.util.find_spec(package) is None for package in needs):
        packages = " ".join(needs)
        raise InputError(f"reference {name} needs {packages}; run python -m pip install {packages}")
    return RUNTIMES[name]


def compare(
    model: "keras.Model", original: Original, images: Sequence[np.ndarray], name: str, bgr: bool
) -> dict[str, float]:
    """Return {layer: largest difference of an output from the original's, relative to the scale}.

    The activation of a layer is applied to the original's output too, since many frameworks have
    activations in separate layers.

    Args:
        model: Model with the weights of the original, and without softmax.
        original: The original network.
        images: Preprocessed images (1, height, width, channels), RGB.
        name: Name of the runtime, one of `RUNTIMES`.
        bgr: Whether the original takes BGR.

    Raises:
        InputError: If the runtime is not installed or cannot run the original, or if a value is
            not finite.
    """
    from keras_ilsvrc.layers.graph import leaf_calls, run_call, walk

    runtime, found = check_runtime(name), dict[str, float]()
    run = _caught(original, name, runtime.open)(original)
    for image in images:
        given = image[..., ::-1] if bgr else image
        given = given.transpose(0, 3, 1, 2) if runtime.channels_first else given
        theirs = dict(_caught(original, name, run)(np.ascontiguousarray(given)))
        net = walk(model)
        values = {id(net.inputs[0]): image}
        for call in leaf_calls(net):
            run_call(call, values)
            if call.name in theirs:
                expected = theirs.pop(call.name)
                activation = getattr(call.operation, "activation", None) or (lambda x: x)
                _add(found, call.name, values[id(call.outputs[0])], activation(expected), runtime)
        if original.classes is not None:
            _add(found, OUTPUT, values[id(net.outputs[0])], theirs[OUTPUT], runtime)
    return found


def _add(
    found: dict[str, float], layer: str, ours: Any, theirs: Any, runtime: Runtime
) -> None:
    """Add the difference between two outputs of a layer to the largest differences."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if runtime.channels_first and theirs.ndim == 4:
        theirs = theirs.transpose(0, 2, 3, 1)
    if theirs.size == ours.size:
        theirs = theirs.reshape(ours.shape)  # a convolution in the place of a dense layer
    found[layer] = max(found.get(layer, 0.0), check(ours, theirs, float("inf"), layer))


def _caught(original: Original, name: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that raises every error of another function as an InputError."""

    def call(argument: Any) -> Any:
        try:
            return function(argument)
        except InputError:
            raise
        except Exception as error:
            path = original.tensors.path
            raise InputError(f"{path}: {name} cannot run the original: {reason(error)}") from error

    return call


def _called(file: str, known: Iterable[str]) -> str:
    """Return the longest of the known names of models with which the name of a file begins."""

    def letters(text: str) -> str:
        return re.sub(r"[\W_]", "", text).lower()

    found = [name for name in known if letters(file).startswith(letters(name))]
    if not found:
        raise InputError(f"the reference has no model for the file {file}; use another reference")
    return max(found, key=len)


def _onnx(original: Original) -> Run:
    """Run the file itself in ONNX Runtime, with the outputs of nodes with weights."""
    import onnx
    import onnxruntime

    proto = onnx.load(original.tensors.path, load_external_data=False)
    graph = proto.graph
    owners = {one.name: {original.layers.get(one.name, "")} for one in graph.initializer}
    (image,) = (one.name for one in graph.input if one.name not in owners)
    made, makers = {}, {}
    for node in graph.node:  # in topological order
        used = [owners[name] for name in node.input if name in owners]
        ours = set().union(*used)
        makers |= dict.fromkeys(node.output, node)
        if len(used) == len(node.input):  # computes a constant, for example a transposed kernel
            owners |= dict.fromkeys(node.output, ours)
        elif len(ours) == 1 and any(ours):
            made[min(ours)] = node.output[0]
    made[OUTPUT] = graph.output[0].name
    while made[OUTPUT] in makers and makers[made[OUTPUT]].op_type in AFTER:
        made[OUTPUT] = makers[made[OUTPUT]].input[0]
    names = list(dict.fromkeys(made.values()))
    del graph.output[:]
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def run(images: np.ndarray) -> Mapping[str, Any]:
        outputs = dict(zip(names, session.run(names, {image: images}), strict=True))
        return {layer: outputs[name] for layer, name in made.items()}

    return run


def _torch(original: Original) -> Run:
    """Run the model of torchvision, timm or pytorchcv with the file's weights."""
    import torch

    model = _torch_model(original)
    path, outputs = original.tensors.path, dict[str, Any]()
    if original.tensors.format == "torch":
        state = torch.load(path, "cpu", weights_only=True)
        state = state.get("state_dict", state)
    else:
        state = {name: torch.from_numpy(values) for name, values in original.tensors.items()}
    model.load_state_dict(state, strict=False)  # auxiliary classifiers may be missing
    model.eval()

    def keep(layer: str) -> Callable[..., None]:
        # a copy, since the activation that follows may change its input
        return lambda module, given, made: outputs.update({layer: made.numpy().copy()})

    for place, ours in original.places(lambda name: name.rpartition(".")[0]).items():
        model.get_submodule(place).register_forward_hook(keep(ours))

    def run(images: np.ndarray) -> Mapping[str, Any]:
        outputs.clear()
        with torch.inference_mode():
            made = model(torch.from_numpy(images))
        return outputs | {OUTPUT: made.numpy()}

    return run


def _torch_model(original: Original) -> Any:
    """Return the model with which a file of torchvision, timm or pytorchcv was made."""
    source, classes = original.source, original.classes or 1000
    if source.name not in ("torchvision", "timm", "pytorchcv"):
        raise InputError(f"reference torch knows no models of {source.name}; use another reference")
    if importlib.util.find_spec(source.name) is None:
        raise InputError(f"reference torch needs {source.name}; run python -m pip install it")
    if source.name == "torchvision":
        from torchvision.models import get_model, list_models

        return get_model(_called(source.file, list_models()), weights=None, num_classes=classes)
    if source.name == "timm":
        import timm

        return timm.create_model(_called(source.file, timm.list_models()), num_classes=classes)
    from pytorchcv.model_provider import get_model, _models

    return get_model(_called(source.file, _models), num_classes=classes)


def _keras(original: Original) -> Run:
    """Run the model of keras.applications with the file's weights."""
    import keras

    makers = dict(inspect.getmembers(keras.applications, inspect.isfunction))
    theirs = makers[_called(original.source.file, makers)](
        include_top=original.classes is not None,
        weights=None,
        input_shape=original.shape,
        classes=original.classes or 1000,
        classifier_activation=None,
    )
    theirs.load_weights(original.tensors.path)
    outputs = {
        ours: theirs.get_layer(place).output
        for place, ours in original.places(lambda name: name.partition("/")[0]).items()
    }
    return keras.Model(theirs.input, outputs | {OUTPUT: theirs.output})


# Rows: the name of a runtime, and how it runs an original.
RUNTIMES = {
    "onnx": Runtime(("onnx", "onnxruntime"), True, _onnx),
    "torch": Runtime(("torch",), True, _torch),
    "keras": Runtime((), False, _keras),
}
