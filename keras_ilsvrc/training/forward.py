"""The outputs of a model over batches, by all replicas of all workers."""

from collections.abc import Callable
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.data.ops import multi_device_iterator_ops as to_devices

from keras_ilsvrc.data.pipeline import untuned

Batches = Callable[[tf.distribute.InputContext], tf.data.Dataset]


def iterate(strategy: tf.distribute.Strategy, batches: Batches) -> Any:
    """Return an iterator over batches, distributed over the replicas.

    Args:
        strategy: Whose replicas these are.
        batches: Returns the dataset that feeds the replicas of one worker, in turn.
    """
    made = to_devices._create_device_dataset

    def without_tuner(*given):  # no option of ours reaches these datasets
        return made(*given).with_options(untuned())

    with mock.patch.object(to_devices, "_create_device_dataset", without_tuner):
        return iter(strategy.distribute_datasets_from_function(batches))


class Forward:
    """`model.predict` on every strategy; Keras' own breaks where there are several workers.

    Args:
        strategy: In whose scope the models are built.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy
        self.model: keras.Model | None = None
        self.spec: Any = None

    def __call__(
        self, model: keras.Model, batches: Batches, check: Callable[[], object] = lambda: None
    ) -> Any:
        """The outputs of all images in order, as arrays, equal on every worker.

        Args:
            model: Whose outputs have the images as their first axis.
            batches: What the pipeline of one worker feeds its replicas, in turn: batches of a
                replica's share of images. It ends.
            check: Called after every step; what it raises ends the work.
        """
        feed = iterate(self.strategy, batches)
        if self.model is not model or self.spec != feed.element_spec:
            self.model, self.spec = model, feed.element_spec
            self.step = self._graph(model, self.spec)
        found = []
        for images in feed:
            found.append(tf.nest.map_structure(lambda x: x.numpy(), self.step(images)))
            check()
        return tf.nest.map_structure(lambda *each: np.concatenate(each), *found)

    def _graph(self, model, spec):
        def on_replica(images):
            outputs = model(images, training=False)
            return tf.nest.map_structure(lambda x: tf.cast(x, "float32"), outputs)

        # One graph whatever the sizes of images: workers must not trace at different steps, for
        # collectives are numbered as they are traced.
        @tf.function(jit_compile=False, input_signature=[spec])
        def step(images):
            outputs = self.strategy.run(on_replica, (images,))
            return tf.nest.map_structure(lambda x: self.strategy.gather(x, 0), outputs)

        return step
