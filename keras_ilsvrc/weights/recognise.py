"""Recognition of a file's source from the names and shapes of its tensors, without Keras."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_ilsvrc import files
from keras_ilsvrc.weights.arrays import shape_of
from keras_ilsvrc.weights.layouts import LAYOUTS, Layout, is_auxiliary
from keras_ilsvrc.weights.sources import SOURCES
from keras_ilsvrc.weights.sources.source import Source
from keras_ilsvrc.weights.tensors import Tensors


class Match(NamedTuple):
    """A source whose weights a file may contain.

    Attributes:
        source: The source.
        classes: Number of classes of the file's classifier; None if it has no classifier.
    """

    source: Source
    classes: int | None


class _Content(NamedTuple):
    """Content of a file if it has a given layout: numbers of values, and number of classes."""

    values: int
    dense: int
    classes: int | None


def recognise(tensors: Mapping[str, np.ndarray], net: str | None = None) -> list[Match]:
    """Return the sources whose weights a file may contain, the most likely ones first.

    A source fits if its layout knows the names of all tensors, and if the number of values without
    classifiers is that of the source. Values are not read. Sources whose file name is that of the
    file come first, then those with its suffix, then the others. Each of these groups is in the
    order of `SOURCES`.

    Args:
        tensors: `Tensors` of a file, or a mapping of names to arrays.
        net: Name of a net, to return only sources of this net.
    """
    contents: dict[str, _Content | None] = {}
    matches = []
    for source in SOURCES:
        if source.layout not in contents:
            contents[source.layout] = _content(tensors, LAYOUTS[source.layout])
        content = contents[source.layout]
        if content is None or net not in (None, source.net):
            continue
        without_top = not content.dense and content.classes is None
        if content.values == source.values - (source.dense if without_top else 0):
            matches.append(Match(source, content.classes))
    file = tensors.path if isinstance(tensors, Tensors) else Path()
    matches.sort(
        key=lambda x: (x.source.file != file.name, Path(x.source.file).suffix != file.suffix)
    )
    return matches


def identified(tensors: Tensors, matches: Iterable[Match]) -> Source | None:
    """Return the matching source whose published file has the name or the SHA-256 of this file."""
    hashes = {}
    for match in matches:
        if match.source.file == tensors.path.name:
            return match.source
        hashes[match.source.sha256] = match.source
    return hashes.get(files.sha256(tensors.path)) if any(hashes) else None


def closest(
    tensors: Mapping[str, np.ndarray], sources: Iterable[Source] = ()
) -> tuple[Source | None, str]:
    """Return the source that is most similar to a file, and a line that says why it does not fit.

    The source is None if at least half of the names are unknown to it.

    Args:
        tensors: `Tensors` of a file, or a mapping of names to arrays, which fits no source.
        sources: Sources to choose from; all if empty.
    """
    if all(name.startswith("layers/") for name in tensors):
        line = "Keras wrote the file for one network, whose name is not in it; pass the file to"
        return None, f"{line} build with this name"
    known = {}  # {layout: unknown names, number of values}
    for name, layout in LAYOUTS.items():
        paths = layout.paths(tensors)
        body = (key for key, path in paths.items() if path and not _is_left_out(path, layout))
        unknown = [key for key, path in paths.items() if path is None]
        known[name] = unknown, _count(shape_of(tensors, key) for key in body)

    def distance(source: Source) -> tuple[int, int]:
        unknown, values = known[source.layout]
        return len(unknown), abs(values - source.values)

    source = min(sources or SOURCES, key=distance)
    unknown, values = known[source.layout]
    if len(unknown) >= len(tensors) / 2:
        first = next(iter(tensors), "none")
        return None, f"the names of its tensors, such as {first}, are of no known weights"
    part = f"its file has {source.values:,} values without the classifier, found {values:,}"
    if unknown:
        part = f"{len(unknown):,} of {len(tensors):,} names are unknown to it: {unknown[0]}"
    return source, f"nearest is {source.net} as {source.name}, but {part}"


def _content(tensors: Mapping[str, np.ndarray], layout: Layout) -> _Content | None:
    """Return what the tensors contain, or None if a name does not match the layout."""
    paths = layout.paths(tensors)
    places = list(paths.values())
    if not places or None in places or len(set(places)) < len(places):
        return None
    shapes = {path: shape_of(tensors, name) for name, path in paths.items() if path is not None}
    heads = [path for path in shapes if layout.is_classifier(path) and not is_auxiliary(path)]
    body = [path for path in shapes if not _is_left_out(path, layout)]
    dense = _count(shapes[path] for path in body if path.startswith(("fc6/", "fc7/")))
    values = _count(shapes[path] for path in body)
    classes = _outputs(min(heads), shapes[min(heads)], layout) if heads else None
    return _Content(values, dense, classes)


def _outputs(path: str, shape: tuple[int, ...], layout: Layout) -> int:
    """Return the number of outputs of a layer, from the shape of its bias or kernel."""
    if path.endswith("/bias"):
        return math.prod(shape)
    matrix = len(shape) == 2 and not layout.matrices_first
    return shape[-1] if matrix or not layout.channels_first else shape[0]


def _is_left_out(path: str, layout: Layout) -> bool:
    """Return whether a tensor is left out of the number of values that identifies a source."""
    return layout.is_classifier(path) or is_auxiliary(path) or path.endswith("/factor")


def _count(shapes: Iterable[tuple[int, ...]]) -> int:
    return sum(map(math.prod, shapes))
