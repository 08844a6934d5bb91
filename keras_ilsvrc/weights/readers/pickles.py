"""Interpreter of the pickles in torch files. It never calls a function that a pickle names.

The opcodes of a pickle are interpreted one by one, and build values of built-in types and of the
tuple types below. An opcode, class or function that tensors do not need raises an error.
"""

import math
import pickletools
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from keras_ilsvrc.utils.errors import counted
from keras_ilsvrc.weights.readers.values import BFLOAT16

OPCODES = 500_000  # maximum number of opcodes in the pickles of a file
LONG = 500  # maximum number of characters in a name
DEEP = 8  # maximum number of axes, of nested dictionaries, and of arguments of a call
# {class of a storage: dtype}
STORAGES = {"Float": "<f4", "Double": "<f8", "Half": "<f2", "BFloat16": BFLOAT16, "Bool": "?"}
STORAGES |= {"Long": "<i8", "Int": "<i4", "Short": "<i2", "Char": "i1", "Byte": "u1"}
STORAGES = {f"torch.{name}Storage": code for name, code in STORAGES.items()}
DTYPES = [f"torch.{kind}{bits}" for kind in ("float", "int") for bits in (16, 32, 64)]


class Storage(NamedTuple):
    """Block of values in a file, of which tensors are views.

    Attributes:
        key: Name of the block in the file.
        code: Type of the values, as in `values.stored`.
        length: Number of values.
    """

    key: str
    code: str
    length: int


class View(NamedTuple):
    """Tensor, given as a view of a storage. Offset and strides are numbers of values."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Name(NamedTuple):
    """Name of a class or function in a pickle."""

    name: str


def interpret(steps: Iterator[tuple[str, Any]], storages: set[Storage]) -> Any:
    """Return the object in the next pickle of a file, built of built-in types and those above.

    Args:
        steps: Opcodes with their arguments, from `opcodes_in`.
        storages: Set to which the storages in the pickle are added.

    Raises:
        ValueError, IndexError, KeyError, TypeError: If the pickle is damaged, or contains an
            opcode, class or function that a dictionary of tensors does not need.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    for name, given in steps:
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
            marked, count, kinds, action = ACTIONS[name]
            start = max((marks.pop() if marked else len(stack)) - count, 0)
            values = stack[start:]
            del stack[start:]
            if kinds and type(values[0]) not in kinds:
                kind = type(values[0]).__name__
                raise ValueError(f"the pickle has the opcode {name} for a value of type {kind}")
            stack.append(action(*values))
            if name == "BINPERSID":
                storages.add(stack[-1])
    raise ValueError(f"the pickle has no end, or more than {OPCODES:,} opcodes")


def opcodes_in(file: BinaryIO) -> Iterator[tuple[str, Any]]:
    """Yield (name, argument) for the opcodes in pickles; the argument is None if there is none.

    Args:
        file: File of limited length with one or more consecutive pickles.
    """
    for code in islice(iter(lambda: file.read(1), b""), OPCODES):
        if code not in CODES:
            names = {one.code: one.name for one in pickletools.opcodes}
            name = names.get(code.decode("latin-1"), code.hex())
            raise ValueError(f"the pickle has the opcode {name}, which tensors do not need")
        name, argument = CODES[code]
        if name == "GLOBAL":
            lines = file.readline(), file.readline()
            if not lines[1].endswith(b"\n"):
                raise ValueError("the file ends within a name")
            yield name, [line.decode().rstrip("\n") for line in lines]
        else:
            yield name, argument.reader(file) if argument else None


def _name(module: str, name: str) -> Name:
    """Return the name of a class or function. Raise an error if tensors do not need it."""
    full = f"{module}.{name}" if type(module) is type(name) is str else ""
    if full not in CALLS and full not in STORAGES and full not in DTYPES:
        raise ValueError(
            f"the pickle refers to {full[:100]!r}, expected only tensors; if you trust the file, "
            "load it in torch, and save model.state_dict() with torch.save"
        )
    return Name(full)


def _set(target: dict[Any, Any], *items: Any) -> dict[Any, Any]:
    """Add keys and values to a dictionary."""
    for key, value in zip(items[::2], items[1::2], strict=True):
        # Many integers above 2**60 can have the same hash. A dictionary of them is slow.
        usable = len(key) <= LONG if type(key) is str else type(key) is int and abs(key) < 2**60
        if not usable:
            kind = type(key).__name__
            raise ValueError(f"a dictionary key in the pickle is too long, or of type {kind}")
        if key in target:
            raise ValueError(f"the name {key!r} occurs twice")
        target[key] = value
    return target


def _storage(reference: tuple[Any, ...]) -> Storage:
    """Return the storage that a persistent ID in the pickle describes."""
    kind, name, key, _, length, *view = reference[:DEEP]
    if kind != "storage" or type(name) is not Name or type(key) is not str or len(key) > LONG:
        raise ValueError("the pickle has a reference to something other than a storage")
    if type(length) is not int or length < 0 or any(part is not None for part in view):
        raise ValueError("a storage has a negative size, or is part of another storage")
    return Storage(key, STORAGES[name.name], length)


def _ordered(pairs: Any = None) -> dict[Any, Any]:
    """Return the dictionary of a list of pairs, in which Python 2 pickles an OrderedDict."""
    pairs = [] if pairs is None else pairs
    if type(pairs) is not list or any(type(one) is not list or len(one) != 2 for one in pairs):
        raise ValueError("the pickle has an OrderedDict of something other than pairs")
    items = [item for pair in pairs for item in pair]
    pairs.clear()  # otherwise, a pickle could use one large list many times
    return _set({}, *items)


def _call(function: Name, values: tuple[Any, ...]) -> Any:
    """Return the replacement of the result of a function call in the pickle."""
    if type(values) is not tuple or len(values) > DEEP:
        raise ValueError(f"the pickle calls {function.name} with more than {DEEP} arguments")
    return CALLS[function.name](*values)


def _view(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> View:
    """Return a tensor. Raise an error if its values are not all in its storage."""
    if type(storage) is not Storage or not type(shape) is type(strides) is tuple:
        raise ValueError("the pickle has a tensor without a storage or shape")
    numbers = [offset, *shape[:DEEP], *strides[:DEEP]]
    if max(len(shape), len(strides)) > DEEP or any(type(n) is not int or n < 0 for n in numbers):
        raise ValueError(f"a tensor has more than {DEEP} axes, or a negative size")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if math.prod(shape) > storage.length or (last >= storage.length and all(shape)):
        values = f"the {counted(storage.length, 'value')} of its storage"
        raise ValueError(f"a tensor of shape {shape} needs more than {values}")
    return View(storage, offset, shape, strides)


LITERALS = {f"BIN{kind}" for kind in ("UNICODE", "INT", "INT1", "INT2", "FLOAT")}
LITERALS |= {"SHORT_BINUNICODE", "LONG1", "BINSTRING", "SHORT_BINSTRING"}
OTHERS = {"BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT", "MEMOIZE", "MARK", "GLOBAL", "STOP"}
OTHERS |= {"PROTO", "FRAME"}
# {opcode: (whether it pops all values since the last mark; how many values before these it pops;
# allowed types of the first value, empty for any type; function of all these values, whose result
# is pushed)}
ACTIONS: dict[str, tuple[bool, int, tuple[type, ...], Callable[..., Any]]] = {
    "NONE": (False, 0, (), lambda: None),
    "NEWTRUE": (False, 0, (), lambda: True),
    "NEWFALSE": (False, 0, (), lambda: False),
    "EMPTY_DICT": (False, 0, (), dict),
    "EMPTY_LIST": (False, 0, (), list),
    "EMPTY_TUPLE": (False, 0, (), tuple),
    "TUPLE": (True, 0, (), lambda *values: values),
    "TUPLE1": (False, 1, (), lambda *values: values),
    "TUPLE2": (False, 2, (), lambda *values: values),
    "TUPLE3": (False, 3, (), lambda *values: values),
    "SETITEM": (False, 3, (dict,), _set),
    "SETITEMS": (True, 1, (dict,), _set),
    "APPEND": (False, 2, (list,), lambda target, *items: target.__iadd__(items)),
    "APPENDS": (True, 1, (list,), lambda target, *items: target.__iadd__(items)),
    # The state (module versions, or attributes of a parameter) is ignored.
    "BUILD": (False, 2, (dict, View), lambda target, state: target),
    "STACK_GLOBAL": (False, 2, (str,), _name),
    "BINPERSID": (False, 1, (tuple,), _storage),
    "REDUCE": (False, 2, (Name,), _call),
    "NEWOBJ": (False, 2, (Name,), _call),
}
CODES = {
    one.code.encode("latin-1"): (one.name, one.arg)
    for one in pickletools.opcodes
    if one.name in LITERALS | OTHERS or one.name in ACTIONS
}
# {function that a pickle may name: our function that is called in its place}
CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered,
    "torch.Size": lambda sizes: sizes,
    "torch._utils._rebuild_tensor": _view,
    "torch._utils._rebuild_tensor_v2": _view,
    "torch.nn.parameter.Parameter": lambda data, *_: data,
    "torch._utils._rebuild_parameter": lambda data, *_: data,
    "torch._utils._rebuild_parameter_with_state": lambda data, *_: data,
}
