"""Loading of weights and models from Keras' files. Keras is imported only when it is needed."""

import importlib
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_ilsvrc.errors import InputError, nearest, reason

if TYPE_CHECKING:
    import keras


def load_weights(model: "keras.Model", path: str | Path) -> None:
    """Load weights into a model from a `.weights.h5` file of the same net.

    Raises:
        InputError: If the file is missing, damaged, from another net, or has values that are not
            finite.
    """
    check_exists(path, "weights")
    if not str(path).endswith(".weights.h5"):
        raise InputError(f"weights is {path}; expected a file that ends in .weights.h5")
    try:
        _read(path, model.load_weights)
    except InputError as error:
        _explain_classes(path, model, error)
        raise
    _check_finite(path, model)


def _explain_classes(path: str | Path, model: "keras.Model", error: InputError) -> None:
    """Raise an InputError if a file does not fit a model because of its number of classes."""
    import h5py

    layer = next((x for x in model.layers if x.name in ("logits", "fc8")), None)
    kind = type(layer).__name__
    before = [x for x in model.layers if type(x).__name__ == kind].index(layer) if layer else 0
    name = f"layers/{kind.lower()}{f'_{before}' if before else ''}/vars/0"  # Keras' name
    try:
        with h5py.File(path) as file:
            found = file[name].shape[-1]
    except Exception:  # h5py raises errors of any type for damaged files
        return
    classes = layer.kernel.shape[-1]  # type: ignore[union-attr]
    if found != classes:
        raise InputError(
            f"{path}: has weights for {found} classes, but the model has {classes}; use "
            f"include_top=False, or classes={found}"
        ) from error


def load_model(path: str | Path, compile: bool = True) -> "keras.Model":
    """Load a model of this package from a `.keras` file; custom layers need not be imported first.

    Args:
        path: Path of a file written by `model.save`.
        compile: Whether to restore loss, metrics and optimizer too.

    Raises:
        InputError: If the file is missing, damaged or not a Keras file.
    """
    check_exists(path, "model")
    if Path(path).suffix != ".keras":
        raise InputError(f"{path}: expected a file that ends in .keras, written by model.save")

    if not zipfile.is_zipfile(path):
        size = Path(path).stat().st_size
        raise InputError(f"{path}: damaged, or not a .keras file ({size} bytes)")

    import keras

    # Register the custom classes of compiled models and of models with preprocessing layers.
    names = ["training.constraints", "training.optimizers"]  # the latter imports the schedules
    names += ["data.preprocessing"] * (keras.backend.backend() == "tensorflow")
    for name in names:
        importlib.import_module(f"keras_ilsvrc.{name}")
    from keras_ilsvrc.layers.graph import synchronize

    model = _read(path, lambda file: keras.saving.load_model(file, compile=compile))
    _check_finite(path, model)
    if replica_count() > 1:
        synchronize(model, True)
    return model


def without_optimizer(model: "keras.Model") -> "keras.Model":
    """Return a model with the same weights but no optimizer, to read or write weight files."""
    import keras

    return keras.Model(model.input, model.output)


def check_exists(path: str | Path, what: str) -> None:
    """Raise an InputError that suggests similar names if there is no file at `path`."""
    path = Path(path)
    try:
        if path.is_file():
            return
        found = os.listdir(path.parent) if path.parent.is_dir() else []
    except OSError as error:
        raise InputError(f"{str(path)[:200]}: cannot be read: {error.strerror}") from error
    raise InputError(f"{path}: no such {what} file; {nearest(path.name, found)}".rstrip("; "))


def _read(path: str | Path, load: Callable[[str], Any]) -> Any:
    """Return `load(path)`. If loading fails, raise an InputError that names the file."""
    try:
        with warnings.catch_warnings():
            # Turn Keras' warning that it skips weights into an error.
            warnings.filterwarnings("error", "Skipping nested container")
            return load(str(path))
    except Exception as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error


def _check_finite(path: str | Path, model: "keras.Model") -> None:
    import numpy as np
    from keras import ops

    for weight in model.weights:
        values = ops.convert_to_numpy(weight)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise InputError(
                f"{path}: damaged: a value of {weight.path} is not finite; restore the file from "
                "a copy"
            )


def replica_count() -> int:
    """Return the number of replicas of TensorFlow's current strategy, or 1 on other backends."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync
