"""Stock `fit` with the settings under which it is right on every replica."""

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from keras_ilsvrc.layers.graph import leaves

DEEP = 1000  # a residual net of 110 layers has 441, one of 1001 has 3673


def compile_model(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss_weights: Mapping[str, float] | None = None,
) -> None:
    """Cross-entropy on every output, accuracy on `predictions`.

    A net of more than `DEEP` layers, without a GPU, turns off TensorFlow's rewriting of graphs in
    this process: its time grows faster than the graph, and on a CPU it makes no step shorter.

    Args:
        model: With one output, or a dict of outputs.
        optimizer: Built nowhere yet.
        loss_weights: Weight of each output's loss, by its name; 1 where None.
    """
    gpu = bool(tf.config.list_physical_devices("GPU"))
    if not gpu and sum(1 for _ in leaves(model)) > DEEP:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    loss = "sparse_categorical_crossentropy"
    several = isinstance(model.output, dict)
    model.compile(
        optimizer,
        dict.fromkeys(model.output, loss) if several else loss,
        loss_weights=dict(loss_weights) if several and loss_weights else None,
        metrics={"predictions": ["accuracy"]} if several else ["accuracy"],
        jit_compile="auto" if gpu else False,
    )


def train(
    model: keras.Model,
    batches: tf.data.Dataset,
    steps: int,
    steps_per_epoch: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Takes `steps` steps of a compiled model.

    Args:
        model: Compiled.
        batches: At least `steps` full batches of (images, labels).
        steps: All steps; the last epoch may be shorter than the others.
        steps_per_epoch: After how many steps the callbacks' `on_epoch_end` comes.
        callbacks: Keras callbacks, called in this order.
    """
    if isinstance(model.output, dict):
        names = list(model.output)
        batches = batches.map(lambda images, labels: (images, dict.fromkeys(names, labels)))
    model.fit(
        batches,
        epochs=-(-steps // steps_per_epoch),
        steps_per_epoch=steps_per_epoch,
        callbacks=[StopAfter(steps), *callbacks],
        shuffle=False,  # the batches come in their order
        verbose=0,
    )


class StopAfter(keras.callbacks.Callback):
    """Ends training after a number of steps, within an epoch if need be."""

    def __init__(self, steps: int):
        super().__init__()
        self.left = steps

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            self.model.stop_training = True
