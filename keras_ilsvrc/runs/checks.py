"""Checks of the net and build options of a recipe, about which `keras_ilsvrc.recipe` knows nothing.

TensorFlow is not imported.
"""

from collections.abc import Mapping
from typing import Any

from keras_ilsvrc.nets import info
from keras_ilsvrc.recipe.faults import Fault
from keras_ilsvrc.recipe.schema import Build
from keras_ilsvrc.utils.errors import InputError


def net_faults(table: Mapping[str, Any]) -> list[Fault]:
    """Return the faults of the name of a recipe's net, or else of its build options.

    Args:
        table: Content of the recipe as a dict; its schema need not have been checked.
    """
    name, build = table.get("net"), table.get("build")
    if not isinstance(name, str):
        return []
    try:
        net = info(name)
    except InputError as error:
        return [Fault(("net",), str(error))]
    found = []
    for key, value in build.items() if isinstance(build, dict) else ():
        if key not in Build.model_fields:
            try:
                net.vary({key: value})
            except InputError as error:
                found.append(Fault(("build", key), str(error)))
    return found
