"""Layer-by-layer comparison of a model with the original network, run by another framework.

Keras and the other frameworks are imported only when they are needed.
"""

import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from inspect import getmembers, isfunction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_ilsvrc.utils.errors import InputError, nearest, reason
from keras_ilsvrc.weights.check import check
from keras_ilsvrc.weights.onnx_input import channels_last, image_of
from keras_ilsvrc.weights.sources.source import Source
from keras_ilsvrc.weights.tensors import Tensors

if TYPE_CHECKING:
    import keras

OUTPUT = "predictions"  # name of the last layer of our nets
# Operators between the logits and the output of an ONNX graph, which are ignored.
AFTER = {"Softmax", "Reshape", "Flatten", "Identity", "Squeeze", "Dropout"}
# Beginnings of names of torch tensors that a file or a model may lack, as regular expressions.
AUXILIARY, CLASSIFIER = r"(?i:aux)", r"(fc|classifier|pre_logits|head|output)\."
AUTOMATIC = r"(conv2d|batch_normalization)(_\d+)?"  # automatic layer names of Keras
# {package: (Python module with its models, function that returns a model by name)}
TORCH = {
    "torchvision": ("torchvision.models", "get_model"),
    "timm": ("timm", "create_model"),
    "pytorchcv": ("pytorchcv.model_provider", "get_model"),
}

Run = Callable[[np.ndarray], Mapping[str, Any]]  # function from images to {our layer: outputs}


class Original(NamedTuple):
    """Original network, given by its published weights, and our model with the same weights.

    Attributes:
        model: Our model.
        tensors: Tensors of the weight file.
        source: Published weights to which the file belongs.
        layers: {name of a tensor: our layer that uses its values}, for all tensors that are used.
    """

    model: "keras.Model"
    tensors: Tensors
    source: Source
    layers: Mapping[str, str]

    @property
    def classes(self) -> int | None:
        """Number of classes; None if the model has no classifier."""
        shape = self.model.outputs[0].shape
        return shape[-1] if len(shape) == 2 else None

    def places(self, place_of: Callable[[str], str]) -> dict[str, str]:
        """Return {layer of the original: our layer}. Leave out layers that match several of ours.

        `place_of` is a function from the name of a tensor to the name of its layer in the original.
        """
        found: dict[str, set[str]] = {}
        for name, stored in self.tensors.stored.items():
            if stored.shape:  # leave out counters, which are single values
                found.setdefault(place_of(name), set()).add(self.layers.get(name, ""))
        return {place: min(ours) for place, ours in found.items() if len(ours) == 1 and any(ours)}


def check_runtime(name: str) -> None:
    """Raise an InputError if a runtime is not in `RUNTIMES`, or a package for it is missing."""
    if name not in RUNTIMES:
        raise InputError(f"reference is {name!r}; {nearest(name, RUNTIMES)}")
    _check_packages(*RUNTIMES[name][0])


def compare(
    original: Original, images: Sequence[np.ndarray], bgr: bool, name: str
) -> dict[str, float]:
    """Return {our layer: largest difference from the original's output, relative to that output}.

    If our layer has an activation, it is applied to the original's output too, since many
    frameworks have separate layers for activations.

    Args:
        original: The original network, and our model with its weights, without softmax.
        images: Preprocessed images (1, height, width, channels), RGB.
        bgr: Whether the original network takes BGR images.
        name: Name of the runtime, one of `RUNTIMES`.

    Raises:
        InputError: If the runtime cannot run the original, or an output is not finite or has
            another shape.
    """
    from keras_ilsvrc.layers.graph import leaf_calls, run_call, walk

    channels_first, net = RUNTIMES[name][1], walk(original.model)
    found: dict[str, float] = {}
    for image, outputs in zip(images, _outputs(original, images, bgr, name), strict=True):
        values = {id(net.inputs[0]): image}
        for call in leaf_calls(net):
            run_call(call, values)
            if call.name in outputs:
                activation = getattr(call.operation, "activation", None) or np.asarray
                theirs = np.asarray(activation(np.asarray(outputs[call.name])))
                if channels_first and theirs.ndim == 4:
                    theirs = theirs.transpose(0, 2, 3, 1)
                ours = np.asarray(values[id(call.outputs[0])])
                if theirs.size == ours.size:
                    # The original may have a convolution where our net has a dense layer.
                    theirs = theirs.reshape(ours.shape)
                difference = check(ours, theirs, float("inf"), call.name)
                found[call.name] = max(found.get(call.name, 0.0), difference)
    return found


def _outputs(
    original: Original, images: Sequence[np.ndarray], bgr: bool, name: str
) -> list[Mapping[str, Any]]:
    """Return {our layer: output of the same layer in the original network} for each image."""
    _, channels_first, load = RUNTIMES[name]
    axes = (0, 3, 1, 2) if channels_first else (0, 1, 2, 3)
    given = [(image[..., ::-1] if bgr else image).transpose(axes) for image in images]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about other framework versions
            # torch would import triton, which makes a process that has imported TensorFlow crash.
            with _without("triton"):
                run = load(original)
                return [dict(run(np.ascontiguousarray(image))) for image in given]
    except InputError:
        raise
    except Exception as error:
        path = original.tensors.path
        what = f"{name} cannot run the original network"
        raise InputError(f"{path}: {what}: {reason(error)}; use another reference") from error


@contextmanager
def _without(module: str) -> Iterator[None]:
    """Make imports of a module fail within a `with` block, unless it is imported already."""
    modules: dict[str, Any] = sys.modules
    known = modules.setdefault(module, None)
    try:
        yield
    finally:
        if known is None:
            del modules[module]


def _check_packages(*names: str) -> None:
    if any(find_spec(name) is None for name in names):
        packages = " ".join(names)
        raise InputError(f"this reference needs {packages}; run python -m pip install {packages}")


def _called(file: str, known: Iterable[str]) -> str:
    """Return the longest of the `known` model names with which a file name begins."""

    def letters(text: str) -> str:
        return re.sub(r"[\W_]", "", text).lower()

    found = [name for name in known if letters(file).startswith(letters(name))]
    if not found:
        raise InputError(
            f"this reference has no model with the file name {file}; use another reference"
        )
    return max(found, key=len)


def _onnx(original: Original) -> Run:
    """Return a function that runs an ONNX file and returns the outputs of nodes with weights."""
    import onnx
    import onnxruntime

    proto = onnx.load(original.tensors.path, load_external_data=False)
    graph = proto.graph
    # {name of a constant: our layers whose weights it depends on}
    owners = {one.name: {original.layers.get(one.name, "")} for one in graph.initializer}
    image, sizes = image_of(graph)
    axes = (0, 2, 3, 1) if channels_last(sizes) else (0, 1, 2, 3)
    nodes, made = dict[str, Any](), dict[str, str]()
    for node in graph.node:  # in topological order
        used = [owners[name] for name in node.input if name in owners]
        layers = set[str]().union(*used)
        nodes |= dict.fromkeys(node.output, node)
        if len(used) == len(node.input):  # the node only converts constants, e.g. transposes them
            owners |= dict.fromkeys(node.output, layers)
        elif len(layers) == 1 and any(layers):
            made[min(layers)] = node.output[0]
    last = graph.output[0].name
    while last in nodes and nodes[last].op_type in AFTER:
        last = nodes[last].input[0]
    made[OUTPUT] = last
    del graph.output[:]
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(made.values()))
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )

    def run(images: np.ndarray) -> Mapping[str, Any]:
        outputs = session.run(None, {image: np.ascontiguousarray(images.transpose(axes))})
        named = dict(zip((one.name for one in graph.output), outputs, strict=True))
        return {layer: named[name] for layer, name in made.items()}

    return run


def _bare(name: str) -> str:
    """Return the name of a tensor without `module.`, the prefix of torch's DataParallel."""
    return name.removeprefix("module.")


def _torch(original: Original) -> Run:
    """Return a function that runs the original network of torchvision, timm or pytorchcv."""
    import torch

    source, outputs = original.source, dict[str, Any]()
    if source.name not in TORCH:
        packages = ", ".join(TORCH)
        raise InputError(
            f"the weights are those of {source.name}, but the reference torch has only models of "
            f"{packages}; use another reference"
        )
    _check_packages(source.name)
    module, make = import_module(TORCH[source.name][0]), TORCH[source.name][1]
    known = getattr(module, "list_models", lambda: [source.file.partition("-")[0]])()
    model = getattr(module, make)(_called(source.file, known), num_classes=original.classes or 1000)
    model.eval()
    state = {_bare(name): torch.from_numpy(values) for name, values in original.tensors.items()}
    missing, extra = model.load_state_dict(state, strict=False)
    free = AUXILIARY if original.classes else rf"{AUXILIARY}|{CLASSIFIER}"
    if wrong := [name for name in (*missing, *extra) if not re.match(free, name)]:
        raise InputError(
            f"{original.tensors.path}: the file or the model of {source.name} lacks tensors that "
            f"the other has: {', '.join(wrong[:5])}; use another reference"
        )

    def keep(layer: str) -> Callable[..., None]:
        # Copy the output, because the activation after it may overwrite its input.
        return lambda module, given, made: outputs.update({layer: made.numpy().copy()})

    for place, ours in original.places(lambda name: _bare(name).rpartition(".")[0]).items():
        model.get_submodule(place).register_forward_hook(keep(ours))

    def run(images: np.ndarray) -> Mapping[str, Any]:
        with torch.inference_mode():
            made = model(torch.from_numpy(images))
        return outputs | {OUTPUT: made.numpy()}

    return run


def _keras(original: Original) -> Run:
    """Return a function that runs the original network of keras.applications."""
    import keras

    makers = dict(getmembers(keras.applications, isfunction))
    theirs = makers[_called(original.source.file, makers)](
        include_top=original.classes is not None,
        weights=None,
        input_shape=tuple(original.model.inputs[0].shape[1:]),
        classes=original.classes or 1000,
        classifier_activation=None,
    )
    theirs.load_weights(original.tensors.path)
    places = original.places(lambda name: name.partition("/")[0])
    # Leave out automatic names, whose numbers depend on models that were built before.
    named = {x.name: x.output for x in theirs.layers if not re.fullmatch(AUTOMATIC, x.name)}
    found = {ours: named[name] for name, ours in places.items() if name in named}
    return keras.Model(theirs.input, found | {OUTPUT: theirs.output})


# {runtime: (packages that it needs, whether images and maps are (images, channels, height, width),
# function that loads the original network and returns a function that runs it)}
RUNTIMES: dict[str, tuple[tuple[str, ...], bool, Callable[[Original], Run]]] = {
    "onnx": (("onnx", "onnxruntime"), True, _onnx),
    "torch": (("torch",), True, _torch),
    "keras": ((), False, _keras),
}
