"""Weights for a net, by the name of a source or by path: found, recognised, checked and loaded.

Keras is imported only when weights are set.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.nets.loading import (
    Shapes,
    check_exists,
    check_shapes,
    classes_in,
    load_weights,
)
from keras_ilsvrc.nets.registry import Net
from keras_ilsvrc.weights.sources import source_named, sources_of
from keras_ilsvrc.weights.sources.source import Source

if TYPE_CHECKING:
    import keras

    from keras_ilsvrc.weights.tensors import Tensors

OURS = "ours"  # layout of arrays with the paths of our weights
log = logging.getLogger("keras_ilsvrc")


@dataclass(frozen=True)
class Found:
    """File of weights for a net.

    Attributes:
        path: Path of the file.
        shapes: {name: shape} of the arrays in the file.
        tensors: The arrays of the file; None if Keras wrote it for a net of this package.
        layout: Name of the layout of the arrays, one of `LAYOUTS`.
        source: Published weights as which the file is recognised; None for a file of this package.
        classes: Number of classes of a recognised file; None if it has no classifier.
    """

    path: Path
    shapes: Shapes
    tensors: "Tensors | None" = None
    layout: str = OURS
    source: Source | None = None
    classes: int | None = None


def find_source(net: str, weights: str | Path) -> Source | None:
    """Return the source that `weights` names, or None if it is the path of a file.

    Raises:
        InputError: If it is neither the name of a source for this net nor a file.
    """
    path = Path(weights)
    word = isinstance(weights, str) and len(path.parts) == 1 and not path.suffix
    if word and not path.is_file():
        return source_named(str(weights), net)
    check_exists(path, "weights")
    return None


def find(net: Net, weights: str | Path, sha256: str | None = None) -> Found:
    """Return the file of weights for a net, opened and recognised. Its values are not read.

    Args:
        net: The net.
        weights: Name of a source, whose file is downloaded if needed, or path of a file.
        sha256: SHA-256 that the file must have; None to check only that of a source.

    Raises:
        InputError: If the file cannot be had or read, or is not one of weights for this net.
    """
    name = net.name.partition("[")[0]
    source = find_source(name, weights)

    from keras_ilsvrc.weights.download import fetch
    from keras_ilsvrc.weights.readers import read
    from keras_ilsvrc.weights.recognise import recognise

    tensors = read(weights, sha256) if source is None else read(fetch(source, sha256))
    found = Found(tensors.path, {key: one.shape for key, one in tensors.stored.items()}, tensors)
    if any(key.startswith("layers/") for key in tensors):
        return replace(found, tensors=None)  # closes the file, so that Keras can open it
    matches = [one for one in recognise(tensors, name) if source in (None, one.source)]
    file = tensors.path
    matches.sort(
        key=lambda x: (x.source.file != file.name, Path(x.source.file).suffix != file.suffix)
    )
    if tensors.format == "npz" and not matches and all("/" in key for key in tensors):
        return found
    source, classes = matches[0] if matches else (_by_names(name, tensors, source), net.classes)
    log.info("%s: %s weights of %s", tensors.path, source.name, name)
    return replace(found, layout=source.layout, source=source, classes=classes)


def _by_names(name: str, tensors: "Tensors", source: Source | None) -> Source:
    """Return the source of a net whose names fit a file, although the number of values differs.

    Raises:
        InputError: If the file is that of another net, or no names fit.
    """
    from keras_ilsvrc.weights.layouts import LAYOUTS
    from keras_ilsvrc.weights.recognise import recognise

    others = dict.fromkeys(f"{one.source.net} ({one.source.name})" for one in recognise(tensors))
    if others:
        raise InputError(
            f"{tensors.path}: its tensors are those of {' or '.join(others)}, not of {name}; "
            "build that net, or use a file for this one"
        )
    for one in [source] if source else sources_of(name).values():
        if None not in LAYOUTS[one.layout].paths(tensors).values():
            return one
    raise InputError(
        f"{tensors.path}: the names of its tensors, such as {next(iter(tensors))}, are of no known "
        f"weights of {name}; `keras-ilsvrc weights inspect` shows what is in it"
    )


def options_for(found: Found | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variations of a net that its weights need, with those that the user gave.

    Raises:
        InputError: If the user gave a variation that contradicts the weights.
    """
    source = found.source if found else None
    if source is None:
        return dict(given)
    for key, value in source.options.items():
        if given.get(key, value) != value:
            raise InputError(
                f"{key} is {given[key]!r}, but the {source.name} weights of {source.net} need "
                f"{value!r}; leave out {key}, or use other weights"
            )
    return {**source.options, **given}


def load(
    model: "keras.Model",
    found: Found,
    classes: int | None,
    chosen: bool,
    make: Callable[[int | None], "keras.Model"],
    skip: Collection[str] = (),
) -> None:
    """Set the weights of a model, all but the classifier if the file has another or none.

    The model remembers the source and the report of what was set.

    Args:
        model: Model of the net.
        found: The file.
        classes: Number of classes of the model; None if it has no classifier.
        chosen: Whether the user chose this number, so that a file with another number is accepted.
        make: Function that builds the same net with another number of classes, or None for none.
        skip: Paths of weights that keep their values, whatever is in the file.

    Raises:
        InputError: If the file does not fit. The weights of the model are then those before.
    """
    from keras_ilsvrc.weights.load import assign
    from keras_ilsvrc.weights.preprocessing import remember

    stored = found.classes
    if found.source is None and classes is not None:
        stored = classes_in(found.shapes, model)
        if found.tensors is None:
            check_shapes(found.path, found.shapes, model, stored, part=stored is None)
    if classes is not None:
        _check_classes(model, found, classes, stored, chosen, skip)
    head = classes is not None and stored == classes
    report = None
    if found.tensors is not None:
        report = assign(model, found.tensors, found.layout, head and not skip, skip)
    elif (head or classes is None) and not skip:
        load_weights(model, found.path)
    else:
        twin = make(stored)
        load_weights(twin, found.path)
        report = assign(model, {one.path: one for one in twin.weights}, OURS, False, skip)
    remember(model, found.source, report)
    if report is not None:
        level = logging.WARNING if report.kept else logging.INFO
        log.log(level, "%s: %s, %s", model.name, found.path, report)


def _check_classes(
    model: "keras.Model",
    found: Found,
    classes: int,
    stored: int | None,
    chosen: bool,
    skip: Collection[str],
) -> None:
    """Raise an InputError if the classifier of a file does not fit and may not be left out."""
    path = found.path
    has = "no classifier" if stored is None else f"a classifier of {stored} classes"
    if stored != classes and not chosen:
        advice = "" if stored is None else f"classes={stored} to load it too, "
        raise InputError(
            f"{path}: has {has}, but {model.name} has {classes} classes; pass {advice}classes=N "
            "for a new classifier, or include_top=False"
        )
    dense = any(weight.path == "fc6/kernel" for weight in model.weights)
    if stored is None and dense and "fc6/kernel" not in skip:
        raise InputError(
            f"{path}: has no fully connected layers, which {model.name} needs; pass "
            "include_top=False"
        )
