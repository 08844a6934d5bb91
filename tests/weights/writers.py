"""Functions that write weight files of other frameworks without using these frameworks."""

import json
import struct
import zipfile

import h5py
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


class Code(bytes):
    """A part of a pickle."""


def pickled(value):
    """Return a value as a part of a pickle of protocol 2, by hand."""
    if isinstance(value, Code):
        return value
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    if isinstance(value, int):
        return b"\x8a\x10" + value.to_bytes(16, "little", signed=True)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    start, end = {tuple: (b"(", b"t"), list: (b"](", b"e"), dict: (b"}(", b"u")}[type(value)]
    items = [one for pair in value.items() for one in pair] if isinstance(value, dict) else value
    return start + b"".join(map(pickled, items)) + end


def called(function, *values):
    """Return a call of a function, `module.name`, as a part of a pickle."""
    return Code(named(function) + pickled(values) + b"R")


def named(name):
    """Return a class or function, `module.name`, as a part of a pickle."""
    module, _, name = name.rpartition(".")
    return Code(f"c{module}\n{name}\n".encode())


def tensor(key, shape, strides=None, offset=0, kind="Float", length=None, legacy=False):
    """Return a tensor of torch as a part of a pickle, by default with the strides of C.

    In legacy files, a reference to a storage has one value more, and old files have other tensors.
    """
    if strides is None:
        strides = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
    length = int(np.prod(shape)) if length is None else length
    view = (None,) * legacy
    storage = ("storage", named(f"torch.{kind}Storage"), key, "cuda:0", length, *view)
    storage = Code(pickled(storage) + b"Q")
    if legacy:
        return called("torch._utils._rebuild_tensor", storage, offset, shape, strides)
    hooks = called("collections.OrderedDict")
    rest = (offset, shape, strides, False, hooks)
    return called("torch._utils._rebuild_tensor_v2", storage, *rest)


# {dtype of NumPy: class of a storage of torch}
TORCH = {"float32": "Float", "float64": "Double", "float16": "Half", "int64": "Long"}
TORCH |= {"int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool"}


def write_torch(path, arrays, wrap=lambda tensors: tensors):
    """Write a torch file: {name: array}; `wrap` makes the dictionary that is saved of tensors."""
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    tensors = {
        name: tensor(str(key), array.shape, kind=TORCH[str(array.dtype)])
        for key, (name, array) in enumerate(arrays.items())
    }
    storages = {f"data/{key}": one.tobytes() for key, one in enumerate(arrays.values())}
    return torch_of(path, wrap(tensors), storages)


def torch_of(path, saved, members, folder="archive"):
    """Write a torch file of what is saved, and of other members of the zip file."""
    members = {"data.pkl": b"\x80\x02" + pickled(saved) + b".", "byteorder": b"little", **members}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{folder}/{name}", content)
    return path


MAGIC = Code(b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19")  # the number that legacy torch files begin with
FACTS = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4, "long": 8}}


def write_legacy(path, arrays, wrap=lambda tensors: tensors):
    """Write a torch file in the legacy form: {name: array}; `wrap` as in `write_torch`."""
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    kinds = [TORCH[str(array.dtype)] for array in arrays.values()]
    tensors = {
        name: tensor(str(key), array.shape, kind=kinds[key], legacy=True)
        for key, (name, array) in enumerate(arrays.items())
    }
    values = {str(key): (one.size, one.tobytes()) for key, one in enumerate(arrays.values())}
    return legacy_of(path, wrap(tensors), dict(sorted(values.items())))


def legacy_of(path, saved, storages, keys=None, version=1001, facts=FACTS):
    """Write a torch file in the legacy form.

    Args:
        path: Path of the file.
        saved: What is saved.
        storages: {key: (number of values, bytes of the values)}.
        keys: List of keys in the file; None for those of `storages`.
        version: Version of the form.
        facts: Facts of the machine.
    """
    parts = [MAGIC, version, facts, saved, list(storages) if keys is None else keys]
    with open(path, "wb") as file:
        file.writelines(b"\x80\x02" + pickled(part) + b"." for part in parts)
        file.writelines(struct.pack("<q", count) + data for count, data in storages.values())
    return path


def write_hdf5(path, arrays, **options):
    """Write an HDF5 file: {path: array}, with options of datasets."""
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, **options)
    return path


def write_keras(path, arrays):
    """Write a `.keras` file: {path: array}."""
    weights = write_hdf5(path.with_suffix(".part"), arrays)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", '{"class_name": "Functional"}')
        archive.write(weights, "model.weights.h5")
    weights.unlink()
    return path
