"""Recipes: TOML files, each of which describes one training run."""

from keras_ilsvrc.recipe.load import find, load, published
from keras_ilsvrc.recipe.schema import Recipe

__all__ = ["Recipe", "find", "load", "published"]
