"""Reader of torch files, in the zip form and in the legacy form, which torch wrote before 1.6.

In both forms, a pickle describes a dictionary of tensors. Tensors are views of storages, whose
values are elsewhere in the file. The zip form is a zip file with one folder, in which `data.pkl` is
the pickle, and `data/KEY` contains the values of a storage.
"""

import io
import math
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from keras_ilsvrc.utils.errors import counted
from keras_ilsvrc.weights.readers.pickles import DEEP, LONG, Storage, View, interpret, opcodes_in
from keras_ilsvrc.weights.readers.values import Run, stored, width_of
from keras_ilsvrc.weights.readers.zips import Member, members
from keras_ilsvrc.weights.tensors import Stored

PICKLE = 2**24  # maximum number of bytes of the pickles in a file
TENSORS = 10_000  # maximum number of tensors
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001  # the first two pickles of the legacy form


def read(path: Path) -> dict[str, Stored]:
    """Return the tensors, {name: array}. Keys of nested dictionaries are joined by dots.

    If the dictionary has a key `state_dict`, only the tensors under this key are returned. Values
    other than tensors, for example the number of epochs, are left out. Values of bfloat16 become
    float32.

    Raises:
        ValueError, IndexError, KeyError, TypeError, BadZipFile: If the file is damaged, or contains
            anything but tensors and plain values.
    """
    with open(path, "rb") as file:
        legacy = file.read(1) == b"\x80"
    tree, places = _legacy(path) if legacy else _zipped(path)
    if type(tree) is not dict:
        kind = type(tree).__name__
        raise ValueError(f"the pickle contains a {kind}, expected a dictionary of tensors")
    views = list(islice(_named(tree.get("state_dict", tree)), TENSORS + 1))
    right: set[Member] = set()
    arrays = {name: _stored(name, path, view, places, right) for name, view in views}
    used = [places[view.storage.key].run for _, view in views]
    if len(arrays) < len(views) or len(views) > TENSORS:
        raise ValueError(f"two tensors have the same name, or there are over {TENSORS:,} tensors")
    if sum(stop - start for start, stop in used) > 4 * path.stat().st_size:
        raise ValueError("the tensors are parts of much larger storages; save clones of them")
    return arrays


def _zipped(path: Path) -> tuple[Any, dict[str, Member]]:
    """Return the object in a file in the zip form, and {key of a storage: member}."""
    found = members(path)
    folders = sorted({name.partition("/")[0] for name in found})
    files = {name.partition("/")[2]: member for name, member in found.items()}
    if len(folders) != 1 or "data.pkl" not in files:
        text = f"the zip file has the folders {folders}"[:200]
        raise ValueError(f"{text}, expected one folder with data.pkl")
    if "constants.pkl" in files:
        raise ValueError("the file is TorchScript code; save model.state_dict() with torch.save")
    if not all(member.plain for member in files.values()):
        raise ValueError("the zip file has compressed members, which torch.save does not write")
    if "byteorder" in files and _bytes(path, files["byteorder"], LONG) != b"little":
        raise ValueError("the byte order is not little-endian")
    tree = interpret(opcodes_in(io.BytesIO(_bytes(path, files["data.pkl"], PICKLE))), set())
    return tree, {name[5:]: one for name, one in files.items() if name.startswith("data/")}


def _legacy(path: Path) -> tuple[Any, dict[str, Member]]:
    """Return the object in a file in the legacy form, and {key of a storage: member}.

    The file begins with five pickles: `MAGIC`, `VERSION`, facts about the machine, the saved
    object, and the keys of the storages. For each key, the number of values (int64) and the values
    follow.
    """
    found: set[Storage] = set()
    places: dict[str, Member] = {}
    with open(path, "rb") as file:
        pickles = io.BytesIO(file.read(PICKLE))
        steps = opcodes_in(pickles)
        magic, version, facts, tree, keys = [interpret(steps, found) for _ in range(5)]
        storages = {storage.key: storage for storage in found}
        if magic != MAGIC or version != VERSION or type(facts) is not dict:
            raise ValueError(f"the file is not in torch's legacy form, version {VERSION}")
        if facts.get("little_endian") is not True:
            raise ValueError("the byte order is not little-endian")
        end = pickles.tell()
        for key in keys if type(keys) is list else ():
            if type(key) is not str or key in places or key not in storages:
                raise ValueError("the list of storages has a key twice, or one that no tensor uses")
            file.seek(end)
            _, code, length = storages[key]
            if (count := int.from_bytes(file.read(8), "little")) != length:
                raise ValueError(f"a storage has {counted(count, 'value')}, expected {length:,}")
            start, end = end + 8, end + 8 + length * width_of(code)
            places[key] = Member(Run(start, end), None, True)
    if len(places) < len(found):  # also true if a key occurs with two types or lengths
        raise ValueError(f"the file has {counted(len(places), 'storage')}, expected {len(found):,}")
    if (size := path.stat().st_size) != end:
        raise ValueError(f"the file has {size:,} bytes, expected {end:,}")
    return tree, places


def _named(tree: Any) -> Iterator[tuple[str, View]]:
    """Yield (name, tensor) for the tensors in nested dictionaries, in order."""
    todo, seen = [("", 0, tree)], set()
    while todo:
        name, depth, value = todo.pop()
        if type(value) is View:
            yield name, value
        elif type(value) is dict:
            if id(value) in seen or depth > DEEP or len(name) > LONG:
                raise ValueError("nested dictionaries are too deep, or one of them occurs twice")
            seen.add(id(value))
            for key, item in reversed(value.items()):
                todo.append((f"{name}.{key}" if name else str(key), depth + 1, item))


def _bytes(path: Path, member: Member, most: int) -> bytes:
    """Return the bytes of a member. Raise an error if it is damaged or has more than `most`."""
    (start, stop), checksum, _ = member
    with open(path, "rb") as file:
        file.seek(start)
        content = file.read(min(stop - start, most))
    if len(content) != stop - start or zlib.crc32(content) != checksum:
        size = f"{stop - start:,} bytes"
        raise ValueError(f"a member of {size} has a wrong checksum, or more than {most:,} bytes")
    return content


def _stored(
    name: str, path: Path, view: View, places: dict[str, Member], right: set[Member]
) -> Stored:
    """Return a tensor as an array that is read when it is used.

    `right` contains the members with verified checksums. A member is verified and added when its
    values are first read.
    """
    storage, offset, shape, strides = view
    if storage.key not in places:
        raise ValueError(f"{name} has no values: there is no storage {storage.key!r}")
    member = places[storage.key]
    # Raise an error if the storage has a wrong size.
    stored(f"storage {storage.key}", path, (storage.length,), storage.code, [member.run])

    def decode(data: np.ndarray, dtype: np.dtype) -> np.ndarray:
        checked = member in right or member.checksum is None
        if not checked and zlib.crc32(data.data) != member.checksum:
            raise ValueError(f"{name} is damaged: its checksum is wrong")
        right.add(member)
        steps = [stride * dtype.itemsize for stride in strides]
        return np.lib.stride_tricks.as_strided(data.view(dtype)[offset:], shape, steps)

    whole = stored(name, path, shape, storage.code, [member.run], decode)
    if list(strides) != [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]:
        return whole
    size = width_of(storage.code)
    start = member.run.start + offset * size
    run = Run(start, start + math.prod(shape) * size)
    return whole._replace(rows=stored(name, path, shape, storage.code, [run]).rows)
