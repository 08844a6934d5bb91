"""Benchmark of our trainer against Keras' `fit` on the same batches, and of saving checkpoints."""

import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from operator import truediv
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_ilsvrc.bench.timing import UNCOUNTED, Progress, quartiles, take_turns
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.training.checkpoint import Checkpoints, State
from keras_ilsvrc.training.keras_fit import compile_model
from keras_ilsvrc.training.losses import CrossEntropy
from keras_ilsvrc.training.optimizers import SGD
from keras_ilsvrc.training.plan import Feed, Plan
from keras_ilsvrc.training.replicas import values_of
from keras_ilsvrc.training.strategy import mirrored
from keras_ilsvrc.training.trainer import Trainer
from keras_ilsvrc.training.update import Update

IMAGENET = 1_281_167  # number of training images of ImageNet
TRAINER, FIT = "our trainer", "fit"


class Turns(keras.callbacks.Callback):
    """Callback that trains a model in a background thread.

    Each call of the callback object resumes the training for one epoch, and waits for its end.
    """

    def __init__(self, train: Callable[["Turns"], None]):
        super().__init__()
        self.go, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.train = train
        self.error: BaseException | None = None
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        try:
            self.train(self)
        except BaseException as error:  # `__call__` raises the error in the main thread
            self.error = error
            self.done.release()

    def __call__(self) -> None:
        self.go.release()
        self.done.acquire()
        if self.error:
            raise self.error

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.go.acquire()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.done.release()


@dataclass(frozen=True)
class TrainingCost:
    """Benchmark result: seconds per step of our trainer and of `fit`, and checkpoint costs.

    `ratio` is the time of our trainer divided by that of `fit`. `checkpoint_share` is the time to
    save a checkpoint, divided by the time of an epoch of ImageNet.
    """

    net: str
    seconds: float
    fit_seconds: float
    ratio: float
    lower_quartile: float
    upper_quartile: float
    batch: int
    replicas: int
    checkpoint_megabytes: float
    checkpoint_seconds: float
    checkpoint_share: float


def measure(
    name: str,
    replicas: int = 1,
    batch: int = 32,
    steps: int = 10,
    rounds: int = 9,
    progress: Progress = lambda what, share: None,
) -> TrainingCost:
    """Time epochs of our trainer and of Keras' `fit` alternately, in float32 on random images.

    Args:
        name: Name of the net.
        replicas: Number of GPUs, or of logical CPU devices if there is no GPU.
        batch: Number of images per step, over all replicas.
        steps: Number of steps per epoch.
        rounds: Number of timed epochs of each trainer.
        progress: Callback that gets the current activity as text and the completed fraction.
    """
    strategy = mirrored(replicas)
    progress(f"building {name}", 0)
    with strategy.scope():
        stock, model = build(name), build(name)
        compile_model(stock, SGD(1e-4, 0.9, 1e-4))
        update = Update(model, SGD(1e-4, 0.9, 1e-4), CrossEntropy(), batch, 0)
    whole, share = (_images(size, model.input_shape[1:]) for size in (batch, batch // replicas))
    epochs = rounds + UNCOUNTED

    def train(turns: Turns) -> None:
        feed = Feed(lambda first, context: share)
        Trainer(update, feed, Plan(epochs * steps, steps), [turns]).train()

    def fit(turns: Turns) -> None:
        stock.fit(
            whole, epochs=epochs, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[turns]
        )

    times = take_turns({TRAINER: Turns(train), FIT: Turns(fit)}, rounds, progress)
    seconds = {what: [epoch / steps for epoch in found] for what, found in times.items()}
    return _cost(name, seconds, batch, replicas, *_checkpoint(update))


def _cost(
    name: str,
    seconds: dict[str, list[float]],
    batch: int,
    replicas: int,
    checkpoint_bytes: int,
    checkpoint_seconds: float,
) -> TrainingCost:
    """Summarize the seconds per step of both trainers and the cost of a checkpoint."""
    lower, median, upper = quartiles(map(truediv, seconds[TRAINER], seconds[FIT]))
    ours = statistics.median(seconds[TRAINER])
    return TrainingCost(
        net=name,
        seconds=ours,
        fit_seconds=statistics.median(seconds[FIT]),
        ratio=median,
        lower_quartile=lower,
        upper_quartile=upper,
        batch=batch,
        replicas=replicas,
        checkpoint_megabytes=checkpoint_bytes / 1e6,
        checkpoint_seconds=checkpoint_seconds,
        checkpoint_share=checkpoint_seconds / (ours * IMAGENET / batch),
    )


def _images(batch: int, shape: tuple[int, int, int]) -> tf.data.Dataset:
    """Return a dataset that repeats one random batch."""
    images = tf.random.stateless_normal((batch, *shape), seed=(0, 0))
    return tf.data.Dataset.from_tensors((images, tf.zeros(batch, "int32"))).repeat()


def _checkpoint(update: Update) -> tuple[int, float]:
    """Save three checkpoints; return a checkpoint's size in bytes and the median saving time."""
    times = []
    with tempfile.TemporaryDirectory() as directory:
        checkpoints = Checkpoints(Path(directory))
        for step in range(3):
            started = time.perf_counter()
            checkpoints.save(step, State(values_of(update)))
            times.append(time.perf_counter() - started)
        return checkpoints.paths()[0].stat().st_size, statistics.median(times)
