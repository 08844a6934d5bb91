"""Recognition of a file's source from the names and shapes of its tensors, without Keras."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from keras_ilsvrc.weights.arrays import shape_of
from keras_ilsvrc.weights.layouts import LAYOUTS, Layout, is_auxiliary
from keras_ilsvrc.weights.sources import SOURCES
from keras_ilsvrc.weights.sources.source import Source


class Match(NamedTuple):
    """A source whose weights a file may contain.

    Attributes:
        source: The source.
        classes: Number of classes of the file's classifier; None if it has no classifier.
    """

    source: Source
    classes: int | None


class _Content(NamedTuple):
    """What a file contains in one layout: values by part, and the number of classes."""

    values: int
    dense: int
    classes: int | None


def recognise(tensors: Mapping[str, np.ndarray], net: str | None = None) -> list[Match]:
    """Return the sources whose weights a file may contain, in the order of `SOURCES`.

    A source fits if all names of tensors are names of its layout, and if the number of values,
    without those of the classifiers, is that of the source. Values are not read.

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
    return matches


def closest(tensors: Mapping[str, np.ndarray]) -> str:
    """Return a line about why a file fits no source, not even the one that it is most like."""
    if all(name.startswith("layers/") for name in tensors):
        return (
            "Keras wrote it for one network, whose name is not in it; pass it to build of this one"
        )
    known: dict[str, tuple[list[str], int]] = {}  # {layout: unknown names, number of values}
    for name, layout in LAYOUTS.items():
        paths = layout.paths(tensors)
        body = (key for key, path in paths.items() if path and not _is_left_out(path, layout))
        unknown = [key for key, path in paths.items() if path is None]
        known[name] = unknown, _count(shape_of(tensors, key) for key in body)

    def distance(source: Source) -> tuple[int, int]:
        unknown, values = known[source.layout]
        return len(unknown), abs(values - source.values)

    source = min(SOURCES, key=distance)
    unknown, values = known[source.layout]
    if len(unknown) == len(tensors):
        return f"no known weights have names of tensors such as {unknown[0]}"
    part = f"it has {source.values:,} values without its classifier, found {values:,}"
    if unknown:
        part = f"{len(unknown):,} of {len(tensors):,} names are unknown to it: {unknown[0]}"
    return f"nearest is {source.net} as {source.name}, but {part}"


def _content(tensors: Mapping[str, np.ndarray], layout: Layout) -> _Content | None:
    """Return what the tensors contain, or None if a name is not one of the layout."""
    paths = layout.paths(tensors)
    places = list(paths.values())
    if not places or None in places or len(set(places)) < len(places):
        return None
    shapes = {path: shape_of(tensors, name) for name, path in paths.items() if path is not None}
    heads = [path for path in shapes if layout.is_classifier(path) and not is_auxiliary(path)]
    body = [path for path in shapes if not _is_left_out(path, layout)]
    dense = _count(shapes[path] for path in body if path.startswith(("fc6/", "fc7/")))
    values = _count(shapes[path] for path in body)
    biases = [math.prod(shapes[path]) for path in heads if path.endswith("/bias")]
    return _Content(values, dense, biases[0] if biases else None)


def _is_left_out(path: str, layout: Layout) -> bool:
    """Return whether the values of a tensor do not count."""
    return layout.is_classifier(path) or is_auxiliary(path) or path.endswith("/factor")


def _count(shapes: Iterable[tuple[int, ...]]) -> int:
    return sum(map(math.prod, shapes))
