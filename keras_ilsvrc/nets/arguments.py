"""Checks of the arguments of `build`. Keras is imported only when it is needed."""

from numbers import Integral
from os import PathLike
from typing import Any

from keras_ilsvrc.nets.registry import Net
from keras_ilsvrc.utils.errors import InputError

Shape = tuple[int | None, int | None, int]  # height, width, channels


def check_arguments(net: Net, include_top: bool, pooling: str | None, classes: Any) -> None:
    """Raise an InputError if an argument of `build` is missing, invalid or contradicts another."""
    for key, variation in net.variations.items():
        if net.arguments[key] is None:
            raise InputError(f"{net.name}: {key} is missing; pass {variation}")
    if include_top not in (True, False):
        raise InputError(f"include_top is {include_top!r}; expected True or False")
    if classes is not None and not _is_positive(classes):
        raise InputError(f"classes is {classes!r}; expected a whole number of at least 1")
    if pooling not in (None, "avg", "max"):
        raise InputError(f"pooling is {pooling!r}; expected None, 'avg' or 'max'")
    if net.arguments.get("auxiliary") and not include_top:
        raise InputError("auxiliary needs include_top=True; pass both, or leave out auxiliary")


def check_weights(weights: Any, sha256: Any, preprocessing: bool, input_tensor: Any) -> None:
    """Raise an InputError if `weights`, or an argument that depends on it, is not valid."""
    if weights is not None and (not isinstance(weights, str | PathLike) or weights == ""):
        raise InputError(
            f"weights is {weights!r}; expected the name of published weights or the path of a file"
        )
    if sha256 is not None and weights is None:
        raise InputError("sha256 is given without weights; pass weights too, or leave out sha256")
    if preprocessing not in (True, False):
        raise InputError(f"preprocessing is {preprocessing!r}; expected True or False")
    if preprocessing and (weights is None or input_tensor is not None):
        raise InputError(
            "preprocessing=True needs weights, which determine the preprocessing, and a new input "
            "for raw images: pass weights, and leave out input_tensor"
        )


def check_shape(net: Net, include_top: bool, input_tensor: Any, input_shape: Any) -> Shape:
    """Check that the net accepts the input shape, and return it as (height, width, channels).

    Raises:
        InputError: If `input_tensor` is not a Keras tensor, or the net does not accept the shape.
    """
    shape = net.input_shape if input_shape is None else input_shape
    if input_tensor is not None:
        shape = _tensor_shape(input_tensor)
        if input_shape is not None and tuple(input_shape) != shape:
            raise InputError(
                f"input_shape is {input_shape}, but the shape of input_tensor is {shape}; leave "
                "out input_shape"
            )
    shape = _as_shape(shape)
    if any(size is not None and size < net.minimum for size in shape[:2]):
        raise InputError(
            f"input_shape is {shape}: too small for {net.name}, which needs images of at least "
            f"{net.minimum}x{net.minimum}"
        )
    if include_top and net.needs_size and None in shape:
        raise InputError(
            f"input_shape is {shape}, but {net.name} has fully connected layers, "
            "which need a height and a width: pass both, or pass include_top=False"
        )
    return shape


def check_keras(classifier_activation: Any) -> None:
    """Raise an InputError if Keras uses channels first or does not know the output activation."""
    import keras

    if keras.config.image_data_format() != "channels_last":
        raise InputError(
            "image_data_format is 'channels_first'; expected 'channels_last': call "
            "keras.config.set_image_data_format('channels_last')"
        )
    try:
        keras.activations.get(classifier_activation)
    except ValueError as error:
        raise InputError(
            f"classifier_activation is {classifier_activation!r}; expected 'softmax', None for "
            "logits, or another Keras activation"
        ) from error


def _tensor_shape(tensor: Any) -> tuple[int | None, ...]:
    """Return the shape of a Keras tensor without the batch dimension."""
    import keras

    if not keras.backend.is_keras_tensor(tensor):
        kind = type(tensor).__name__
        raise InputError(f"input_tensor is a {kind}; expected a Keras tensor (keras.Input)")
    return tuple(tensor.shape[1:])


def _as_shape(shape: Any) -> Shape:
    """Return `shape` as a tuple (height, width, channels). Height and width may be None."""
    if not isinstance(shape, (tuple, list)):
        raise InputError(f"input_shape is {shape!r}; expected (height, width, channels)")
    valid = len(shape) == 3 and all(x is None or _is_positive(x) for x in shape)
    if not valid or shape[2] is None:
        raise InputError(f"input_shape is {tuple(shape)}; expected (height, width, channels)")
    height, width = (None if x is None else int(x) for x in shape[:2])
    return height, width, int(shape[2])


def _is_positive(value: Any) -> bool:
    """Return whether a value is a positive integer; NumPy integers count, booleans do not."""
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= 1
