"""Inference on batches, distributed over all replicas of all workers."""

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
    """Return an iterator over batches that are distributed over the replicas.

    Args:
        strategy: Strategy of the replicas.
        batches: Function that returns the dataset of one worker. Successive batches go to
            successive replicas of this worker.
    """
    made = to_devices._create_device_dataset

    def without_tuner(*args: Any) -> tf.data.Dataset:
        # TensorFlow creates one dataset per device here, and drops our options: set them again.
        return made(*args).with_options(untuned())

    with mock.patch.object(to_devices, "_create_device_dataset", without_tuner):
        return iter(strategy.distribute_datasets_from_function(batches))


class _Rows:
    """Array that grows in place, so that no second copy of the rows is needed at the end.

    Args:
        first: Example of the tensors whose rows will be appended.
    """

    def __init__(self, first: tf.Tensor):
        self.values = np.empty((0, *first.shape[1:]), first.dtype.as_numpy_dtype)
        self.count = 0

    def append(self, rows: np.ndarray) -> None:
        end = self.count + len(rows)
        if end > len(self.values):
            self._resize(end + end // 8)
        self.values[self.count : end] = rows
        self.count = end

    def close(self) -> np.ndarray:
        """Return all rows."""
        self._resize(self.count)
        return self.values

    def _resize(self, count: int) -> None:
        self.values.resize((count, *self.values.shape[1:]), refcheck=False)


class Forward:
    """Inference on all replicas, also with several workers, where `model.predict` fails.

    Args:
        strategy: Strategy in whose scope the models are built.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy
        self.model: keras.Model | None = None
        self.spec: Any = None

    def __call__(
        self, model: keras.Model, batches: Batches, check: Callable[[], object] = lambda: None
    ) -> Any:
        """Return a model's outputs for all images, in order. Every worker gets the same arrays.

        Args:
            model: Model whose outputs have the images as their first axis.
            batches: Function that returns the finite dataset of one worker. Each batch is one
                replica's share; successive batches go to successive replicas of this worker.
            check: Function called after every step, which may raise an exception to end early.
        """
        feed = iterate(self.strategy, batches)
        if self.model is not model or self.spec != feed.element_spec:
            self.model, self.spec = model, feed.element_spec
            self.step = self._graph(model, self.spec)
        found = None
        for images in feed:
            outputs = self.step(images)
            found = tf.nest.map_structure(_Rows, outputs) if found is None else found
            tf.nest.map_structure(lambda rows, x: rows.append(x.numpy()), found, outputs)
            check()
        return tf.nest.map_structure(lambda rows: rows.close(), found)

    def _graph(self, model: keras.Model, spec: Any) -> Callable[[Any], Any]:
        def on_replica(images: Any) -> Any:
            outputs = model(images, training=False)
            return tf.nest.map_structure(lambda x: tf.cast(x, "float32"), outputs)

        # Use one graph for all image sizes, because all workers must trace a graph at the same
        # step: TensorFlow numbers collective operations during tracing.
        @tf.function(jit_compile=False, input_signature=[spec])
        def step(images: Any) -> Any:
            outputs = self.strategy.run(on_replica, (images,))
            return tf.nest.map_structure(lambda x: self.strategy.gather(x, 0), outputs)

        return step
