"""Writers of weight files of other frameworks, for tests. None needs the framework."""

import json
import struct

import numpy as np

# {dtype of NumPy: data type of ONNX}
ONNX = {"float32": 1, "uint8": 2, "int32": 6, "int64": 7, "float16": 10, "float64": 11}
# {dtype of NumPy: data type of safetensors}
SAFETENSORS = {"float32": "F32", "float16": "F16", "float64": "F64", "int64": "I64", "uint8": "U8"}


def varint(value):
    """A number in protobuf: 7 bits a byte, the lowest first."""
    coded = bytearray()
    while value > 127:
        coded.append(value & 127 | 128)
        value >>= 7
    return bytes([*coded, value])


def field(number, value):
    """A field of a protobuf message: an integer, a text, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def blob(array, legacy=False):
    """A BlobProto of Caffe; a legacy one declares four dimensions."""
    array = np.asarray(array)
    data = field(8, array.tobytes()) if array.dtype == "f8" else field(5, array.tobytes("C"))
    if not legacy:
        return field(7, field(1, b"".join(varint(size) for size in array.shape))) + data
    sizes = (1,) * (4 - array.ndim) + array.shape
    return b"".join(field(number, size) for number, size in enumerate(sizes, 1)) + data


def write_caffe(path, layers, generation="new"):
    """Write a `.caffemodel`.

    Args:
        path: Path of the file.
        layers: {layer: arrays}, float32 or float64.
        generation: "v0" or "v1", with legacy shapes, or "new".
    """
    # generation: field of the net, of a layer's name, of its type (integer in v1), of its blobs
    net, name, kind, blobs = {"v0": (2, 1, 2, 50), "v1": (2, 4, 5, 6), "new": (100, 1, 2, 7)}[
        generation
    ]
    with open(path, "wb") as file:
        file.write(field(1, "net"))
        for layer, arrays in layers.items():
            coded = [field(name, layer), field(kind, 4 if generation == "v1" else "Convolution")]
            coded += [field(blobs, blob(array, generation != "new")) for array in arrays]
            message = b"".join(coded)
            file.write(field(net, field(1, message) if generation == "v0" else message))
    return path


def write_onnx(path, initializers):
    """Write an `.onnx` file of a graph without nodes, with raw values: {name: array}."""
    tensors = []
    for name, array in initializers.items():
        array = np.asarray(array)
        sizes = b"".join(field(1, size) for size in array.shape)
        kind = field(2, ONNX[str(array.dtype)])
        tensors.append(field(5, sizes + kind + field(8, name) + field(9, array.tobytes())))
    with open(path, "wb") as file:
        file.write(field(1, 8) + field(2, "writers"))
        file.write(field(7, field(2, "graph") + b"".join(tensors)))
    return path


def write_safetensors(path, arrays):
    """Write a `.safetensors` file: {name: array}."""
    header, at = {}, 0
    for name, array in arrays.items():
        kind, shape = SAFETENSORS[str(array.dtype)], list(array.shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    return safetensors_of(path, json.dumps(header), (one.tobytes() for one in arrays.values()))


def safetensors_of(path, header, parts):
    """Write a `.safetensors` file from the text of its header and the bytes of its values."""
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header.encode())) + header.encode())
        file.writelines(parts)
    return path


def write_npz(path, arrays):
    """Write an `.npz` file: {key: array}."""
    with open(path, "wb") as file:
        np.savez(file, **arrays)
    return path
