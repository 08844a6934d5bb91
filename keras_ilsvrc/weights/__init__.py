"""Readers of other frameworks' weight files, and assignment of their tensors to a model by name."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_ilsvrc.weights.readers import read

__all__ = ["read"]


def __getattr__(name: str) -> Any:
    if name == "read":  # imported on first use, because the readers import NumPy
        from keras_ilsvrc.weights.readers import read

        return read
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
