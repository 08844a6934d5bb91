"""Recipes: one typed TOML file per run."""

from keras_ilsvrc.recipe.load import find, load
from keras_ilsvrc.recipe.schema import Recipe

__all__ = ["Recipe", "find", "load"]
