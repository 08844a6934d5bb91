"""Reader of the graph's initializers in `.onnx` files. The `onnx` package is not needed.

The field numbers below are those in `onnx.proto`. The module `wire` explains why files are scanned.
Sparse initializers and constants in nodes are left out. Other files to which the model refers are
never opened.
"""

from pathlib import Path

from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.weights.readers.values import BFLOAT16, stored
from keras_ilsvrc.weights.readers.wire import Message, varints, whole
from keras_ilsvrc.weights.tensors import Stored

GRAPH, INITIALIZER = 7, 5  # field `graph` of the model, field `initializer` of the graph
DIMS, TYPE, NAME, RAW, EXTERNAL, LOCATION = 1, 2, 8, 9, 13, 14  # fields of an initializer
FLOATS, INTS, LONGS, DOUBLES, UNSIGNED = 4, 5, 7, 10, 11  # fields of values that are not in RAW
# {number of an ONNX data type: (dtype, field of the values)}
TYPES = {1: ("<f4", FLOATS), 11: ("<f8", DOUBLES), 10: ("<f2", INTS), 16: (BFLOAT16, INTS)}
TYPES |= {2: ("u1", INTS), 4: ("<u2", INTS), 12: ("<u4", UNSIGNED), 13: ("<u8", UNSIGNED)}
TYPES |= {3: ("i1", INTS), 5: ("<i2", INTS), 6: ("<i4", INTS), 7: ("<i8", LONGS), 9: ("?", INTS)}


def read(path: Path) -> dict[str, Stored]:
    """Return the initializers of the graph, {name: array}. Values of bfloat16 become float32.

    Raises:
        InputError: If an array is in another file, or has a type that NumPy lacks.
        ValueError: If the file is damaged, or two initializers have the same name.
    """
    arrays: dict[str, Stored] = {}
    with open(path, "rb") as file:
        for graph in whole(path, file).messages(GRAPH):
            for tensor in graph.messages(INITIALIZER):
                name = tensor.text(NAME)
                if name in arrays:
                    raise ValueError(f"two initializers are named {name!r}")
                arrays[name] = _tensor(path, name, tensor)
    return arrays


def _tensor(path: Path, name: str, tensor: Message) -> Stored:
    if tensor.runs[EXTERNAL] or any(tensor.ints[LOCATION]):
        raise InputError(
            f"{path}: initializer {name!r} is in another file, which is not opened; save the model "
            "as one file with `onnx.save(model, F, save_as_external_data=False)`"
        )
    kind = (tensor.ints[TYPE] or [0])[-1]
    if kind not in TYPES:
        raise InputError(
            f"{path}: initializer {name!r} has ONNX data type {kind}, expected integers or floats "
            "of 8 to 64 bits; export the model with float32 weights"
        )
    (code, field), shape = TYPES[kind], tuple(tensor.integers(DIMS))
    runs, decode = tensor.runs[field], None
    if tensor.runs[RAW]:
        runs = tensor.runs[RAW][-1:]
    elif field not in (FLOATS, DOUBLES):
        decode = varints
    return stored(name, path, shape, code, runs, decode)
