"""Recipes: TOML files, each of which describes one training run."""

from keras_ilsvrc.recipe.load import (
    changed,
    find,
    load,
    parse,
    published,
    scaled,
    set_value,
    value_of,
)
from keras_ilsvrc.recipe.schema import Recipe

__all__ = [
    "Recipe",
    "changed",
    "find",
    "load",
    "parse",
    "published",
    "scaled",
    "set_value",
    "value_of",
]
