"""Reader of HDF5 files with arrays of numbers: Keras' legacy `.h5`, its `.weights.h5`, and others.

Only datasets whose values are in the file itself are read. Attributes, in which Keras describes the
model, are not read.
"""

import io
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5l, h5o, h5z

from keras_ilsvrc.weights.readers.values import Run
from keras_ilsvrc.weights.tensors import Stored

# Maximum numbers of objects in a file, of nested groups, and of characters in a path.
LINKS, DEEP, LONG = 20_000, 32, 500
# A dataset may expand to `RATIO` times its bytes in the file, plus `SMALL` bytes. For trained
# weights, the ratio is about 1.
RATIO, SMALL = 20, 2**16
FILTERS = {h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32}


class _Part(io.FileIO):
    """File object for a part of a file, from which HDF5 reads.

    If HDF5 opened the file by its path, no program could write to the file while it is open here,
    and HDF5 would return old content of a file that has changed.
    """

    def __init__(self, path: Path, run: Run):
        super().__init__(path)
        self.run = run

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        bases = (self.run.start, super().tell(), self.run.stop)
        return super().seek(bases[whence] + offset) - self.run.start

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        done, left = 0, self.run.stop - super().tell()
        while done < len(view):
            count = super().readinto(view[done:]) if len(view) <= left else 0
            if not count:  # HDF5 would replace missing bytes by those in its buffer
                raise ValueError("the file ends before the end of an array")
            done += count
        return done

    def __del__(self) -> None:
        self.close()


def read(path: Path) -> dict[str, Stored]:
    """Return the datasets, {path without the first slash: array}.

    If there is a group `model_weights`, as in whole models of legacy Keras, only the datasets in it
    are returned, by their paths in it. Datasets are sorted by name, `conv2d_2` before
    `conv2d_10`. The file stays open as long as a dataset is in use.

    Raises:
        Exception: If the file is damaged, or contains soft or external links, values outside the
            file, values other than numbers, or datasets that are far larger than the file.
    """
    return tensors(path, Run(0, path.stat().st_size))


def tensors(path: Path, run: Run) -> dict[str, Stored]:
    """Return the datasets of the HDF5 file in the range `run` of the file at `path`; see `read`."""
    file = h5py.File(_Part(path, run), "r")
    whole_model = b"model_weights" in list(file.id)
    top = _child(file, "model_weights") if whole_model else file
    found = {name: node for name, node in _walk(top) if isinstance(node, h5py.Dataset)}
    size = sum(_size(name, dataset) for name, dataset in found.items())
    if size > file.id.get_filesize():
        raise ValueError(f"the datasets have {size:,} bytes, which is more than the file has")
    return {name: _stored(one) for name, one in found.items()}


def _walk(top: Any) -> Iterator[tuple[str, Any]]:
    """Yield (path, object) for each group and dataset in a group."""
    todo, seen, links = [("", "", top, 0)], set(), 0
    while todo:
        path, name, parent, depth = todo.pop()
        node = _child(parent, name) if depth else parent
        address = h5o.get_info(node.id).addr
        if address in seen or depth > DEEP or len(path) > LONG:
            raise ValueError(f"{path[:100]!r} is too deep or too long, or names an object again")
        seen.add(address)
        yield path, node
        if isinstance(node, h5py.Group):
            links += len(node)
            if links > LINKS:
                raise ValueError(f"the file has more than {LINKS:,} groups and datasets")
            names = sorted((raw.decode() for raw in node.id), key=_natural, reverse=True)
            todo += [(f"{path}/{one}".lstrip("/"), one, node, depth + 1) for one in names]
        elif not isinstance(node, h5py.Dataset):
            raise ValueError(f"{path} is neither a group nor a dataset")


def _child(group: Any, name: str) -> Any:
    """Return the object called `name` in a group. Raise an error for soft and external links."""
    if "/" in name or group.id.links.get_info(name.encode()).type != h5l.TYPE_HARD:
        raise ValueError(f"{name[:200]!r} is a link to another object or file")
    return group[name]


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key for natural order, in which `conv2` comes before `conv10`."""
    return [(len(part) * part.isdigit(), part) for part in re.split(r"(\d+)", name)]


def _filters(dataset: Any) -> list[int]:
    plan = dataset.id.get_create_plist()
    return [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]


def _size(name: str, dataset: Any) -> int:
    """Check how a dataset is stored, and return the number of bytes that it takes in the file."""
    plan = dataset.id.get_create_plist()
    layout = plan.get_layout()
    if layout not in (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED) or plan.get_external_count():
        raise ValueError(f"{name} stores its values in other files")
    if not FILTERS.issuperset(_filters(dataset)):
        raise ValueError(f"{name} has a filter other than gzip, shuffle and fletcher32")
    shape, dtype = dataset.shape, dataset.dtype
    if dtype.kind not in "fiu" or dtype.itemsize > 8 or shape is None:
        raise ValueError(f"{name} has dtype {dtype}, expected numbers")
    shapes = [shape, plan.get_chunk()] if layout == h5d.CHUNKED else [shape]
    size = max(math.prod(one) for one in shapes) * dtype.itemsize
    found: int = dataset.id.get_storage_size()
    if size > RATIO * found + SMALL or (found != size and layout != h5d.CHUNKED):
        raise ValueError(f"{name} has {size:,} bytes of values, but {found:,} bytes in the file")
    return found


def _stored(dataset: Any) -> Stored:
    """Return a dataset as an array that is read when it is used."""

    def load() -> np.ndarray:
        _check_chunks(dataset)
        return np.asarray(dataset[()])

    def rows(start: int, stop: int) -> np.ndarray:
        return np.asarray(dataset[start:stop])

    plain = dataset.shape and dataset.chunks is None
    return Stored(dataset.shape, dataset.dtype, load, rows if plain else None)


def _check_chunks(dataset: Any) -> None:
    """Raise a `ValueError` if a chunk expands to more bytes than it should have.

    Without this check, HDF5 would decompress a chunk of any size.
    """
    if h5z.FILTER_DEFLATE not in (filters := _filters(dataset)):
        return
    skipped = 1 << filters.index(h5z.FILTER_DEFLATE)
    most = math.prod(dataset.chunks) * dataset.dtype.itemsize + 4  # plus a checksum of 4 bytes
    chunks: list[Any] = []
    dataset.id.chunk_iter(chunks.append)
    for chunk in chunks:
        if chunk.byte_offset + chunk.size > dataset.file.id.get_filesize():
            raise ValueError(f"{dataset.name} has a chunk after the end of the file")
        if not chunk.filter_mask & skipped:
            _, raw = dataset.id.read_direct_chunk(chunk.chunk_offset)
            if len(zlib.decompressobj().decompress(raw, most + 1)) > most:
                raise ValueError(f"{dataset.name} has a chunk of more than {most:,} bytes")
