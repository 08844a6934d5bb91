"""Toy training of a few seconds that has every kind of state, also for use in other processes."""

import hashlib

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.training.checkpoint import Checkpoints
from keras_ilsvrc.training.cluster import log_stderr
from keras_ilsvrc.training.losses import CrossEntropy
from keras_ilsvrc.training.optimizers import SGD
from keras_ilsvrc.training.plan import Feed, Plan
from keras_ilsvrc.training.replicas import set_values, values_of  # noqa: F401
from keras_ilsvrc.training.schedules import steps
from keras_ilsvrc.training.trainer import NEVER, Trainer
from keras_ilsvrc.training.update import Update

BATCH, PER_EPOCH, IMAGES = 8, 5, 40


def net(dropout=0.3, batch_norm=True, synchronized=False):
    image = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(4, 3, name="conv1")(image)
    if batch_norm:
        x = keras.layers.BatchNormalization(momentum=0.9, synchronized=synchronized, name="bn1")(x)
    x = keras.layers.Flatten()(keras.layers.Activation("relu")(x))
    if dropout:
        x = keras.layers.Dropout(dropout, name="drop1")(x)
    return keras.Model(image, keras.layers.Dense(3, "softmax", name="predictions")(x))


def update_of(model, optimizer=None, **options):
    """With momentum, decay of weights, two rates and averages of the weights."""
    optimizer = optimizer or SGD(steps([[0, 0.1], [7, 0.02]]), 0.9, 1e-3)
    options = {"average": 0.99, **options}
    return Update(model, optimizer, CrossEntropy(), BATCH, 0, **options)


def batches(first_step, context, poison=()):
    """Order and noise are a function of the step; the images of `poison` steps are not numbers."""
    random = np.random.default_rng(0)
    images = random.normal(size=(IMAGES, 6, 6, 1)).astype("float32")
    labels = tf.constant(images.mean(axis=(1, 2, 3)) * 40 % 3 // 1, tf.int32)
    own = BATCH // context.num_input_pipelines
    start = own * context.input_pipeline_id

    def example(number):
        position = number // own * BATCH + start + number % own
        key = tf.stack([7, tf.cast(position // IMAGES, tf.int32)])
        index = tf.random.experimental.index_shuffle(position % IMAGES, key, IMAGES - 1)
        seed = tf.random.experimental.stateless_fold_in(key, index)
        image = tf.gather(images, index) + tf.random.stateless_normal((6, 6, 1), seed, 0.0, 0.1)
        bad = tf.reduce_any(tf.equal(position // BATCH, tf.constant(list(poison), tf.int64)))
        return tf.where(bad, np.nan, image), tf.gather(labels, index)

    examples = tf.data.Dataset.range(first_step * own, np.iinfo(np.int64).max).map(example)
    return examples.batch(BATCH // context.num_replicas_in_sync, drop_remainder=True)


def trainer_of(
    update,
    steps,
    directory=None,
    callbacks=(),
    feed=batches,
    per_epoch=PER_EPOCH,
    left_out=None,
    stop=NEVER,
    log=log_stderr,
    **plan,
):
    """A trainer of the toy; `plan` goes to `Plan`."""
    return Trainer(
        update,
        Feed(feed, left_out=left_out),
        Plan(steps, per_epoch, **plan),
        callbacks,
        Checkpoints(directory),
        stop=stop,
        log=log,
    )


def state_hash(update):
    """Of every variable of training, on all replicas."""
    found = hashlib.sha256()
    for name, value in sorted(values_of(update).items()):
        found.update(name.encode() + np.asarray(value).tobytes())
    return found.hexdigest()


def fresh(seed=3, **options):
    """An update of a new net with the same initial values."""
    keras.utils.set_random_seed(seed)
    return update_of(net(**options))
