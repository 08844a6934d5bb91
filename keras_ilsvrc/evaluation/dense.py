"""Dense evaluation on whole images (Simonyan and Zisserman, arXiv:1409.1556, section 3.2)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
from keras import layers, ops

from keras_ilsvrc.layers.graph import Call, check_one_image, leaf_calls, main_output, run_call, walk
from keras_ilsvrc.utils.errors import InputError

CLASSIFIERS = (layers.Dense, layers.Activation, layers.Softmax)  # possible last layers of a net


@dataclass(frozen=True)
class AnySizeGraph:
    """Graph of a Keras model, modified so that it runs on images of any size.

    Attributes:
        image: Input tensor of the graph.
        steps: Layer calls in order, each with the function that is run in place of the layer.
        over_windows: Whether the dense layers of the classifier are applied to every window of the
            feature maps. If so, the scores of all windows are averaged before the last step.
    """

    image: Any
    steps: list[tuple[Call, Callable[..., Any]]]
    over_windows: bool

    def __call__(self, images: Any) -> Any:
        tensors = {id(self.image): images}
        last = self.steps[-1][0]
        for call, run in self.steps:
            if self.over_windows and call is last:
                scores = call.inputs[0]
                shape = (ops.shape(images)[0], -1, scores.shape[-1])
                tensors[id(scores)] = ops.mean(ops.reshape(tensors[id(scores)], shape), axis=1)
            run_call(call, tensors, run)
        return tensors[id(last.outputs[0])]


class FullyConvolutional(keras.Model):
    """Model that applies a network to images of the network's input size or larger.

    The model shares the weights of the network, so later changes to them apply to both. Keras
    cannot save this model; save the network instead.
    """

    def __init__(self, net: keras.Model, graph: AnySizeGraph):
        super().__init__(name=net.name, dtype=net.dtype_policy)
        self.net, self.graph = net, graph

    def call(self, images: Any, training: bool | None = None) -> Any:
        for side, least in zip(images.shape[1:3], self.graph.image.shape[1:3], strict=True):
            if side is not None and side < (least or 1):
                raise InputError(
                    f"images are {images.shape[1]}x{images.shape[2]}, but {self.net.name} was "
                    f"built for {'x'.join(map(str, self.graph.image.shape[1:3]))}; use images "
                    "of at least that size"
                )
        return self.graph(images)


def fully_convolutional(model: keras.Model) -> FullyConvolutional:
    """Convert a classifier to a fully convolutional model that shares its weights.

    If the classifier begins with `Flatten`, its dense layers are applied to every window of the
    last feature maps. A window is as large as these maps are in training, and neighbouring windows
    are one unit apart. The first dense layer then acts as a convolution of that size, and later
    dense layers act as 1x1 convolutions. The scores of all windows are averaged before the softmax.
    In a classifier with global average pooling, the pooling computes this average. Dropout is
    inactive.

    Convolutions and pooling layers are padded as before. Strided max pooling with padding `same`
    adds as many rows and columns as at the training size, so that its windows do not move.

    Args:
        model: Functional model from one image (batch, height, width, channels) to (batch, classes)
            or a dict with `predictions`. Its classifier begins with `Flatten` or
            `GlobalAveragePooling2D`, and ends with a dense layer or an activation.

    Returns:
        Model that maps images (batch, height, width, channels) to (batch, classes), float32 if the
        output of `model` is. For images of the training size, both models return the same output.

    Raises:
        InputError: If the model is not functional, has another input than one image, or its
            classifier has another form.
    """
    check_one_image(model)
    return FullyConvolutional(model, _any_size(main_output(model)))


def windows(maps: Any, height: int, width: int) -> Any:
    """Return all windows of feature maps, each flattened to a row: (batch * windows, values)."""
    shifted = [
        maps[:, y : (y - height + 1) or None, x : (x - width + 1) or None]
        for y in range(height)
        for x in range(width)
    ]
    return ops.reshape(ops.concatenate(shifted, axis=-1), (-1, height * width * maps.shape[-1]))


def _any_size(model: keras.Model) -> AnySizeGraph:
    """Return the graph of a model, modified so that it runs on images of any size."""
    root = walk(model)
    steps: list[tuple[Call, Callable[..., Any]]] = []
    of_windows: set[int] = set()  # `id` of each tensor that has one row per window
    averages = flattens = 0
    mixed = False
    for call in leaf_calls(root):
        run, per_window = call.operation, {id(x) in of_windows for x in call.inputs}
        mixed = mixed or len(per_window) == 2
        if per_window == {False}:
            averages += isinstance(run, layers.GlobalAveragePooling2D)
            if isinstance(run, layers.MaxPooling2D):
                run = _anchored(call)
            elif isinstance(run, layers.Flatten) and len(call.inputs[0].shape) == 4:
                height, width, _ = call.inputs[0].shape[1:]
                run = partial(windows, height=height, width=width)
                flattens, per_window = flattens + 1, {True}
        if True in per_window:
            of_windows.update(map(id, call.outputs))
        steps.append((call, run))
    over_windows = id(root.outputs[0]) in of_windows
    ends = not over_windows or isinstance(steps[-1][0].operation, CLASSIFIERS)
    one = flattens == 1 or (not flattens and averages)
    if mixed or not one or not ends or len(root.outputs[0].shape) != 2:
        raise InputError(
            f"{model.name} has no head that can be applied to every window of an image; expected "
            "one Flatten or GlobalAveragePooling2D after the last feature maps, then dense layers "
            "and an activation"
        )
    return AnySizeGraph(root.inputs[0], steps, over_windows)


def _anchored(call: Call) -> Callable[[Any], Any]:
    """Return a max pooling function that pads maps of any size like those at the training size."""
    pool, sizes = call.operation, call.inputs[0].shape[1:3]
    if pool.padding == "valid" or pool.strides == (1, 1) or None in sizes:
        return pool
    borders = [(0, 0)]
    for size, kernel, stride in zip(sizes, pool.pool_size, pool.strides, strict=True):
        zeros = max(0, -(-size // stride) * stride - stride + kernel - size)
        borders.append((zeros // 2, zeros - zeros // 2))

    def run(maps: Any) -> Any:
        maps = ops.pad(maps, [*borders, (0, 0)], constant_values=float("-inf"))
        return ops.max_pool(maps, pool.pool_size, pool.strides, "valid", "channels_last")

    return run
