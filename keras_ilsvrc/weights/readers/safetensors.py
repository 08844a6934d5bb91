"""Reader of `.safetensors` files. The safetensors package is used only to check the header.

The values are read here, because the package cannot convert bfloat16 values to NumPy, and accepts
a header in which a name occurs twice.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.weights.readers.values import BFLOAT16, Run, stored
from keras_ilsvrc.weights.tensors import Stored

HEADER = 10_000_000  # maximum bytes of a header; the package allows 100 MB
# {data type in the header: dtype}
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": BFLOAT16, "BOOL": "?"}
TYPES |= {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1"}
TYPES |= {"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1"}


def read(path: Path) -> dict[str, Stored]:
    """Return the tensors, {name: array}. Values of bfloat16 become float32.

    Raises:
        InputError: If a tensor has a type that NumPy lacks.
        ValueError, SafetensorError: If the file is damaged, tensors overlap, or a name is repeated.
    """
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > HEADER:
            raise ValueError(f"the header has {size:,} bytes, expected at most {HEADER:,}")
        with safe_open(path, framework="numpy"):  # checks sizes, overlaps and gaps
            header = json.loads(file.read(size), object_pairs_hook=_unique)
    header.pop("__metadata__", None)
    arrays = {}
    for name, entry in header.items():
        if entry["dtype"] not in TYPES:
            raise InputError(
                f"{path}: tensor {name!r} has data type {entry['dtype']}, expected one of "
                f"{', '.join(TYPES)}; save it as F32"
            )
        start, stop = (8 + size + offset for offset in entry["data_offsets"])
        shape, code = tuple(entry["shape"]), TYPES[entry["dtype"]]
        arrays[name] = stored(name, path, shape, code, [Run(start, stop)])
    return arrays


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice in the header")
    return found
