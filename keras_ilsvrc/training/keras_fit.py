"""Preparation of a model for training and inference with Keras' own `fit` and `predict`."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_ilsvrc.layers.graph import leaves

# Maximum number of Keras layers in a model that uses TensorFlow's graph optimizer on a CPU.
# ResNet-110 has 441 Keras layers, and ResNet-1001 has 3673.
DEEP = 1000


def compile_model(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss_weights: Mapping[str, float] | None = None,
) -> None:
    """Compile a model for `fit`: cross-entropy loss on all outputs, accuracy on the main output.

    Args:
        model: Model with one output, or a dict of outputs.
        optimizer: Optimizer that is not built yet.
        loss_weights: Loss weight of each output, by name; None for a weight of 1 for all outputs.
    """
    loss = "sparse_categorical_crossentropy"
    several = isinstance(model.output, dict)
    model.compile(
        optimizer,
        dict.fromkeys(model.output, loss) if several else loss,
        loss_weights=dict(loss_weights) if several and loss_weights else None,
        metrics={"predictions": ["accuracy"]} if several else ["accuracy"],
    )
    disable_slow_cpu_options(model)


def disable_slow_cpu_options(model: keras.Model) -> None:
    """Turn off optimizations that cost more time than they save, if there is no GPU.

    XLA is turned off in the model's `fit` and `predict`. For models with more than `DEEP` layers,
    TensorFlow's graph optimizer is turned off in the whole process. Its running time grows faster
    than the graph, and on a CPU it does not speed up the steps.
    """
    if tf.config.list_physical_devices("GPU"):
        return
    model.jit_compile = False
    if sum(1 for _ in leaves(model)) > DEEP:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def augment(model: keras.Model, strength: float) -> None:
    """Mirror and shift the images in every training step of `fit`, each image at random.

    Args:
        model: Compiled model; inference and `evaluate` do not change.
        strength: Number from 0, for no change, to below 2. An image is mirrored with probability
            strength / 2, and shifted by at most strength / 8 of its height and width, with zeros
            at the border. 1 is the augmentation of He et al. for CIFAR-10 (arXiv:1512.03385,
            section 4.2): mirrored half the time, and shifted by up to 4 of 32 pixels.
    """
    if not strength:
        return
    plain_step = model.train_step

    def train_step(data: Any) -> Any:
        images, *others = data
        return plain_step((_moved(images, strength), *others))

    model.train_step = train_step


def _moved(images: Any, strength: float) -> Any:
    """Return a batch of images, each mirrored and shifted at random."""
    count = ops.shape(images)[0]
    mirrored = tf.random.uniform((count, 1, 1, 1)) < strength / 2
    images = ops.where(mirrored, ops.flip(images, 2), images)
    for axis in (1, 2):
        size = images.shape[axis] or ops.shape(images)[axis]
        most = ops.cast(ops.round(ops.cast(size, "float32") * strength / 8), "int32")
        first = tf.random.uniform((count, 1), 0, 2 * most + 1, "int32")
        border = [(most, most) if axis == other else (0, 0) for other in range(4)]
        at = first + ops.arange(size, dtype="int32")
        at = ops.expand_dims(at, (2, 3) if axis == 1 else (1, 3))
        images = ops.take_along_axis(tf.pad(images, border), at, axis)
    return images
