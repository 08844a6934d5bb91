"""Rules that turn the names of another framework into ours."""

import re
from collections.abc import Callable, Iterable, Mapping

import keras

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.weights.arrays import Arrays, layers_of

# Pattern of all of a layer's name, to our name: a template of `re.sub`, or a function.
Rules = Mapping[str, str | Callable[[re.Match[str]], str]]


def rename(arrays: Arrays, rules: Rules) -> Arrays:
    """The arrays under our names: those of a layer by the first rule that matches it.

    A layer without a rule keeps its name, under which `fill` finds no place for it.

    Raises:
        InputError: If two arrays get one name.
    """
    ours: dict[str, str] = {}
    for layer in layers_of(arrays):
        pattern = next((pattern for pattern in rules if re.fullmatch(pattern, layer)), None)
        ours[layer] = re.sub(f"^{pattern}$", rules[pattern], layer) if pattern else layer
    renamed: Arrays = {}
    for path, array in arrays.items():
        layer, _, word = path.rpartition("/")
        place = f"{ours[layer]}/{word}"
        if place in renamed:
            raise InputError(
                f"{renamed[place].key} and {array.key} both go to {place}: the source is another "
                "net than ours"
            )
        renamed[place] = array
    return renamed


def in_order(arrays: Arrays, patterns: Iterable[str], model: keras.Model) -> Rules:
    """Rules for a net that is one chain: its layers are the model's, in order.

    Args:
        arrays: Under the names of their source.
        patterns: Of their names, in order; numbers decide among the names of one pattern.
        model: A chain too.
    """
    theirs = []
    for pattern in patterns:
        found = (name for name in layers_of(arrays) if re.fullmatch(pattern, name))
        theirs += sorted(found, key=_numbers)
    return dict(zip(map(re.escape, theirs), layers_of(weight.path for weight in model.weights)))


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", name)]
