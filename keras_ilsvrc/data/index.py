"""Index of the headers of image files, cached for later runs."""

import hashlib
import logging
import os

import numpy as np

from keras_ilsvrc.data import kept
from keras_ilsvrc.data.headers import (
    ENDINGS,
    BadImage,
    Fault,
    Header,
    NotAnImage,
    own_limit,
    read_header,
)
from keras_ilsvrc.data.markers import ENOUGH, ordinary_jpeg
from keras_ilsvrc.data.source import OnFault
from keras_ilsvrc.data.texts import Texts
from keras_ilsvrc.utils.bars import in_threads
from keras_ilsvrc.utils.errors import reason

# Bits that describe a file: it is an image, is turned according to its EXIF data, has several
# frames or pages, or is not an image at all. A bad image has none of these bits.
IMAGE, TURNED, SEVERAL, FOREIGN = 1, 2, 4, 8
TOGETHER = 256  # number of files whose headers a thread reads at a time
BINARY = getattr(os, "O_BINARY", 0)  # flag that exists only on Windows
log = logging.getLogger(__name__)


def header_bits(name: str, paths: Texts, stats: np.ndarray, on_fault: OnFault) -> np.ndarray:
    """Return a sum of the bits `IMAGE`, `TURNED`, `SEVERAL` and `FOREIGN` for each file.

    For large data sets, the bits are cached. Later runs read only the headers of new files and of
    files whose size or modification time has changed.

    Args:
        name: Name of the data set.
        paths: Paths of the files.
        stats: Size and modification time of each file, (files, 2), int64.
        on_fault: Function called with a `Fault` for every bad image, in the order of the files.

    Returns:
        Bits of each file, (files,), uint8.
    """
    if len(paths) < kept.LEAST:
        bits = np.zeros(len(paths), "uint8")
        _read(paths, bits, np.arange(len(paths)), on_fault)
        return bits
    # Add the absolute path, since the name may contain a path relative to the working directory.
    file = kept.Kept("headers", f"{name}\0{os.path.abspath(name.partition(':')[2])}")
    keys = np.fromiter(map(_key, paths), "uint64", len(paths))
    bits = _known(file.load(), keys, stats)
    new = np.flatnonzero(bits == 0)
    if 0 < len(new) < len(bits):
        log.info("%s: reading the headers of %s new, changed or bad files", name, f"{len(new):,}")
    try:
        _read(paths, bits, new, on_fault)
    finally:
        if bits[new].any():
            order = np.argsort(keys)
            file.save(keys=keys[order], stats=stats[order], bits=bits[order])
    return bits


def _key(path: str) -> int:
    return int.from_bytes(hashlib.blake2b(os.fsencode(path), digest_size=8).digest())


def _known(held: dict[str, np.ndarray], keys: np.ndarray, stats: np.ndarray) -> np.ndarray:
    """Return the bits that an index contains for files that have not changed; 0 for other files."""
    if not held:
        return np.zeros(len(keys), "uint8")
    rows = np.searchsorted(held["keys"], keys) % len(held["keys"])
    same = (held["keys"][rows] == keys) & (held["stats"][rows] == stats).all(1)
    return np.where(same, held["bits"][rows], 0).astype("uint8")


def _read(paths: Texts, bits: np.ndarray, rows: np.ndarray, on_fault: OnFault) -> None:
    """Read the headers of the files at these rows, and set their bits."""

    def look(row: int) -> int | Fault:
        return _bits(paths[row])

    with own_limit():
        found = in_threads(look, rows.tolist(), "reading headers", TOGETHER)
        for row, one in zip(rows.tolist(), found, strict=True):
            if isinstance(one, Fault):
                on_fault(one)
            else:
                bits[row] = one


def _bits(path: str) -> int | Fault:
    """Return the bits of a file, or its fault. A file that is unlike any image gets `FOREIGN`."""
    found = _quick(path) or _header(path)
    if found is None or isinstance(found, Fault):
        return FOREIGN if found is None else found
    return IMAGE + TURNED * found.turned + SEVERAL * found.several


def _quick(path: str) -> Header | None:
    """Return the header of an ordinary JPEG; None for other files and if reading fails."""
    try:
        descriptor = os.open(path, os.O_RDONLY | BINARY)
        try:
            return ordinary_jpeg(os.read(descriptor, ENOUGH))
        finally:
            os.close(descriptor)
    except OSError:
        return None


def _header(path: str) -> Header | Fault | None:
    """Return a file's header or fault; None if neither content nor extension suggests an image."""
    size = None
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            return read_header(file)
    except NotAnImage as error:
        if os.path.splitext(path)[1].lower() not in ENDINGS:
            return None
        return Fault(path, size, str(error))
    except BadImage as error:
        return Fault(path, size, str(error))
    except OSError as error:
        return Fault(path, size, f"cannot be read: {reason(error)}")
