"""Networks whose layers give the features of boxes, with their weights and preprocessing."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras

from keras_ilsvrc.data.ops import ARITHMETIC
from keras_ilsvrc.data.types import Rows, Statistics
from keras_ilsvrc.nets import info
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.nets.loading import load_weights
from keras_ilsvrc.nets.pretrained import OtherClasses
from keras_ilsvrc.rcnn.recipe import HOG, FeaturesTable
from keras_ilsvrc.runs.experiment import op_rows
from keras_ilsvrc.runs.loaded import load_run
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.utils.errors import InputError, nearest
from keras_ilsvrc.visualize.probe import graph_of
from keras_ilsvrc.weights.preprocessing import source_of

ADD_OP = 'set the ops, for example ops = [{op = "preprocess", mode = "tf"}]'


class Network(NamedTuple):
    """Network of a detector, with its weights.

    Attributes:
        model: The network.
        rows: Arithmetic ops that preprocess crops.
        statistics: Statistics that the ops need.
    """

    model: keras.Model
    rows: Rows
    statistics: Statistics

    @property
    def classes(self) -> int | None:
        """Number of classes of the network; None if its classifier was left out."""
        shape = self.model.outputs[0].shape
        return shape[-1] if len(shape) == 2 else None


def network(table: FeaturesTable, layers: Sequence[str], classes: int | None = None) -> Network:
    """Return the network of a recipe with its weights.

    The classifier is left out, unless one of the layers belongs to it.

    Args:
        table: Table `features` of the recipe.
        layers: Names of the layers whose activations are needed.
        classes: Number of classes of a new classifier; None to keep the network's own classes.

    Raises:
        InputError: If the network or its weights are unknown or do not fit, or if the preprocessing
            is not known.
    """
    shape, weights, count = (table.size, table.size, 3), table.weights, classes
    rows = None if table.ops is None else _arithmetic(op_rows(table.ops))
    if rows == []:
        raise InputError(f"features.ops: none of the ops changes the values of pixels; {ADD_OP}")
    statistics: Statistics = {}
    if Path(weights).is_dir():
        run, net, own, statistics, found = _run(Path(weights))
        if net != info(table.net).model_name:
            raise InputError(
                f"features.weights: {weights} is a run of {net}; expected a run of {table.net}"
            )
        rows = _arithmetic(own) if rows is None else rows
        count, weights = count or found, str(run.weights())
    bare = build(table.net, include_top=False, input_shape=shape)
    names = set(_names(bare))
    upper = [name for name in layers if name not in names]
    if upper:
        _check_layers(table, upper)
    top = classes is not None or bool(upper)
    given: dict[str, Any] = {"weights": weights, "include_top": top, "input_shape": shape}
    try:
        model = build(table.net, classes=count if top else None, **given)
    except OtherClasses as error:
        if error.classes is None:
            lacking = ", ".join(upper) or "fully connected layers"
            other = "" if classes else f"{bare.layers[-1].name}, or "
            raise InputError(
                f"features.weights: {weights} has no {lacking}; choose {other}weights with a "
                "classifier"
            ) from error
        model = build(table.net, classes=error.classes, **given)
    if rows is None and (source := source_of(model)):
        rows = _arithmetic(source.preprocessing)
    if rows is None:
        raise InputError(f"features.ops: no preprocessing belongs to {weights}; {ADD_OP}")
    return Network(model, rows, statistics)


def _arithmetic(rows: Rows) -> list[Mapping[str, Any]]:
    """Return the ops that also apply to crops; they do not move pixels."""
    return [row for row in rows if row["op"] in ARITHMETIC]


def _check_layers(table: FeaturesTable, layers: Sequence[str]) -> None:
    """Raise an InputError if the whole network lacks one of the layers."""
    with keras.StatelessScope(initialize_variables=False):
        names = set(_names(build(table.net)))
    for name in (each for each in layers if each not in names):
        key = "features.layer" if name == table.layer else "regression.layer"
        hint = nearest(name, names)
        raise InputError(f"{key}: {table.net} has no layer {name!r}; {hint}".rstrip("; "))


def _run(path: Path) -> tuple[RunFiles, str, Rows, Statistics, int | None]:
    """Return a finished run, its network's name, ops, their statistics, and number of classes.

    The number is None if the classifier of the network of a detector was left out.
    """
    if not RunFiles(path).is_detector:
        run = load_run(path)
        return RunFiles(path), run.model.name, run.rows, run.statistics, len(run.classes)
    from keras_ilsvrc.rcnn.files import DetectorFiles  # which imports this module

    files = DetectorFiles(path).check_finished()
    net, classes = files.recipe().features.net, files.detector().net_classes
    name = net if net == HOG else info(net).model_name
    return files, name, files.identity.eval_ops, files.statistics() or {}, classes


def rebuilt(table: FeaturesTable, classes: int | None, weights: Path) -> keras.Model:
    """Return the network of a finished run with its weights.

    Args:
        table: Table `features` of the recipe.
        classes: Number of classes of the network; None if its classifier was left out.
        weights: Path of the weights file.
    """
    shape = (table.size, table.size, 3)
    model = build(table.net, include_top=classes is not None, input_shape=shape, classes=classes)
    load_weights(model, weights)
    return model


def _names(model: keras.Model) -> Iterator[str]:
    """Yield the names of all layers of a model, including layers inside residual units."""
    waiting = list(graph_of(model).inside)
    while waiting:
        call = waiting.pop()
        yield call.name
        waiting += call.inside
