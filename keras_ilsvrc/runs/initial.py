"""Initial weights of a run, selected by the recipe keys `initial` and `first`."""

import logging
from pathlib import Path

import keras

from keras_ilsvrc.nets import pretrained
from keras_ilsvrc.nets.build import initial_values
from keras_ilsvrc.nets.loading import load_weights, without_optimizer
from keras_ilsvrc.nets.registry import Net
from keras_ilsvrc.recipe.schema import Initial, Recipe
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.runs.experiment import Experiment
from keras_ilsvrc.runs.loaded import trained_model
from keras_ilsvrc.runs.reading import WEIGHTS, RunFiles
from keras_ilsvrc.training import initial
from keras_ilsvrc.training.checkpoint import State
from keras_ilsvrc.training.groups import check_name
from keras_ilsvrc.training.replicas import from_chief
from keras_ilsvrc.utils.errors import InputError, nearest
from keras_ilsvrc.weights.layouts import layout_of
from keras_ilsvrc.weights.load import assign
from keras_ilsvrc.weights.sources import sources_of

log = logging.getLogger("keras_ilsvrc")


def start(experiment: Experiment, directory: RunDirectory) -> None:
    """Set the initial weights of a run: the result of its first stage, or those from `initial`.

    Args:
        experiment: Experiment; the weights of its model are set.
        directory: Directory of the run. Only the chief's directory contains the first stage.
    """
    model = experiment.model
    if experiment.recipe.first is None:
        set_initial(model, experiment.recipe, experiment.net)
        return
    if directory.file(WEIGHTS):
        load_weights(without_optimizer(model), directory.first.check_finished().weights())
    own = State({weight.path: weight.numpy() for weight in model.weights})
    sent = from_chief(experiment.strategy, own)
    assert sent is not None
    for weight in model.weights:
        weight.assign(sent.arrays[weight.path])


def set_initial(model: keras.Model, recipe: Recipe, net: Net) -> None:
    """Set a model's initial weights as the key `initial` of its recipe specifies."""
    found = recipe.initial
    if isinstance(found, str):
        _set_word(model, found, recipe, net)
        return
    skip = _skipped(model, found)
    _set_word(model, found.rest, recipe, net)
    _load(model, found.weights, recipe, net, skip, bool(found.layers))


def _skipped(model: keras.Model, table: Initial) -> set[str]:
    """Return the paths of the model's weights that are not loaded from `initial.weights`."""
    key, names = ("layers", table.layers) if table.layers else ("skip", table.skip or [])
    layers = [x for name in names for x in check_name(f"initial.{key}", model, name)]
    named = {weight.path for layer in layers for weight in layer.weights}
    return {weight.path for weight in model.weights} - named if table.layers else named


def _set_word(model: keras.Model, word: str, recipe: Recipe, net: Net) -> None:
    if word == "paper":
        table = initial_values(net)
        if table is None:
            raise InputError(
                f"initial is 'paper', but the paper of {net.name} gives no initial values; "
                "use 'he' or 'glorot'"
            )
        initial.set_initial_values(model, table, recipe.seed)
    elif word in initial.RULES:
        initial.set_initial_values(model, initial.RULES[word], recipe.seed)
    else:
        # These values remain in a classifier that is not loaded.
        initial.set_initial_values(model, initial.RULES["he"], recipe.seed)
        _load(model, word, recipe, net, set())


def _load(
    model: keras.Model, weights: str, recipe: Recipe, net: Net, skip: set[str], some: bool = False
) -> None:
    """Set a model's weights from a run, a weight file or published weights.

    If these weights have a classifier for another number of classes, the model's classifier keeps
    its values.

    Args:
        model: Model of the recipe's network.
        weights: Run directory, path of a weight file, or name of published weights.
        recipe: Recipe of the model.
        net: Registry entry of the network.
        skip: Paths of weights that keep their values.
        some: Whether `initial.layers` is used; a run may then have layers that the model lacks.
    """
    model = without_optimizer(model)
    name = net.name.partition("[")[0]
    if weights not in sources_of(name) and Path(weights).is_dir():
        run = trained_model(RunFiles(Path(weights)).check_finished())
        own = {weight.path for weight in model.weights}
        lent = {x.path: x for x in run.weights if x.path in own or not some}
        try:
            report = assign(model, lent, layout_of(name), False, skip)
        except InputError as error:
            raise InputError(
                f"initial: {weights}: {error}, or list these layers in initial.skip"
            ) from error
        log.log(logging.WARNING if report.kept else logging.INFO, "%s: %s", weights, report)
        return
    try:
        pretrained.find_source(name, weights)
    except InputError as error:
        hint = nearest(weights, ("paper", *initial.RULES))
        if hint.startswith("did you mean"):
            raise InputError(f"initial is {weights!r}; {hint}; {error}") from error
        raise InputError(f"initial: {error}; or use 'paper', 'he' or 'glorot'") from error
    found = pretrained.find(net, weights)
    for key, value in (found.source.options if found.source else {}).items():
        if net.arguments[key] != value:
            raise InputError(
                f"build.{key} is {net.arguments[key]!r}, but the weights {weights!r} need "
                f"{value!r}; set build.{key} to {value!r}"
            )
    pretrained.load(model, found, recipe.build.classes or net.classes, True, skip)
