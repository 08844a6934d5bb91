"""Initial weights of a run, which the recipe key `initial` selects."""

from importlib import import_module
from pathlib import Path

import keras

from keras_ilsvrc.errors import InputError, nearest
from keras_ilsvrc.nets.loading import load_weights, without_optimizer
from keras_ilsvrc.nets.registry import Net
from keras_ilsvrc.recipe.schema import Initial, Recipe
from keras_ilsvrc.runs.loaded import trained_model
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.training import initial


def set_initial(model: keras.Model, recipe: Recipe, net: Net) -> None:
    """Set a model's initial weights by a rule, or from a run or file, as `recipe.initial` says."""
    found = recipe.initial
    if isinstance(found, str):
        _set_word(model, found, recipe.seed, net)
    else:
        _set_word(model, found.rest, recipe.seed, net)
        _copy_layers(model, _model_of_run(Path(found.weights)), found)


def _set_word(model: keras.Model, word: str, seed: int, net: Net) -> None:
    if word == "paper":
        module = import_module(f"keras_ilsvrc.nets.{net.builder.split(':')[0]}")
        table = getattr(module, "INITIAL", None)
        if table is None:
            raise InputError(
                f"initial is 'paper', but the paper of {net.name} gives no initial values; "
                "use 'he' or 'glorot'"
            )
        initial.set_initial_values(model, table, seed)
    elif word in initial.RULES:
        initial.set_initial_values(model, initial.RULES[word], seed)
    else:
        path = Path(word)
        path = RunFiles(path).check_finished().weights() if path.is_dir() else path
        if not path.is_file():
            raise InputError(
                f"initial is {word!r}; expected 'paper', 'he', 'glorot', a run directory "
                "or a .weights.h5 file"
            )
        load_weights(without_optimizer(model), path)


def _model_of_run(path: Path) -> keras.Model:
    if not path.is_dir():
        raise InputError(f"initial.weights is {str(path)!r}; expected the directory of a run")
    return trained_model(RunFiles(path).check_finished())


def _copy_layers(model: keras.Model, source: keras.Model, table: Initial) -> None:
    for name in table.layers:
        for each, owner in ((model, model.name), (source, table.weights)):
            known = [layer.name for layer in each.layers if layer.weights]
            if name not in known:
                hint = nearest(name, known)
                raise InputError(f"initial.layers: {owner} has no layer {name!r}; {hint}")
        own, values = model.get_layer(name), source.get_layer(name).get_weights()
        shapes = [tuple(x.shape) for x in own.weights], [x.shape for x in values]
        if shapes[0] != shapes[1]:
            raise InputError(
                f"initial.layers: {name} of {table.weights} has weights of shape {shapes[1]}; "
                f"{model.name} needs {shapes[0]}"
            )
        own.set_weights(values)
