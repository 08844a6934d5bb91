"""The networks of the ImageNet challenge 2012-2015, exactly as published."""

from importlib.metadata import version as _version

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.nets import available, info
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.nets.loading import load_model
from keras_ilsvrc.sweep import hypermodel

__version__ = _version("keras_ilsvrc")
__all__ = ["InputError", "available", "build", "hypermodel", "info", "load_model"]
