"""Readers of weight files, one module per format, which need no framework and run no code of files.

The module of a format has a function `read(path) -> {name: Stored}`, which opens no other file. It
may raise any exception if the file is damaged; `readers.read` converts it to an `InputError`.
"""

import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import numpy as np

from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import InputError, reason
from keras_ilsvrc.weights.formats import FORMATS
from keras_ilsvrc.weights.readers.zips import members
from keras_ilsvrc.weights.tensors import Stored, Tensors

# First bytes of torch files in the legacy form: the pickle of a magic number.
LEGACY = rb"\x80[\x02-\x05](\x95.{8})?\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\."
# Files that are refused: (regular expression of their first bytes, end of the error message)
OTHERS = (
    (
        rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|body|\?xml)",
        "is a web page; open it to see what went wrong, and download the weight file itself",
    ),
    (
        rb"version https://git-lfs",
        "is a Git LFS pointer instead of the file itself; get the file with `git lfs pull`",
    ),
    (
        rb"\x80[\x02-\x05]",
        "is a pickle that torch did not write, which is not read because it can run code; save its "
        "arrays with `numpy.savez`",
    ),
    (
        rb"(?=(sys_info|pickle|tensors|storages)\0).{257}ustar",
        "is a torch file in the form of 2016, which is not read because it can run code; if you "
        "trust it, save it again with `torch.save(torch.load(F, weights_only=False), F2)`",
    ),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|.{257}ustar", "is an archive; unpack it and pass a file from it"),
    (rb"\x93NUMPY", "is a single array without a name; save the arrays with `numpy.savez`"),
)


def read(path: str | Path, sha256: str | None = None) -> Tensors:
    """Open a weight file, and return its arrays by name. Each array is read when it is used.

    The format is recognised by the content of the file, or else by its suffix. Arrays have the
    names in the file: `conv1/0` (layer and index of the blob) in Caffe files, names of initializers
    in ONNX files, keys of the state dict in torch files, paths of datasets in HDF5 files.

    Args:
        path: A `.caffemodel`, `.onnx`, `.safetensors`, `.npz`, `.pth`, `.pt`, `.th`, `.h5`,
            `.weights.h5` or `.keras` file.
        sha256: Expected SHA-256 of the file in hexadecimal digits; None for no check.

    Raises:
        InputError: If there is no such file, it has another SHA-256, it is not a weight file, it is
            damaged, or it could run code. Reading an array later can raise this error, too.
    """
    path = Path(path)
    with _named(path, "weight"):
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            raise InputError(f"{path} is {what}; pass a weight file")
        _check(path, sha256)
        format = _format(path)
    with _named(path, format):
        stored = import_module(f"{__name__}.{format}").read(path)
        if not stored:
            raise ValueError("it contains no arrays")
    guarded = {name: _guarded(path, format, name, one) for name, one in stored.items()}
    return Tensors(path, format, guarded)


def _check(path: Path, sha256: str | None) -> None:
    """Raise an error if the file has another SHA-256."""
    if sha256 is None:
        return
    expected, found = files.check_sha256(sha256), files.sha256(path)
    if found != expected:
        raise InputError(
            f"{path} has SHA-256 {found}, expected {expected}; the file is another version "
            "or damaged: download it again, or check the digits"
        )


def _format(path: Path) -> str:
    """Return the format of a weight file. If it is another file, raise an error that says so."""
    with open(path, "rb") as file:
        head = file.read(512)
    if not head:
        raise InputError(f"{path} is empty; download it again")
    # check this format first: its header size can look like the first bytes of other formats
    if head[8:9] == b"{" and head[4:8] == bytes(4):
        return "safetensors"
    if re.match(LEGACY, head, re.DOTALL):
        return "torch"
    for pattern, what in OTHERS:
        if re.match(pattern, head, re.DOTALL | re.IGNORECASE):
            raise InputError(f"{path} {what}")
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head.startswith(b"PK"):
        return _of_zip(path)
    if path.suffix.lower() in FORMATS:
        return FORMATS[path.suffix.lower()]
    raise InputError(
        f"{path}: the format is not recognised from the content or the suffix {path.suffix!r}, "
        f"expected one of {', '.join(FORMATS)}; if the file has one of these formats, rename it"
    )


def _of_zip(path: Path) -> str:
    """Return the format of a zip file."""
    names = list(members(path))
    if "model.weights.h5" in names:
        return "keras"
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return "torch"
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    found = ", ".join(names[:3]) or "no members"
    raise InputError(
        f"{path} is a zip file with {found}, expected a torch, .keras or .npz file; unpack it and "
        "pass a file from it"
    )


def _guarded(path: Path, format: str, name: str, stored: Stored) -> Stored:
    """Return the array with reading functions that raise only the errors that `read` documents."""

    def load() -> np.ndarray:
        with _named(path, format):
            values = stored.load()
            if values.shape != stored.shape:
                raise ValueError(f"{name} has shape {values.shape}, expected {stored.shape}")
            return values

    def rows(start: int, stop: int) -> np.ndarray:
        assert stored.rows is not None
        with _named(path, format):
            return stored.rows(start, stop)

    return stored._replace(load=load, rows=stored.rows and rows)


@contextmanager
def _named(path: Path, what: str) -> Iterator[None]:
    """Convert errors in the `with` block to an `InputError` with the path and kind of the file."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        line = f"{path}: cannot read the {what} file: {reason(error)}"
        if "; " not in line:  # a reason may have advice of its own
            of_path = isinstance(error, FileNotFoundError | PermissionError)
            advice = "check path and permissions" if of_path else "download the file again"
            line += f"; {advice}, or pass another file"
        raise InputError(line) from error
