"""The networks of the ImageNet challenge 2012-2015, exactly as published."""

from importlib import import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

from keras_ilsvrc.nets import available, info
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.nets.loading import load_model
from keras_ilsvrc.sweeps.hypermodel import hypermodel
from keras_ilsvrc.utils.errors import InputError

__version__ = _version("keras_ilsvrc")
__all__ = [
    "InputError",
    "available",
    "build",
    "decode_predictions",
    "deploy",
    "freeze",
    "hypermodel",
    "info",
    "load_model",
    "load_run",
    "preprocess",
]

if TYPE_CHECKING:
    from keras_ilsvrc.runs.loaded import load_run
    from keras_ilsvrc.training.groups import freeze
    from keras_ilsvrc.weights.deploy import deploy
    from keras_ilsvrc.weights.preprocessing import decode_predictions, preprocess

# {attribute: module that defines it}. These modules import NumPy, Keras or TensorFlow, so they are
# imported on first use.
_LAZY = {
    "decode_predictions": "keras_ilsvrc.weights.preprocessing",
    "deploy": "keras_ilsvrc.weights.deploy",
    "freeze": "keras_ilsvrc.training.groups",
    "load_run": "keras_ilsvrc.runs.loaded",
    "preprocess": "keras_ilsvrc.weights.preprocessing",
}
_PACKAGES = ("accounting", "evaluation", "layers", "visualize", "weights")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    if name in _PACKAGES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
