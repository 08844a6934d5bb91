"""Rules that translate another framework's layer names into our layer names."""

import re
from collections.abc import Callable, Iterable, Mapping

import keras

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.weights.arrays import Arrays, layers_of

# {regular expression that matches a whole layer name: our name, as the argument `repl` of `re.sub`}
Rules = Mapping[str, str | Callable[[re.Match[str]], str]]


def rename(arrays: Arrays, rules: Rules) -> Arrays:
    """Replace layer names in the arrays' paths by our names. The first rule that matches applies.

    A layer that no rule matches keeps its name. `fill` then reports that the model has no weight
    for it.

    Raises:
        InputError: If two arrays get the same name.
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
                f"{renamed[place].key} and {array.key} both map to {place}; expected one array "
                "per weight; use the weights of the matching net"
            )
        renamed[place] = array
    return renamed


def in_order(arrays: Arrays, patterns: Iterable[str], model: keras.Model) -> Rules:
    """Return rules that rename the n-th layer of a sequential model as the n-th layer of `model`.

    Args:
        arrays: Arrays under the names of the other framework.
        patterns: Regular expressions that match names of layers, in the order of the layers.
            Layers that match the same expression are sorted by the numbers in their names.
        model: Model that receives the weights; its layers also form a chain.
    """
    theirs = []
    for pattern in patterns:
        found = (name for name in layers_of(arrays) if re.fullmatch(pattern, name))
        theirs += sorted(found, key=_numbers)
    return dict(zip(map(re.escape, theirs), layers_of(weight.path for weight in model.weights)))


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", name)]
