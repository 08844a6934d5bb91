"""What Keras' own `fit` and `predict` need to be right and quick."""

from collections.abc import Mapping

import keras
import tensorflow as tf

from keras_ilsvrc.layers.graph import leaves

DEEP = 1000  # a residual net of 110 layers has 441, one of 1001 has 3673


def compile_model(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss_weights: Mapping[str, float] | None = None,
) -> None:
    """Compiles for `fit`: cross-entropy on every output, accuracy on `predictions`.

    Args:
        model: With one output, or a dict of outputs.
        optimizer: Built nowhere yet.
        loss_weights: Weight of each output's loss, by its name; 1 where None.
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
    """Without a GPU, turns off what costs more than it gains.

    XLA, in the model's `fit` and `predict`; and for a net of more than `DEEP` layers TensorFlow's
    rewriting of graphs, in this process: its time grows faster than the graph, and on a CPU it
    makes no step shorter.
    """
    if tf.config.list_physical_devices("GPU"):
        return
    model.jit_compile = False
    if sum(1 for _ in leaves(model)) > DEEP:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
