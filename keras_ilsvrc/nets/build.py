"""Functions that build networks by name. Keras is imported only when it is needed."""

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from keras_ilsvrc.nets import chosen, info, pretrained
from keras_ilsvrc.nets.arguments import (
    Shape,
    check_arguments,
    check_keras,
    check_shape,
    check_weights,
)
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
    preprocessing: bool = False,
    sha256: str | None = None,
    **variations: Any,
) -> "keras.Model":
    """Return a network of the ImageNet challenge, exactly as published, as a functional model.

    Arguments that also exist in `keras.applications` have the same meaning there. Kernels are
    initialised from the He normal distribution, and biases with zero. Inside the scope of a
    `tf.distribute` strategy with more than one replica, batch normalisation is synchronized.

    Args:
        net: One of `available()`, or a varied name, for example `"alexnet[activation=tanh]"`.
        include_top: Whether to include the classifier; if not, the model returns feature maps.
        weights: Name of published weights, from `info(net).sources`; `"imagenet"` for the
            recommended ones; or path of a file that `weights.read` can read. If a file has the same
            name as published weights, include its folder in the path (`./caffe`). The variations
            and the input shape that the weights need become the defaults. If the file has another
            number of classes than `classes`, or if `include_top` is False, all weights except the
            classifier's are loaded. None for initial values.
        input_tensor: Keras tensor to use as the input, instead of a new `keras.Input`.
        input_shape: (height, width, channels), channels last; None for the shape in the paper.
            Height and width may be None if no fully connected layer depends on them.
        pooling: If `include_top` is False: `"avg"` or `"max"` pooling over height and width, or
            None to return the feature maps.
        classes: Number of classes; None for the number in the paper.
        classifier_activation: Activation of the output `predictions`, which is float32 also with
            mixed precision; None for logits.
        name: Name of the model. If None, the name of the net is used, with brackets replaced by
            characters that TensorFlow allows.
        preprocessing: Whether the model takes raw uint8 images, and begins with the preprocessing
            that its weights need.
        sha256: Expected SHA-256 of the weight file, in hexadecimal digits. If None, only files of
            published weights are checked.
        **variations: Variations of the net, as listed in `info(net).variations`.

    Returns:
        A model from images (batch, height, width, channels) to probabilities (batch, classes),
        or to a dict of probabilities by name if `auxiliary` is True.

    Raises:
        InputError: If a name, value or size is invalid. The message names the valid ones.
    """
    row = info(net, **variations)
    check_arguments(row, include_top, pooling, classes)
    check_weights(weights, sha256, preprocessing, input_tensor)
    found = None if weights is None else pretrained.find(row, weights, sha256)
    row = info(net, **pretrained.options_for(found, chosen(net, variations)))
    if found and found.source and input_shape is None and input_tensor is None:
        input_shape = found.source.input_shape
    shape = check_shape(row, include_top, input_tensor, input_shape)
    check_keras(classifier_activation)

    count = int(classes or row.classes) if include_top else None
    given = row, shape, input_tensor, count, pooling, classifier_activation, name
    if found is None:
        model = _model(*given)
    else:
        from keras_ilsvrc.nets.deferred import Deferred

        with Deferred():
            model = _model(*given)
            pretrained.load(model, found, count, classes is not None)
    if preprocessing:
        from keras_ilsvrc.weights.preprocessing import with_preprocessing

        model = with_preprocessing(model)
    from keras_ilsvrc.layers.labels import take_plain_labels

    return take_plain_labels(model) if row.arguments.get("auxiliary") else model


def check_build(net: str, /, **arguments: Any) -> Net:
    """Check the arguments of `build` without building the net, and return the facts about it.

    Raises:
        InputError: As in `build`, for all errors that can be found without Keras.
    """
    bound = inspect.signature(build).bind(net, **arguments)
    bound.apply_defaults()
    given = bound.arguments
    row, include_top = info(net, **given["variations"]), given["include_top"]
    check_arguments(row, include_top, given["pooling"], given["classes"])
    keys = ("weights", "sha256", "preprocessing", "input_tensor")
    check_weights(*(given[key] for key in keys))
    if given["weights"] is not None:
        pretrained.find_source(row.name.partition("[")[0], given["weights"])
    check_shape(row, include_top, given["input_tensor"], given["input_shape"])
    return row


def _model(
    net: Net,
    shape: Shape,
    image: Any,
    classes: int | None,
    pooling: str | None,
    activation: str | None,
    name: str | None,
) -> "keras.Model":
    """Build the graph of a net on a Keras tensor, or on a new input if `image` is None."""
    import keras

    from keras_ilsvrc.layers.batch_norm import replica_count
    from keras_ilsvrc.layers.graph import synchronize

    image = keras.Input(shape, name="image") if image is None else image
    outputs = _builder(net)(image, classes, **net.arguments)
    if classes is not None:
        outputs = _classify(outputs, activation)
    elif pooling is not None:
        outputs = _pool(outputs, pooling)
    model = keras.Model(_source(image), outputs, name=name or net.model_name)
    if replica_count() > 1:
        synchronize(model, True)
    return model


def initial_values(net: Net) -> dict[str, Any] | None:
    """Return the initial values that the paper of a net gives, or None if it gives none.

    `training.initial.set_initial_values` sets these values in a model.
    """
    return getattr(_module(net), "INITIAL", None)


def _module(net: Net) -> ModuleType:
    return import_module(f"keras_ilsvrc.nets.{net.builder.partition(':')[0]}")


def _builder(net: Net) -> Callable[..., Any]:
    """Import and return the function that builds the graph of a net."""
    found: Callable[..., Any] = getattr(_module(net), net.builder.partition(":")[2])
    return found


def _classify(logits: Any, activation: Any) -> Any:
    """Apply the output activation in float32 to a tensor of logits, or to each tensor in a dict."""
    from keras import layers

    if isinstance(logits, dict):
        return {
            name: layers.Activation(activation or "linear", dtype="float32", name=name)(x)
            for name, x in logits.items()
        }
    return _classify({"predictions": logits}, activation)["predictions"]


def _pool(maps: Any, pooling: str) -> Any:
    """Apply global pooling to feature maps, and return a tensor (batch, channels)."""
    from keras import layers

    kinds = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}
    return kinds[pooling](name=f"{pooling}_pool")(maps)


def _source(tensor: Any) -> Any:
    """Return the Keras input, or list of inputs, from which a tensor is computed."""
    import keras

    inputs = keras.utils.get_source_inputs(tensor)
    return inputs[0] if len(inputs) == 1 else inputs
