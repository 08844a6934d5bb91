"""Tests that iterators over batches end immediately, however long they were used."""

import gc
import time

import numpy as np
import pytest
import tensorflow as tf

from keras_ilsvrc.data.pipeline import evaluation_batches, training_batches
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.training.forward import iterate


@pytest.mark.slow  # waits until a tuner would sleep
def test_iterators_end_at_once():
    split = Split(np.zeros(500, "int32"), np.zeros((500, 8, 8, 1), "uint8"), channels=1)
    feeds = [
        training_batches(split, [{"op": "flip"}], {}, 4, 0),
        evaluation_batches(split, [], {}, 4).repeat(),
    ]
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    iterators = [iter(feed) for feed in feeds * 2]
    iterators += [iterate(strategy, lambda context, feed=feed: feed) for feed in feeds * 2]
    end = time.monotonic() + 5.3  # then an autotuner sleeps for 5 seconds
    while time.monotonic() < end:
        for iterator in iterators:
            next(iterator)
        time.sleep(0.1)
    gc.collect()
    del iterator
    seconds = []
    while iterators:
        start = time.monotonic()
        del iterators[-1]
        gc.collect()  # those of a strategy are part of a cycle
        seconds.append(time.monotonic() - start)
    assert max(seconds) < 4, seconds  # a tuner that sleeps would take 5 seconds or more
