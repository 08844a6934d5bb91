"""Weights of other frameworks: readers of files, and copying into a model by name."""

from keras_ilsvrc.weights.readers import read

__all__ = ["read"]
