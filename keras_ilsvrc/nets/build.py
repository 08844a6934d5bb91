"""Functions that build, load and check models by name. Keras is imported only when needed."""

import importlib
import inspect
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.nets import info
from keras_ilsvrc.nets.loading import check_exists, load_weights, replica_count
from keras_ilsvrc.nets.registry import Net

if TYPE_CHECKING:
    import keras


def build(
    net: str,
    /,
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor: Any = None,
    input_shape: tuple[int | None, int | None, int] | None = None,
    pooling: str | None = None,
    classes: int | None = None,
    classifier_activation: str | None = "softmax",
    name: str | None = None,
    **variations: Any,
) -> "keras.Model":
    """Return a network of the ImageNet challenge, exactly as published, as a functional model.

    The arguments are those of `keras.applications`, with the same meaning. Kernels are initialised
    He-normal and biases to zero. Inside a `tf.distribute` strategy with more than one replica,
    batch normalisation is synchronized.

    Args:
        net: One of `available()`, or a varied name, for example `"alexnet[activation=tanh]"`.
        include_top: Whether to include the classifier; if False, the model returns the last maps.
        weights: Path of a `.weights.h5` file of the same net, or None.
        input_tensor: Keras tensor to build on, in place of a new input.
        input_shape: (height, width, channels), channels last; the published one if None. Height
            and width may be None if no fully connected layer depends on them.
        pooling: If `include_top` is False: `"avg"` or `"max"` pooling over height and width, or
            None for maps.
        classes: Number of classes; the published one if None.
        classifier_activation: Activation of the output `predictions`, which is float32 under every
            dtype policy; None for logits.
        name: Name of the model. If None, the name of the net, with brackets replaced by characters
            that TensorFlow allows.
        **variations: Variations from the paper or its successors, as listed by `info(net)`.

    Returns:
        A model from images (batch, height, width, channels) to probabilities (batch, classes),
        or to a dict of probabilities by name if `auxiliary` is True.

    Raises:
        InputError: If a name, value or size is invalid; the message says which are valid.
    """
    shape = {"input_tensor": input_tensor, "input_shape": input_shape}
    row = _check_arguments(net, variations, include_top, weights, pooling, classes, **shape)
    classes = int(row.classes if classes is None else classes)

    import keras
    from keras import layers

    from keras_ilsvrc.layers.graph import synchronize

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
    image = _image(row, input_tensor, input_shape)
    module, function = row.builder.split(":")
    builder = getattr(importlib.import_module(f"keras_ilsvrc.nets.{module}"), function)
    try:
        outputs = builder(image, classes if include_top else None, **row.arguments)
    except InputError:
        raise
    except ValueError as error:
        if include_top and None in image.shape[1:3]:
            raise InputError(
                f"input_shape is {image.shape[1:]}, but {row.name} has fully connected layers, "
                "which need a height and a width: give both, or include_top=False"
            ) from error
        raise

    if include_top:
        logits = outputs if isinstance(outputs, dict) else {"predictions": outputs}
        classified = {
            key: layers.Activation(classifier_activation or "linear", dtype="float32", name=key)(x)
            for key, x in logits.items()
        }
        outputs = classified if isinstance(outputs, dict) else classified["predictions"]
    elif pooling == "avg":
        outputs = layers.GlobalAveragePooling2D(name="avg_pool")(outputs)
    elif pooling == "max":
        outputs = layers.GlobalMaxPooling2D(name="max_pool")(outputs)
    inputs = image if input_tensor is None else keras.utils.get_source_inputs(input_tensor)
    if isinstance(inputs, list) and len(inputs) == 1:
        inputs = inputs[0]
    model = keras.Model(inputs, outputs, name=name or row.model_name)
    if replica_count() > 1:
        synchronize(model, True)
    if weights is not None:
        load_weights(model, weights)
    return model


def check_build(net: str, /, **arguments: Any) -> Net:
    """Check the arguments of `build` without building; return the registry's facts about the net.

    Raises:
        InputError: As in `build`, for all errors that can be found before the net is built.
    """
    bound = inspect.signature(build).bind(net, **arguments)
    bound.apply_defaults()
    given = bound.arguments
    checked = inspect.signature(_check_arguments).parameters
    return _check_arguments(*(given[name] for name in checked))


def _check_arguments(
    net, variations, include_top, weights, pooling, classes, input_tensor, input_shape
):
    row = info(net, **variations)
    for key, variation in row.variations.items():
        if row.arguments[key] is None:
            raise InputError(f"{row.name}: {key} is missing; give {variation}")
    if include_top not in (True, False):
        raise InputError(f"include_top is {include_top!r}; expected True or False")
    whole = isinstance(classes, Integral) and not isinstance(classes, bool)
    if classes is not None and (not whole or classes < 1):
        raise InputError(f"classes is {classes!r}; expected a whole number of at least 1")
    if pooling not in (None, "avg", "max"):
        raise InputError(f"pooling is {pooling!r}; expected None, 'avg' or 'max'")
    if row.arguments.get("auxiliary") and not include_top:
        raise InputError("auxiliary needs include_top=True; leave out one of the two arguments")
    if weights == "imagenet":
        raise InputError(
            "weights is 'imagenet', but this package has no pretrained weights; give the path of "
            "a .weights.h5 file, or None"
        )
    if weights is not None:
        check_exists(weights, "weights")
    _shape(row, input_tensor, input_shape)
    return row


def _image(row: Net, input_tensor, input_shape):
    """Return the input tensor of the net."""
    import keras

    shape = _shape(row, input_tensor, input_shape)
    return keras.Input(shape, name="image") if input_tensor is None else input_tensor


def _shape(row, input_tensor, input_shape):
    """Return the shape of the input; raise an InputError if the net cannot take it."""
    if input_tensor is not None:
        import keras

        if not keras.backend.is_keras_tensor(input_tensor):
            kind = type(input_tensor).__name__
            raise InputError(f"input_tensor is a {kind}; expected a Keras tensor (keras.Input)")
        shape = tuple(input_tensor.shape[1:])
        if input_shape is not None and tuple(input_shape) != shape:
            raise InputError(f"input_shape is {input_shape}, but input_tensor has {shape}")
    else:
        shape = row.input_shape if input_shape is None else input_shape
        if not isinstance(shape, (tuple, list)):
            raise InputError(f"input_shape is {shape!r}; expected (height, width, channels)")
        shape = tuple(shape)
    whole = [
        size for size in shape if size is None or (isinstance(size, Integral) and int(size) > 0)
    ]
    if len(shape) != 3 or len(whole) != 3 or shape[2] is None:
        raise InputError(f"input_shape is {shape}; expected (height, width, channels)")
    shape = tuple(None if size is None else int(size) for size in shape)  # may be NumPy integers
    if min(size or row.minimum for size in shape[:2]) < row.minimum:
        raise InputError(
            f"input_shape is {shape}: too small for {row.name}, whose images need at least "
            f"{row.minimum}x{row.minimum}"
        )
    return shape
