"""Reader of torch files in the zip form. The pickle in them is interpreted here; nothing is called.

Such a file is a zip file with one folder. `data.pkl` in it is the pickle of a dictionary of
tensors, and `data/KEY` are the values of a storage, of which tensors are views. The opcodes of the
pickle are interpreted one by one, to built-in types and the records below. Other opcodes, classes
and functions are errors.
"""

import io
import math
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from pickletools import opcodes
from typing import Any, NamedTuple

import numpy as np

from keras_ilsvrc.weights.readers.values import BFLOAT16, stored
from keras_ilsvrc.weights.readers.zips import Member, members
from keras_ilsvrc.weights.tensors import Stored

PICKLE, OPCODES = 2**24, 500_000  # maximum bytes of data.pkl, and maximum of opcodes in it
TENSORS = 10_000  # maximum of tensors
LONG, DEEP = 500, 8  # maximum characters of a name, maximum of axes and of nested dictionaries
# {class of a storage: dtype}
STORAGES = {"Float": "<f4", "Double": "<f8", "Half": "<f2", "BFloat16": BFLOAT16, "Bool": "?"}
STORAGES |= {"Long": "<i8", "Int": "<i4", "Short": "<i2", "Char": "i1", "Byte": "u1"}
STORAGES = {f"torch.{name}Storage": code for name, code in STORAGES.items()}
DTYPES = [f"torch.{kind}{bits}" for kind in ("float", "int") for bits in (16, 32, 64)]


class Storage(NamedTuple):
    """Values in one member of the file: its name, their dtype, and how many they are."""

    member: str
    code: str
    length: int


class View(NamedTuple):
    """Tensor as a view of a storage. Offset and strides count values."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Name(NamedTuple):
    """Name of a class or function in a pickle."""

    name: str


def read(path: Path) -> dict[str, Stored]:
    """Return the tensors, {name: array}. Keys of nested dictionaries are joined by dots.

    If there is a key `state_dict`, only the tensors under this key are returned. Values other than
    tensors, for example the number of epochs, are left out. Values of bfloat16 become float32.

    Raises:
        ValueError, IndexError, KeyError, TypeError, BadZipFile: If the file is damaged, or contains
            anything but tensors and plain values.
    """
    found = members(path)
    folders = sorted({name.partition("/")[0] for name in found})
    files = {name.partition("/")[2]: member for name, member in found.items()}
    if len(folders) != 1 or "data.pkl" not in files:
        raise ValueError(f"folders {folders}"[:200] + ", expected one folder with data.pkl")
    if "constants.pkl" in files:
        raise ValueError("TorchScript, which is code; save model.state_dict() by torch.save")
    if not all(member.plain for member in files.values()):
        raise ValueError("compressed members, expected members as torch.save writes them")
    if "byteorder" in files and _bytes(path, files["byteorder"], LONG) != b"little":
        raise ValueError("the byte order is not little")
    tree = interpret(_bytes(path, files["data.pkl"], PICKLE))
    if type(tree) is not dict:
        raise ValueError("expected a dictionary of tensors")
    views = list(islice(_named(tree.get("state_dict", tree)), TENSORS + 1))
    right: set[Member] = set()
    arrays = {name: _stored(name, path, view, files, right) for name, view in views}
    used = [files[view.storage.member].run for _, view in views]
    if len(arrays) < len(views) or len(views) > TENSORS:
        raise ValueError(f"a name that occurs twice, or more than {TENSORS:,} tensors")
    if sum(stop - start for start, stop in used) > 4 * path.stat().st_size:
        raise ValueError("tensors that share a large storage; save clones of them")
    return arrays


def interpret(content: bytes) -> Any:
    """Return what a pickle describes, as built-in types and records.

    Raises:
        ValueError, IndexError, KeyError, TypeError: If the pickle is damaged, or contains an
            opcode, class or function that a dictionary of tensors does not need.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    for name, given in islice(_opcodes(content), OPCODES):
        if name in LITERALS:
            stack.append(given)
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[given])
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if given is None else given] = stack[-1]
        elif name == "MARK":
            marks.append(len(stack))
        elif name == "GLOBAL":
            stack.append(_name(*given))
        elif name == "STOP":
            return stack.pop()
        elif name in ACTIONS:
            marked, count, kind, action = ACTIONS[name]
            start = max((marks.pop() if marked else len(stack)) - count, 0)
            values = stack[start:]
            del stack[start:]
            if kind and type(values[0]) is not kind:
                raise ValueError(f"the opcode {name} of a {type(values[0]).__name__} in data.pkl")
            stack.append(action(*values))
    raise ValueError(f"data.pkl has no end, or more than {OPCODES:,} opcodes")


def _opcodes(content: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the names of the opcodes in a pickle with their arguments."""
    file = io.BytesIO(content)
    while code := file.read(1):
        opcode = CODES[code]
        if opcode.name not in OTHERS and opcode.name not in LITERALS and opcode.name not in ACTIONS:
            raise ValueError(f"the opcode {opcode.name} in data.pkl, which tensors do not need")
        if opcode.name == "GLOBAL":
            yield opcode.name, [file.readline().decode().rstrip("\n") for _ in range(2)]
        else:
            yield opcode.name, opcode.arg.reader(file) if opcode.arg else None


def _name(module: str, name: str) -> Name:
    """Return the name of a class or function, after a check that tensors need it."""
    full = f"{module}.{name}" if type(module) is type(name) is str else ""
    if full not in CALLS and full not in STORAGES and full not in DTYPES:
        raise ValueError(
            f"{full[:100]!r} in data.pkl, expected tensors alone; if you trust the file, load it "
            "in torch, and save model.state_dict() by torch.save"
        )
    return Name(full)


def _set(target: dict[Any, Any], *items: Any) -> dict[Any, Any]:
    """Add keys and values to a dictionary."""
    for key, value in zip(items[::2], items[1::2], strict=True):
        if type(key) not in (int, str) or len(str(key)) > LONG:
            raise ValueError(f"a {type(key).__name__} that is no name, or a long name in data.pkl")
        if key in target:
            raise ValueError(f"the name {key!r} occurs twice")
        target[key] = value
    return target


def _storage(reference: tuple[Any, ...]) -> Storage:
    """Return a storage from the values with which the pickle refers to it."""
    kind, name, key, _, length = reference
    if kind != "storage" or type(name) is not Name or type(key) is not str:
        raise ValueError("a reference to something other than a storage in data.pkl")
    return Storage(f"data/{key}", STORAGES[name.name], length)


def _view(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> View:
    """Return a tensor, after a check that its values are in its storage."""
    if type(storage) is not Storage or not type(shape) is type(strides) is tuple:
        raise ValueError("a tensor without a storage or shape in data.pkl")
    numbers = [storage.length, offset, *shape[:DEEP], *strides[:DEEP]]
    if max(len(shape), len(strides)) > DEEP or any(type(n) is not int or n < 0 for n in numbers):
        raise ValueError(f"a tensor with more than {DEEP} axes, or with a negative size")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if math.prod(shape) > storage.length or (last >= storage.length and all(shape)):
        raise ValueError(f"shape {shape} for {storage.length:,} values with these strides")
    return View(storage, offset, shape, strides)


def _named(tree: Any) -> Iterator[tuple[str, View]]:
    """Yield the tensors in nested dictionaries with their names, in order."""
    todo, seen = [("", 0, tree)], set()
    while todo:
        name, depth, value = todo.pop()
        if type(value) is View:
            yield name, value
        elif type(value) is dict:
            if id(value) in seen or depth > DEEP or len(name) > LONG:
                raise ValueError("dictionaries that are too deep, or one that occurs twice")
            seen.add(id(value))
            for key, item in reversed(value.items()):
                todo.append((f"{name}.{key}" if name else str(key), depth + 1, item))


def _bytes(path: Path, member: Member, most: int) -> bytes:
    """Return the bytes of a member, of which there may be at most `most`."""
    (start, stop), checksum, _ = member
    with open(path, "rb") as file:
        file.seek(start)
        content = file.read(min(stop - start, most))
    if len(content) != stop - start or zlib.crc32(content) != checksum:
        raise ValueError(f"{stop - start:,} bytes with a wrong checksum, or more than {most:,}")
    return content


def _stored(
    name: str, path: Path, view: View, files: dict[str, Member], right: set[Member]
) -> Stored:
    """Return a tensor as an array that is read when it is used.

    Members in `right` have the right checksums. A member is added to it when it is first read.
    """
    (storage, offset, shape, strides), member = view, files[view.storage.member]
    stored(storage.member, path, (storage.length,), storage.code, [member.run])  # checks its size

    def decode(data: np.ndarray, dtype: np.dtype) -> np.ndarray:
        if member not in right and zlib.crc32(data.data) != member.checksum:
            raise ValueError(f"{name} is damaged: its checksum is wrong")
        right.add(member)
        steps = [stride * dtype.itemsize for stride in strides]
        return np.lib.stride_tricks.as_strided(data.view(dtype)[offset:], shape, steps)

    return stored(name, path, shape, storage.code, [member.run], decode)


LITERALS = {f"BIN{kind}" for kind in ("UNICODE", "INT", "INT1", "INT2", "FLOAT")}
LITERALS |= {"SHORT_BINUNICODE", "LONG1"}
CODES = {opcode.code.encode("latin-1"): opcode for opcode in opcodes}
OTHERS = {"BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT", "MEMOIZE", "MARK", "GLOBAL", "STOP"}
OTHERS |= {"PROTO", "FRAME"}
# {opcode: whether it takes all values since the last mark; how many values it takes before these;
# type of the first of the values, if it matters; function of the values, whose result is put back}
ACTIONS: dict[str, tuple[bool, int, type | None, Callable[..., Any]]] = {
    "NONE": (False, 0, None, lambda: None),
    "NEWTRUE": (False, 0, None, lambda: True),
    "NEWFALSE": (False, 0, None, lambda: False),
    "EMPTY_DICT": (False, 0, None, dict),
    "EMPTY_LIST": (False, 0, None, list),
    "EMPTY_TUPLE": (False, 0, None, tuple),
    "TUPLE": (True, 0, None, lambda *values: values),
    "TUPLE1": (False, 1, None, lambda *values: values),
    "TUPLE2": (False, 2, None, lambda *values: values),
    "TUPLE3": (False, 3, None, lambda *values: values),
    "SETITEM": (False, 3, dict, _set),
    "SETITEMS": (True, 1, dict, _set),
    "APPEND": (False, 2, list, lambda target, *items: target.__iadd__(items)),
    "APPENDS": (True, 1, list, lambda target, *items: target.__iadd__(items)),
    "BUILD": (False, 2, dict, lambda target, state: target),  # a state has versions of modules
    "STACK_GLOBAL": (False, 2, str, _name),
    "BINPERSID": (False, 1, tuple, _storage),
    "REDUCE": (False, 2, Name, lambda function, values: CALLS[function.name](*values)),
}
# {function: function that returns what stands for its result}
CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": lambda *items: _set({}, *items),
    "torch.Size": lambda sizes: sizes,
    "torch._utils._rebuild_tensor_v2": _view,
    "torch._utils._rebuild_parameter": lambda data, *_: data,
    "torch._utils._rebuild_parameter_with_state": lambda data, *_: data,
}
