"""Recognition of published weights by the names and shapes of a file's tensors, without Keras."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_ilsvrc.utils import files
from keras_ilsvrc.weights.arrays import shape_of
from keras_ilsvrc.weights.layouts import LAYOUTS, Layout, is_auxiliary
from keras_ilsvrc.weights.sources import SOURCES
from keras_ilsvrc.weights.sources.source import Source
from keras_ilsvrc.weights.tensors import Tensors


class Match(NamedTuple):
    """Published weights that a file may contain.

    Attributes:
        source: The published weights.
        classes: Number of classes of the file's classifier; None if it has no classifier.
    """

    source: Source
    classes: int | None


class _Content(NamedTuple):
    """Summary of a file's tensors, read with a given layout.

    Attributes:
        values: Number of values, without classifiers and auxiliary branches.
        dense: Number of these values in fc6 and fc7.
        classes: Number of classes of the classifier; None if there is no classifier.
    """

    values: int
    dense: int
    classes: int | None


def recognise(tensors: Mapping[str, np.ndarray], net: str | None = None) -> list[Match]:
    """Return the published weights that a file may contain, the most likely ones first.

    Published weights match if their layout has a rule for each tensor name, and if they have as
    many values as the file, both without classifiers. Values are not read. Weights whose published
    file has the name of this file come first, then those with its suffix, then the others. Each
    of these groups is in the order of `SOURCES`.

    Args:
        tensors: `Tensors` of a file, or a mapping of names to arrays.
        net: Name of a net, to return only weights of this net; None for all nets.
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
    """Return the match whose published file has this file's name or SHA-256; None without one."""
    hashes = {}
    for match in matches:
        if match.source.file == tensors.path.name:
            return match.source
        hashes[match.source.sha256] = match.source
    return hashes.get(files.sha256(tensors.path)) if any(hashes) else None


def written_by_keras(names: Iterable[str]) -> bool:
    """Return whether Keras chose the names of tensors, which then do not identify a network."""
    return all(name.startswith("layers/") for name in names)


def closest(
    tensors: Mapping[str, np.ndarray], sources: Iterable[Source] = ()
) -> tuple[Source | None, str]:
    """Return the published weights most similar to a file, and a line that says how they differ.

    Instead of the weights, None is returned if their layout has no rule for at least half of the
    tensor names, or if Keras chose the names, which then do not identify a network.

    Args:
        tensors: `Tensors` of a file, or a mapping of names to arrays, which no source matches.
        sources: Published weights to choose from; all if empty.
    """
    if written_by_keras(tensors):
        line = "Keras wrote the file, and it does not contain the name of its network; pass the"
        return None, f"{line} file to build with that name"
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
        return None, f"its tensor names, for example {first}, match no known weights"
    part = f"have {source.values:,} values without the classifier, and this file has {values:,}"
    if unknown:
        part = f"lack {len(unknown):,} of the file's {len(tensors):,} tensors: {unknown[0]}"
    return source, f"the most similar weights, {source.name} of {source.net}, {part}"


def _content(tensors: Mapping[str, np.ndarray], layout: Layout) -> _Content | None:
    """Return a summary of tensors, or None if their names do not match the layout."""
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
    """Return the number of outputs of a layer, given the shape of its bias or kernel."""
    if path.endswith("/bias"):
        return math.prod(shape)
    matrix = len(shape) == 2 and not layout.matrices_first
    return shape[-1] if matrix or not layout.channels_first else shape[0]


def _is_left_out(path: str, layout: Layout) -> bool:
    """Return whether a weight is not counted in `Source.values`."""
    return layout.is_classifier(path) or is_auxiliary(path) or path.endswith("/factor")


def _count(shapes: Iterable[tuple[int, ...]]) -> int:
    return sum(map(math.prod, shapes))
