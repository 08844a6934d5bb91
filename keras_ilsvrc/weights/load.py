"""Assignment of a weight file's tensors to a model. Keras is imported only when it is needed."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_ilsvrc.utils.errors import InputError, counted, nearest
from keras_ilsvrc.weights import arrays
from keras_ilsvrc.weights.arrays import Array, Arrays
from keras_ilsvrc.weights.layouts import LAYOUTS, Layout, is_auxiliary
from keras_ilsvrc.weights.names import layers_of
from keras_ilsvrc.weights.recognise import recognise
from keras_ilsvrc.weights.tensors import Tensors

if TYPE_CHECKING:
    import keras


class Row(NamedTuple):
    """One weight of a model and the tensor from which it is set.

    Attributes:
        theirs: Name of the tensor in the file.
        stored_shape: Shape of the tensor in the file.
        ours: Path of the weight in the model.
        shape: Shape of the weight.
        steps: Conversions that are applied to the values, for example "transposed".
    """

    theirs: str
    stored_shape: tuple[int, ...]
    ours: str
    shape: tuple[int, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """Report of which tensors of a file were assigned to which weights of a model.

    Attributes:
        rows: A `Row` for each weight that is set, in the order of the model.
        left_out: Names of the tensors in the file that are not used.
        kept: Paths of the weights that keep their initial values.
    """

    rows: tuple[Row, ...]
    left_out: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{counted(len(self.rows), 'weight')} set"
        if self.left_out:
            text += f"; unused tensors of the file: {_first(self.left_out)}"
        if self.kept:
            text += f"; weights that keep their initial values: {_first(self.kept)}"
        return text


def assign(
    model: "keras.Model",
    tensors: Mapping[str, np.ndarray],
    layout: str,
    head: bool = True,
    skip: Collection[str] = (),
    misfit: str = "",
) -> Report:
    """Set all weights of a model from the tensors of another framework.

    Names, shapes and values are checked before the first weight is set. If a check fails, the model
    is unchanged. Each tensor is therefore read twice: to check it and to set it. At most one tensor
    is in memory at a time.

    Args:
        model: Model built by this package.
        tensors: `Tensors` of a file, or a mapping of names to arrays, for example a `state_dict`.
            The prefix `module.`, which torch's DataParallel adds to names, is ignored.
        layout: Name of a layout, a key of `LAYOUTS`.
        head: Whether the classifiers must be set too. If False, a classifier whose tensors are
            missing or have another number of classes keeps its initial values, and tensors of
            classifiers and of the dense layers before them are ignored if the model lacks these
            layers. Tensors of auxiliary classifiers that the model lacks are always ignored.
        skip: Paths of weights that keep their initial values even if the file has tensors for them.
        misfit: Reason why the tensors must not be loaded even if they fit the weights; empty if
            there is none.

    Raises:
        InputError: If a tensor has no weight, a weight has no tensor, their shapes differ, a value
            is not finite, or `misfit` is not empty. The error's `__notes__` list all faults.
    """
    if layout not in LAYOUTS:
        raise InputError(f"layout is {layout!r}; {nearest(layout, LAYOUTS)}")
    where = f"{tensors.path}" if isinstance(tensors, Tensors) else model.name
    weights = {weight.path: weight for weight in model.weights}
    shapes = {path: tuple(weight.shape) for path, weight in weights.items()}
    plan = _Plan(where, model.name, LAYOUTS[layout], shapes)
    found = plan.arrays(tensors)
    left_out = plan.left_out(found, head, skip)
    found = {path: array for path, array in found.items() if path not in left_out}
    kept = plan.kept(found, head, skip)
    plan.check(tensors, found, kept)
    if misfit:
        raise InputError(f"{where}: {misfit}")
    if plan.layout.channels_first and plan.layout.matrices_first:
        found = _after_flatten(model, found)
    _check_finite([found[path] for path in weights if path in found], where)
    tensor = _tensors()
    for path, weight in weights.items():
        if path in found:
            weight.assign(tensor(found[path].load()))
    rows = (
        Row(found[path].key, found[path].stored.shape, path, shapes[path], found[path].steps)
        for path in weights
        if path in found
    )
    return Report(tuple(rows), tuple(left_out.values()), tuple(kept))


class _Plan(NamedTuple):
    """Plan of an assignment: it maps tensors to weights and checks that they fit.

    Attributes:
        where: Path of the file or name of the model, with which error messages begin.
        model: Name of the model.
        layout: Layout of the tensors, which says how they are named and stored.
        shapes: {path of a weight of the model: its shape}.
    """

    where: str
    model: str
    layout: Layout
    shapes: Mapping[str, tuple[int, ...]]

    def arrays(self, tensors: Mapping[str, np.ndarray]) -> Arrays:
        """Return {path of our weight: its tensor as an `Array`, with the axes in Keras' order}."""
        layout, shapes = self.layout, self.shapes
        found: Arrays = {}
        for name, path in layout.paths(tensors, layers_of(shapes)).items():
            array = arrays.array_of(tensors, name)
            path = path or f"{name}?"  # no rule matches: use a path that no weight can have
            if path in found:
                raise InputError(
                    f"{self.where}: {found[path].key} and {name} both map to {path}; expected one "
                    "tensor per weight; use the weights of the matching net"
                )
            found[path] = self._laid_out(array, path) if layout.channels_first else array
        found = arrays.divide_by_factors(found)
        found = arrays.fold_biases(found, shapes) if layout.biases_folded else found
        found = found if layout.gammas else arrays.with_gammas(found)
        for path, array in found.items():
            found[path] = layout.permuted(path, array)
        return found

    def _laid_out(self, array: Array, path: str) -> Array:
        """Return an array with its axes in Keras' order and with the rank of the weight."""
        if len(array.shape) == 2 and not self.layout.matrices_first:
            return array
        matrix = len(self.shapes.get(path, ())) == 2 and len(array.shape) == 4
        return array.transposed().flattened() if matrix else array.transposed()

    def left_out(self, found: Arrays, head: bool, skip: Collection[str]) -> dict[str, str]:
        """Return {path: tensor name} for the tensors that are not used."""
        layout, own = self.layout, set(layers_of(self.shapes))
        topless = not any(map(layout.is_classifier, self.shapes))
        left = {}
        for path, array in found.items():
            top = layout.is_classifier(path) or (topless and layout.is_dense(path))
            optional = not path.endswith("?") if is_auxiliary(path) else top and not head
            lacking = optional and path.rpartition("/")[0] not in own
            if lacking or (not head and self._other_classes(path, found)) or path in skip:
                left[path] = array.key
        return left

    def kept(self, found: Arrays, head: bool, skip: Collection[str]) -> list[str]:
        """Return the paths of weights without a tensor that may keep their initial values."""
        missing = (path for path in self.shapes if path not in found)
        free = self.layout.is_classifier
        return [path for path in missing if path in skip or (not head and free(path))]

    def _other_classes(self, path: str, found: Arrays) -> bool:
        """Return whether the file lacks tensors of a weight's classifier or has other classes."""
        if not self.layout.is_classifier(path):
            return False
        own = {x: y for x, y in self.shapes.items() if x.startswith(f"{path.rpartition('/')[0]}/")}
        return any(
            x not in found or (found[x].shape[:-1] == y[:-1] and found[x].shape != y)
            for x, y in own.items()
        )

    def check(self, tensors: Mapping[str, np.ndarray], found: Arrays, kept: list[str]) -> None:
        """Raise an InputError if the tensors do not match the weights of the model."""
        missing = [path for path in self.shapes if path not in found and path not in kept]
        extra = [array.key for path, array in found.items() if path not in self.shapes]
        differ = [
            f"{array.key} {array.shape}, expected {self.shapes[path]} for {path}"
            for path, array in found.items()
            if path in self.shapes and array.shape != self.shapes[path]
        ]
        wrong = {"no tensor for": missing, "no weight for": extra, "shapes differ:": differ}
        faults = [f"{what} {_first(names)}" for what, names in wrong.items() if names]
        if faults:
            advice = self._advice(tensors, found)
            error = InputError(f"{self.where}: {'; '.join(faults)}{advice}")
            for what, names in wrong.items():
                for name in names:
                    error.add_note(f"{what} {name}")
            raise error

    def _advice(self, tensors: Mapping[str, np.ndarray], found: Arrays) -> str:
        """Return the end of an error message, which says what to do if tensors do not match."""
        for path, array in found.items():
            count = array.shape[-1]
            if self._other_classes(path, found) and count != self.shapes[path][-1]:
                return (
                    f"; the weights are for {count} classes, but {self.model} has "
                    f"{self.shapes[path][-1]}; load them without the classifier, or build the net "
                    f"with classes={count}"
                )
        nets = list(dict.fromkeys(match.source.net for match in recognise(tensors)))
        net = self.model.partition(".")[0]
        if net in nets:
            return f"; the tensors are those of {net} with other options, input_shape or top layers"
        if nets:
            return f"; the tensors are those of {' or '.join(nets)}, but the model is {self.model}"
        return "; use weights of the same net"


def _after_flatten(model: "keras.Model", found: Arrays) -> Arrays:
    """Reorder the rows of dense kernels that follow Flatten from (C, H, W) to (H, W, C)."""
    from keras import layers

    from keras_ilsvrc.layers.graph import walk

    ordered = dict(found)
    flat: dict[int, tuple[int, int, int]] = {}  # {id of a flattened tensor: (H, W, C) of its maps}
    for call in walk(model).inside:
        maps = flat.get(id(call.inputs[0])) if call.inputs else None
        path = f"{call.name}/kernel"
        if isinstance(call.operation, layers.Flatten):
            flat[id(call.outputs[0])] = call.inputs[0].shape[1:]
        elif maps and isinstance(call.operation, layers.Dropout):
            flat[id(call.outputs[0])] = maps
        elif maps and isinstance(call.operation, layers.Dense) and path in ordered:
            ordered[path] = ordered[path].rows_last(maps)
    return ordered


def _tensors() -> Callable[[np.ndarray], Any]:
    """Return a function that converts an array to a backend tensor.

    In TensorFlow, the tensor shares the memory of the array, which saves two copies. The array must
    not be changed afterwards.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return lambda values: values
    import tensorflow as tf

    return lambda values: tf.experimental.dlpack.from_dlpack(values.__dlpack__())


def _check_finite(found: Iterable[Array], where: str) -> None:
    """Check all arrays with `check_finite`; raise the first error, with all errors as notes."""
    errors = []
    for array in found:
        try:
            arrays.check_finite(array, where)
        except InputError as error:
            errors.append(error)
    for other in errors:
        errors[0].add_note(str(other))
    if errors:
        raise errors[0]


def _first(names: "list[str] | tuple[str, ...]", most: int = 3) -> str:
    """Return a text with the first `most` names and the number of the remaining names."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
