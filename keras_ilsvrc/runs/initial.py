"""Initial weights of a run, which the recipe keys `initial` and `first` select."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import keras

from keras_ilsvrc.errors import InputError, nearest
from keras_ilsvrc.nets.loading import load_weights, without_optimizer
from keras_ilsvrc.nets.registry import Net
from keras_ilsvrc.recipe.schema import Recipe
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.runs.experiment import Experiment
from keras_ilsvrc.runs.loaded import trained_model
from keras_ilsvrc.runs.reading import WEIGHTS, RunFiles
from keras_ilsvrc.training import initial
from keras_ilsvrc.training.checkpoint import State
from keras_ilsvrc.training.groups import check_name
from keras_ilsvrc.training.replicas import from_chief


def start(experiment: Experiment, directory: RunDirectory, log: Callable[[str], object]) -> None:
    """Set the initial weights of a run: those of its first stage, or as `initial` says.

    Args:
        experiment: Experiment, whose model is changed.
        directory: Directory of the run. Only that of the chief has the first stage.
        log: Function called with a line about weights that were loaded in part.
    """
    model = experiment.model
    if experiment.recipe.first is None:
        if line := set_initial(model, experiment.recipe, experiment.net):
            log(line)
        return
    if directory.file(WEIGHTS):
        load_weights(without_optimizer(model), directory.first.check_finished().weights())
    own = State({weight.path: weight.numpy() for weight in model.weights})
    sent = from_chief(experiment.strategy, own)
    assert sent is not None
    for weight in model.weights:
        weight.assign(sent.arrays[weight.path])


def set_initial(model: keras.Model, recipe: Recipe, net: Net) -> str:
    """Set a model's initial weights by a rule, or from a run, file or source.

    Returns:
        A line about weights that were loaded in part; an empty text if there is nothing to say.
    """
    found = recipe.initial
    if isinstance(found, str):
        return _set_word(model, found, recipe.seed, net)
    _set_word(model, found.rest, recipe.seed, net)
    if found.skip:
        return _load(model, found.weights, found.skip)
    path, layers = Path(found.weights), found.layers or []
    if not path.is_dir():
        raise InputError(f"initial.weights is {str(path)!r}; expected the directory of a run")
    source = trained_model(RunFiles(path).check_finished())
    for name in layers:
        known = [layer.name for layer in model.layers if layer.weights]
        if name not in known:
            hint = nearest(name, known)
            raise InputError(f"initial.layers: {model.name} has no layer {name!r}; {hint}")
    _copy_layers(model, source, layers, "initial.layers", found.weights)
    return ""


def _set_word(model: keras.Model, word: str, seed: int, net: Net) -> str:
    if word == "paper":
        module = import_module(f"keras_ilsvrc.nets.{net.builder.split(':')[0]}")
        table = getattr(module, "INITIAL", None)
        if table is None:
            raise InputError(
                f"initial is 'paper', but the paper of {net.name} gives no initial values; "
                "use 'he' or 'glorot'"
            )
        initial.set_initial_values(model, table, seed)
        return ""
    if word in initial.RULES:
        initial.set_initial_values(model, initial.RULES[word], seed)
        return ""
    path = Path(word)
    path = RunFiles(path).check_finished().weights() if path.is_dir() else path
    if not path.is_file():
        raise InputError(
            f"initial is {word!r}; expected 'paper', 'he', 'glorot', a run directory "
            "or a .weights.h5 file"
        )
    load_weights(without_optimizer(model), path)
    return ""


def _load(model: keras.Model, weights: str, skip: Sequence[str]) -> str:
    """Set all layers but the skipped ones from a run, and return a line about it."""
    skipped = {layer.name for name in skip for layer in check_name("initial.skip", model, name)}
    names = [x.name for x in model.layers if x.weights and x.name not in skipped]
    source = trained_model(RunFiles(Path(weights)).check_finished())
    _copy_layers(model, source, names, "initial", weights, "; add its name to initial.skip")
    left = ", ".join(x.name for x in model.layers if x.weights and x.name in skipped)
    return f"initial weights from {weights}, except {left}"


def _copy_layers(
    model: keras.Model,
    source: keras.Model,
    names: Sequence[str],
    key: str,
    owner: str,
    advice: str = "",
) -> None:
    """Copy the named layers of `model` from `source`, which belongs to the run `owner`."""
    known = [layer.name for layer in source.layers if layer.weights]
    for name in names:
        if name not in known:
            hint = advice or f"; {nearest(name, known)}"
            raise InputError(f"{key}: {owner} has no layer {name!r}{hint}")
        own, values = model.get_layer(name), source.get_layer(name).get_weights()
        shapes = [tuple(x.shape) for x in own.weights], [x.shape for x in values]
        if shapes[0] != shapes[1]:
            raise InputError(
                f"{key}: {name} of {owner} has weights of shape {shapes[1]}; "
                f"{model.name} needs {shapes[0]}{advice}"
            )
        own.set_weights(values)
