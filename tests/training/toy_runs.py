"""Complete runs of the toy training that are stopped and resumed."""

from functools import cache

import keras
import toy

from keras_ilsvrc.training.replicas import set_values, values_of
from keras_ilsvrc.training.stopping import Stopped, StopRequest

STEPS = 12


class Plateau(keras.callbacks.ReduceLROnPlateau):
    """On the training loss, and impatient."""

    def __init__(self):
        super().__init__("loss", factor=0.5, patience=1, min_delta=10.0)


class Log(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.epochs, self.batches = [], []

    def get_state(self):
        return {"epochs": self.epochs}

    def set_state(self, state):
        self.epochs = state["epochs"]

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append((batch, logs["loss"]))

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append({"epoch": epoch, "loss": logs["loss"], "accuracy": logs["accuracy"]})


class StopAt(keras.callbacks.Callback):
    """Asks to stop while step `step` is taken, counted from 1; the next call sees it."""

    def __init__(self, stop, step):
        super().__init__()
        self.stop, self.step = stop, step

    def get_state(self):
        return {}

    def set_state(self, state):
        pass

    def on_train_batch_end(self, batch, logs=None):
        if logs["step"] == self.step:
            self.stop.name = "SIGTERM"


def optimizer():
    return keras.optimizers.SGD(0.05, 0.9)


@cache
def _traced(rate_falls):
    """An update and its first values; it is traced once for all trainings of a process."""
    keras.utils.set_random_seed(3)
    update = toy.update_of(toy.net(), optimizer() if rate_falls else None)
    return update, values_of(update)


def untrained(rate_falls=False):
    """The toy's update with its first values."""
    update, values = _traced(rate_falls)
    set_values(update, values)
    return update


def run(directory=None, stop_after=None, rate_falls=False, feed=toy.batches, **options):
    """Trains the toy net, or resumes it; returns its hash, the logs of the epochs, the trainer."""
    update, log, stop = untrained(rate_falls), Log(), StopRequest()
    callbacks = [log, *([Plateau()] if rate_falls else []), StopAt(stop, stop_after)]
    trainer = toy.trainer_of(
        update, STEPS, directory, callbacks, feed, stop=stop, log=lambda line: None, **options
    )
    try:
        trainer.train()
    except Stopped:
        assert stop_after is not None
    return toy.state_hash(update), log.epochs, trainer
