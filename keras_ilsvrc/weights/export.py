"""Export of models to ONNX, SavedModel, LiteRT and .keras, checked by running the exported file.

Keras and the packages of the formats are imported only when they are needed.
"""

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_ilsvrc.utils.errors import InputError, nearest, out_of_memory, ran_out, reason
from keras_ilsvrc.utils.files import whole

if TYPE_CHECKING:
    import keras
    import numpy as np

INPUT = "image"  # name of the input in the exported file
TOLERANCE = 1e-4  # largest accepted difference between the export's and the model's probabilities
# advice for a missing package
EXTRA = "in a checkout of keras_ilsvrc, run python -m pip install '.[export]'"

Run = Callable[["np.ndarray"], Any]  # function from a batch of images to probabilities


class Format(NamedTuple):
    """Format of exported models.

    Attributes:
        suffix: Suffix of the file, or of the folder of a SavedModel.
        only_tensorflow: Whether only TensorFlow can run the file, which may then contain any
            operation of TensorFlow.
        folded: Whether batch normalisation is folded into other layers, as in `deploy`.
        needs: Names of extra packages that are needed to write or run the file.
        write: Function that exports a model whose input is described by a `tf.TensorSpec`.
        read: Function that loads the file and returns a function that runs it.
        code: Lines of Python that load the file {path} and run it on `images`.
    """

    suffix: str
    only_tensorflow: bool
    folded: bool
    needs: tuple[str, ...]
    write: Callable[["keras.Model", Path, Any], None]
    read: Callable[[Path], Run]
    code: str


def export(
    model: "keras.Model",
    path: Path,
    name: str,
    images: Sequence["np.ndarray"],
    expected: Sequence["np.ndarray"],
) -> float:
    """Export a model with one input and one output, and check it by running the exported file.

    Args:
        model: Built model.
        path: File to write, or folder for a SavedModel. A file is replaced, a folder is not.
        name: Name of the format, one of `FORMATS`.
        images: Batches of images that the model can take as input.
        expected: Outputs of the model (images, classes) for each batch, as probabilities.

    Returns:
        The largest difference between a probability and the expected one.

    Raises:
        InputError: If the format is unknown, a package is missing, `path` is a folder, Keras cannot
            export the model, or a probability differs by more than `TOLERANCE`. No file is left.
    """
    import numpy as np

    form = check_format(name, path)
    with whole(path) as part, out_of_memory("use a machine with more memory"):
        try:
            made = _answers(form, model, part, images)
        except Exception as error:
            if ran_out(error) or isinstance(error, OSError):
                raise
            raise InputError(f"{path}: {name} export failed: {reason(error)}") from error
        difference = float(np.max([abs(x - y).max() for x, y in zip(made, expected, strict=True)]))
        if not difference <= TOLERANCE:  # also true if the difference is NaN
            raise InputError(
                f"{path}: a probability of the {name} export differs by {difference:.1e} from the "
                f"model's, expected at most {TOLERANCE:g}; the file was removed; use another format"
            )
    return difference


def _answers(
    form: Format, model: "keras.Model", path: Path, images: Sequence["np.ndarray"]
) -> "list[np.ndarray]":
    """Export a model, run the exported file, and return its outputs for each batch of images."""
    import numpy as np
    import tensorflow as tf

    from keras_ilsvrc.layers.graph import functional
    from keras_ilsvrc.weights.folding import folded

    (image,) = model.inputs
    model = folded(model) if form.folded and functional(model) else model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the warnings are about code of the converters
        form.write(model, path, [tf.TensorSpec(image.shape, image.dtype, INPUT)])
        run = form.read(path)
        return [np.asarray(run(batch)) for batch in images]


def check_format(name: str, path: Path | None = None) -> Format:
    """Return a format, after checking that its packages are installed and `path` is no folder.

    Raises:
        InputError: If the format is unknown, a package is missing or `path` is a folder.
    """
    if name not in FORMATS:
        raise InputError(f"format is {name!r}; {nearest(name, FORMATS)}".removesuffix("; "))
    for package in FORMATS[name].needs:
        if importlib.util.find_spec(package) is None:
            raise InputError(f"format {name} needs the package {package}; {EXTRA}")
    if path is not None and path.is_dir():
        raise InputError(f"{path} is an existing folder; remove it, or pass another path")
    return FORMATS[name]


def _read_saved_model(path: Path) -> Run:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    return lambda images: loaded.serve(images)


def _write_onnx(model: "keras.Model", path: Path, signature: Any) -> None:
    """Convert a model to ONNX with its weights as inputs, then turn these inputs into constants.

    Keras' `export` passes the weights to tf2onnx as constants. This needs much memory, because
    tf2onnx makes about fifty copies of each constant.
    """
    import numpy as np
    import onnx
    import tensorflow as tf
    import tf2onnx

    weights = [*model.trainable_variables, *model.non_trainable_variables]
    border = len(model.trainable_variables)
    names = [f"weight_{number}" for number in range(len(weights))]
    specs = [tf.TensorSpec(x.shape, x.dtype, name) for x, name in zip(weights, names, strict=True)]

    def call(image: Any, *values: Any) -> Any:
        return model.stateless_call(values[:border], values[border:], image, training=False)[0]

    function = tf.function(call, [*signature, *specs], autograph=False, jit_compile=False)
    proto, _ = tf2onnx.convert.from_function(function, function.input_signature)
    values = {name: np.asarray(x) for name, x in zip(names, weights, strict=True)}
    _set_constants(proto.graph, values)
    onnx.save(proto, path)


def _set_constants(graph: Any, values: "dict[str, np.ndarray]") -> None:
    """Replace inputs of an ONNX graph by constants, and apply the graph's transpositions to them.

    Args:
        graph: ONNX graph, which is changed.
        values: {name of an input: its values}. Transposed constants are added.
    """
    import numpy as np
    from onnx.numpy_helper import from_array

    image = next(one for one in graph.input if one.name not in values)
    nodes = []
    for node in graph.node:
        if node.op_type == "Transpose" and node.input[0] in values:
            order = node.attribute[0].ints
            values[node.output[0]] = np.ascontiguousarray(values[node.input[0]].transpose(order))
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    constants = [from_array(value, name) for name, value in values.items() if name in used]
    for field, content in ((graph.input, [image]), (graph.node, nodes)):
        kept = [type(one).FromString(one.SerializeToString()) for one in content]
        del field[:]
        field.extend(kept)
    graph.initializer.extend(constants)


def _read_onnx(path: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    return lambda images: session.run(None, {INPUT: images})[0]


def _write_litert(model: "keras.Model", path: Path, signature: Any) -> None:
    import tensorflow as tf

    # Allow only LiteRT operations, because LiteRT's interpreter cannot run those of TensorFlow.
    target = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    model.export(path, "litert", verbose=False, input_signature=signature, target_spec=target)


def _read_litert(path: Path) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(str(path)).get_signature_runner()
    return lambda images: next(iter(run(image=images).values()))


def _read_keras(path: Path) -> Run:
    import keras

    loaded = keras.saving.load_model(path, compile=False)
    return lambda images: loaded(images, training=False)


FORMATS = {
    "onnx": Format(
        ".onnx",
        False,
        True,
        ("onnx", "tf2onnx", "onnxruntime"),
        _write_onnx,
        _read_onnx,
        "import onnxruntime\n"
        "session = onnxruntime.InferenceSession({path!r})\n"
        'print(session.run(None, {{"image": images}})[0])',
    ),
    "saved_model": Format(
        ".saved_model",
        True,
        True,
        (),
        lambda model, path, signature: model.export(path, verbose=False, input_signature=signature),
        _read_saved_model,
        "import tensorflow as tf\n"
        "model = tf.saved_model.load({path!r})\n"
        "print(model.serve(images).numpy())",
    ),
    "litert": Format(
        ".tflite",
        False,
        True,
        ("ai_edge_litert",),
        _write_litert,
        _read_litert,
        "from ai_edge_litert.interpreter import Interpreter\n"
        "run = Interpreter({path!r}).get_signature_runner()\n"
        "print(*run(image=images).values())",
    ),
    "keras": Format(
        ".keras",
        True,
        False,
        (),
        lambda model, path, signature: model.save(path),
        _read_keras,
        "import keras_ilsvrc\n"
        "model = keras_ilsvrc.load_model({path!r})\n"
        "print(model(images).numpy())",
    ),
}
