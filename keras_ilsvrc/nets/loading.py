"""Functions that load weights and models from Keras' files. Keras is imported only if needed."""

import importlib
import os
import tempfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_ilsvrc.utils.errors import InputError, file_errors, nearest, reason
from keras_ilsvrc.weights.formats import FORMATS

if TYPE_CHECKING:
    import keras

    from keras_ilsvrc.weights.tensors import Tensors

Shapes = Mapping[str, tuple[int, ...]]  # {name of an array in a file: its shape}
OWN = (".weights.h5", ".keras")  # suffixes of weight files that Keras writes


def load_weights(model: "keras.Model", path: str | Path) -> None:
    """Load weights into a model from a file that Keras wrote for the same net.

    This package's own reader checks the file first. It refuses a file that contains code, links to
    other files, or data that expands to an excessive size.

    Args:
        model: Model of the same architecture as the one that was saved.
        path: Path of a `.weights.h5` or `.keras` file. Only the weights in it are read.

    Raises:
        InputError: If the file is missing, damaged or from another net, or if a value is not
            finite.
    """
    check_exists(path, "weights")
    if not str(path).endswith(OWN):
        raise InputError(f"weights is {path}; expected a file that ends in {' or '.join(OWN)}")
    shapes = shapes_in(path)
    try:
        _read(path, model.load_weights)
    except InputError:
        check_shapes(path, shapes, model)  # raises a more helpful error if the shapes do not fit
        raise
    _check_finite(path, model)


def shapes_in(path: str | Path) -> Shapes:
    """Return {name: shape} of the arrays in a file, and close the file, so that Keras can open it.

    Raises:
        InputError: If the file cannot be read, or its content is not safe to load.
    """
    from keras_ilsvrc.weights.readers import read

    return {name: one.shape for name, one in read(path).stored.items()}


def with_paths(tensors: "Tensors", model: "keras.Model") -> "Tensors":
    """Return the arrays of a file that Keras wrote, renamed to the weight paths of a model.

    Keras names the arrays in a file after the classes and attributes of layers. To find the name of
    each weight in the file, the model is saved to a temporary file in which each weight is replaced
    by its index. Arrays that belong to no weight are left out.

    Args:
        tensors: Arrays of the file.
        model: Model of the same net, perhaps with another number of classes or no classifier.
    """
    import keras
    import numpy as np

    from keras_ilsvrc.weights.readers import read
    from keras_ilsvrc.weights.tensors import Tensors

    with keras.StatelessScope() as scope, tempfile.TemporaryDirectory() as folder:
        for number, weight in enumerate(model.weights):
            scope.add_update((weight, np.array(number)))
        path = f"{folder}/numbers.weights.h5"
        model.save_weights(path)
        numbered = read(path)
        names = {name: int(numbered[name]) for name in numbered if not numbered.shape(name)}
    paths = [weight.path for weight in model.weights]
    return Tensors(
        tensors.path,
        tensors.format,
        {paths[number]: tensors.stored[name] for name, number in names.items() if name in tensors},
    )


def classes_in(shapes: Shapes, model: "keras.Model") -> int | None:
    """Return the number of classes in a weight file for one of this package's nets.

    Args:
        shapes: Shapes of the arrays in the file, by the paths of the model's weights.
        model: Model of the same net with a classifier, perhaps for another number of classes.

    Returns:
        Number of classes; None if the file has no classifier.
    """
    layer = [x for x in model.layers if x.weights and not x.name.startswith("aux")][-1]
    found = shapes.get(f"{layer.name}/kernel")
    return found[-1] if found and len(found) == len(layer.kernel.shape) else None


def check_shapes(
    path: str | Path,
    shapes: Shapes,
    model: "keras.Model",
    classes: int | None = None,
    part: bool = False,
) -> None:
    """Raise an InputError if the arrays in a file that Keras wrote do not fit a model.

    Args:
        path: Path of the file, for messages.
        shapes: Shapes of the arrays in the file.
        model: Model of any kind.
        classes: Number of classes of the file, if the model may have another number.
        part: Whether the file may lack some of the model's arrays, such as those of a classifier.
    """
    from keras_ilsvrc.weights.layouts import LAYOUTS, layout_of

    is_classifier = LAYOUTS[layout_of(model.name.partition(".")[0])].is_classifier
    own = Counter(
        (*weight.shape[:-1], classes)
        if classes and is_classifier(weight.path) and weight.shape[-1] == model.outputs[0].shape[-1]
        else tuple(weight.shape)
        for weight in model.weights
    )
    theirs = Counter(
        shape
        for name, shape in shapes.items()
        if name.startswith("layers/") and "seed_generator" not in name
    )
    extra, lacking = list(theirs - own), list(own - theirs)
    if extra or (lacking and not part):
        odd = f"unexpected shape {extra[0]}" if extra else f"missing shape {lacking[0]}"
        raise InputError(
            f"{path}: its {theirs.total()} arrays do not fit the {own.total()} of {model.name}: "
            f"{odd}; use weights of the same net, width, classes and input size"
        )


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
        raise InputError(f"{path}: damaged, or not a .keras file ({size} bytes); use another file")

    import keras

    # Importing these modules registers custom classes of compiled models and of preprocessing.
    names = ["training.constraints", "training.optimizers"]  # the latter imports the schedules
    names += ["data.preprocessing"] * (keras.backend.backend() == "tensorflow")
    for name in names:
        importlib.import_module(f"keras_ilsvrc.{name}")
    from keras_ilsvrc.layers.batch_norm import replica_count
    from keras_ilsvrc.layers.graph import functional, synchronize
    from keras_ilsvrc.layers.labels import take_plain_labels

    model = _read(path, lambda file: keras.saving.load_model(file, compile=compile))
    _check_finite(path, model)
    if replica_count() > 1:
        synchronize(model, True)
    return take_plain_labels(model) if functional(model) else model


def without_optimizer(model: "keras.Model") -> "keras.Model":
    """Return a model with the same weights but no optimizer, for loading and saving weights."""
    import keras

    return keras.Model(model.input, model.output, name=model.name)


def check_exists(path: str | Path, what: str) -> None:
    """Raise an InputError that suggests names of weight files if there is no file at `path`."""
    path = Path(path)
    with file_errors(str(path)[:200], "read"):
        if path.is_file():
            return
        if path.is_dir():
            raise InputError(f"{path} is a folder; expected a {what} file")
        found = os.listdir(path.parent) if path.parent.is_dir() else []
        found = [name for name in found if name.endswith(tuple(FORMATS))]
    raise InputError(f"{path}: no such {what} file; {nearest(path.name, found)}".rstrip("; "))


def _read(path: str | Path, load: Callable[[str], Any]) -> Any:
    """Return `load(path)`. If loading fails, raise an InputError that names the file."""
    try:
        with warnings.catch_warnings():
            # Raise an error if Keras warns that it skips weights.
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
