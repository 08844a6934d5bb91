"""Functions that find, recognise, check and load weights of a net.

Users give the name of published weights (a source), or the path of a file. Keras is imported only
when weights are set.
"""

import logging
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_ilsvrc.nets.loading import (
    Shapes,
    check_exists,
    check_shapes,
    classes_in,
    with_paths,
)
from keras_ilsvrc.nets.registry import Net
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.weights.sources import source_named, sources_of
from keras_ilsvrc.weights.sources.source import Source

if TYPE_CHECKING:
    import keras

    from keras_ilsvrc.weights.recognise import Match
    from keras_ilsvrc.weights.tensors import Tensors

log = logging.getLogger("keras_ilsvrc")


class OtherClasses(InputError):
    """Error about a weight file that lacks a classifier or has another number of classes.

    Attributes:
        classes: Number of classes of the file; None if it has no classifier.
    """

    def __init__(self, line: str, classes: int | None):
        super().__init__(line)
        self.classes = classes


@dataclass(frozen=True)
class Found:
    """Weight file for a net.

    Attributes:
        path: Path of the file.
        tensors: The arrays of the file.
        by_keras: Whether Keras wrote the file for a net of this package.
        layout: Name of the layout of the arrays, one of `LAYOUTS`.
        source: Published weights that the file contains; None if this package wrote the file.
        classes: Number of classes of a recognised file; None if the file has no classifier.
        misfit: Reason why the file fits no source and must not be loaded; empty if it fits one.
    """

    path: Path
    tensors: "Tensors"
    by_keras: bool = False
    layout: str = "ours"
    source: Source | None = None
    classes: int | None = None
    misfit: str = ""


def find_source(net: str, weights: str | Path) -> Source | None:
    """Return the source that `weights` names, or None if `weights` is the path of a file.

    If a file has the same name as a source, its path must include the folder, for example
    `./caffe`.

    Raises:
        InputError: If `weights` is neither the name of a source for this net nor a file.
    """
    path = Path(weights)
    if isinstance(weights, str):
        word = weights == path.name and not path.suffix and not os.path.exists(weights)
        if word or weights in sources_of(net):
            return source_named(weights, net)
    check_exists(path, "weights")
    return None


def find(net: Net, weights: str | Path, sha256: str | None = None) -> Found:
    """Open a weight file for a net, and recognise its source. The values are not read yet.

    Args:
        net: The net.
        weights: Name of a source, whose file is downloaded if needed, or path of a file.
        sha256: SHA-256 that the file must have. If None, it is checked only for a source.

    Raises:
        InputError: If the file cannot be obtained or read, or does not contain weights of this net.
    """
    name = net.name.partition("[")[0]
    source = find_source(name, weights)

    from keras_ilsvrc.weights.download import fetch
    from keras_ilsvrc.weights.layouts import layout_of
    from keras_ilsvrc.weights.readers import read
    from keras_ilsvrc.weights.recognise import recognise

    tensors = read(weights, sha256) if source is None else read(fetch(source, sha256))
    by_keras = any(key.startswith("layers/") for key in tensors)
    found = Found(tensors.path, tensors, by_keras, layout_of(name))
    if found.by_keras:
        return found
    matches = recognise(tensors)
    if tensors.format == "npz" and not matches and all("/" in key for key in tensors):
        return found
    if not any(match.source.net == name for match in matches):
        return _misfit(found, name, matches, source, net.classes)
    return _matched(found, name, matches, source)


def _matched(found: Found, name: str, matches: "list[Match]", source: Source | None) -> Found:
    """Choose the source of a file among those that fit, log it, and add it to the file.

    Args:
        found: The file.
        name: Name of the net.
        matches: The sources that fit. At least one of them is a source of the net.
        source: Source that the user named; None if the user gave a path.

    Raises:
        InputError: If the file belongs to another net whose tensors have the same names and
            shapes, or if it does not fit the source that the user named.
    """
    from keras_ilsvrc.weights.recognise import identified

    path, own = found.path, [match for match in matches if match.source.net == name]
    if source and source not in (match.source for match in own):
        raise InputError(
            f"{path}: its tensors are not those of the {source.name} weights; use another source"
        )
    known = source or identified(found.tensors, matches)
    if known and known.net != name:
        raise InputError(
            f"{path} is the {known.name} file of {known.net}, whose tensors have the same "
            f"shapes as those of {name}; build {known.net}, or rename the file if it is another one"
        )
    match = next((match for match in own if match.source == known), own[0])
    label = match.source.name
    if known:
        log.info("%s: %s weights of %s", path, label, name)
    else:
        state = "their preprocessing is assumed"
        if not match.source.preprocessing:
            state = "the preprocessing is not known"
        line = f"%s: has the layout of the %s weights of %s; {state}"
        nets = dict.fromkeys(match.source.net for match in matches)
        if len(nets) > 1:
            log.warning(f"{line}; the file fits several nets: {', '.join(nets)}", path, label, name)
        else:
            log.info(line, path, label, name)
    return replace(found, layout=match.source.layout, source=match.source, classes=match.classes)


def _misfit(
    found: Found, name: str, matches: "list[Match]", source: Source | None, classes: int
) -> Found:
    """Add the nearest source to a file that fits no source, so that errors can name tensors.

    Raises:
        InputError: If the file belongs to another net, or if most names of tensors are unknown.
    """
    from keras_ilsvrc.weights.recognise import closest

    others = dict.fromkeys(f"{one.source.net} ({one.source.name})" for one in matches)
    if others:
        raise InputError(
            f"{found.path}: its tensors are those of {' or '.join(others)}, not of {name}; "
            f"build that net, or use a file for {name}"
        )
    own = [source] if source else list(sources_of(name).values())
    one, line = closest(found.tensors, own)
    if one is None or not own:
        raise InputError(
            f"{found.path}: {line if own else f'does not match any known weights of {name}'}; "
            "`keras-ilsvrc weights inspect` shows its content"
        )
    line = f"{line}; use a file of published weights, or one that this package wrote"
    return replace(found, layout=one.layout, source=one, classes=classes, misfit=line)


def options_for(found: Found | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variations of a net: those that the user passed, and those that the weights need.

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
    skip: Collection[str] = (),
) -> None:
    """Set the weights of a model from a file, and record the source in the model.

    If the user chose another number of classes, the classifier of the file is not loaded.

    Args:
        model: Model of the net.
        found: The file.
        classes: Number of classes of the model; None if the model has no classifier.
        chosen: Whether the user chose this number. If so, a file with another number is accepted.
        skip: Paths of weights of the model that are not loaded from the file.

    Raises:
        InputError: If the file does not fit. The weights of the model are then unchanged.
    """
    from keras_ilsvrc.weights.layouts import LAYOUTS
    from keras_ilsvrc.weights.load import assign
    from keras_ilsvrc.weights.preprocessing import remember

    tensors = with_paths(found.tensors, model) if found.by_keras else found.tensors
    stored = found.classes
    if found.source is None and classes is not None:
        stored = classes_in(_shapes(tensors), model)
        if found.by_keras:
            shapes = _shapes(found.tensors)
            check_shapes(found.path, shapes, model, stored, part=stored is None)
    if classes is not None:
        dense = "fc6/kernel" in LAYOUTS[found.layout].paths(tensors).values()
        _check_classes(model, found, classes, stored, chosen, dense or "fc6/kernel" in skip)
    head = classes is not None and stored == classes
    report = assign(model, tensors, found.layout, head and not skip, skip, found.misfit)
    remember(model, found.source)
    level = logging.WARNING if report.kept else logging.INFO
    log.log(level, "%s: %s, %s", model.name, found.path, report)


def _shapes(tensors: "Tensors") -> Shapes:
    return {name: one.shape for name, one in tensors.stored.items()}


def _check_classes(
    model: "keras.Model",
    found: Found,
    classes: int,
    stored: int | None,
    chosen: bool,
    dense: bool,
) -> None:
    """Raise an InputError if the classifier of a file does not fit and may not be left out.

    `dense` is True if the file has the dense layers before the classifier, or need not have them.
    """
    path = found.path
    needed = any(weight.path == "fc6/kernel" for weight in model.weights)
    if stored is None and needed and not dense:
        raise OtherClasses(
            f"{path}: has no fully connected layers, which {model.name} needs; pass "
            "include_top=False, or, in a recipe, list fc6, fc7 and head in initial.skip",
            stored,
        )
    has = "no classifier" if stored is None else f"a classifier of {stored} classes"
    if stored != classes and not chosen:
        advice = "" if stored is None else f"classes={stored} to load it too, "
        raise OtherClasses(
            f"{path}: has {has}, but {model.name} has {classes} classes; pass {advice}classes=N "
            "for a new classifier, or include_top=False",
            stored,
        )
