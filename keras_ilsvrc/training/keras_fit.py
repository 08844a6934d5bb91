"""Preparation of a model for training and inference with Keras' own `fit` and `predict`."""

from collections.abc import Mapping

import keras
import tensorflow as tf

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
    than the graph, and on a CPU it makes no step faster.
    """
    if tf.config.list_physical_devices("GPU"):
        return
    model.jit_compile = False
    if sum(1 for _ in leaves(model)) > DEEP:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
