"""Toy training in a new process, which kills itself at a given place in the code.

python toy_process.py DIRECTORY REPLICAS [WHERE:STEP]

With TF_CONFIG in the environment, the process is one of several workers and ignores REPLICAS.
"""

import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "training"))

import keras
import toy

from keras_ilsvrc.training.callbacks import Validation
from keras_ilsvrc.training.cluster import LOST, LostWorker, cluster_of
from keras_ilsvrc.training.replicas import as_tested
from keras_ilsvrc.training.stopping import Stopped, StopRequest
from keras_ilsvrc.training.strategy import mirrored, multi_worker
from keras_ilsvrc.utils import files

STEPS = 40


class Kill(keras.callbacks.Callback):
    """Between two steps, or where an epoch has had its last step and not ended."""

    def __init__(self, where, step):
        super().__init__()
        self.where, self.step = where, step

    def get_state(self):
        return {}

    def set_state(self, state):
        pass

    def on_train_batch_begin(self, batch, logs=None):
        print("step", flush=True)

    def on_train_batch_end(self, batch, logs=None):
        if (self.where, self.step) == ("step", logs["step"]):
            die()

    def on_epoch_end(self, epoch, logs=None):
        if (self.where, self.step) == ("epoch", logs["step"]):
            die()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_in_write(step, share):
    """Inside the write of the checkpoint of a step, after a share of its bytes."""
    write, replace = files.Hashed.write, os.replace

    def cut(self, data):
        if f"{step:09d}" in self.file.name and self.file.tell() > share * 6000:
            self.file.write(bytes(data)[: len(data) // 2])
            self.file.flush()
            die()
        return write(self, data)

    def before_rename(source, target):
        if f"{step:09d}" in str(target):
            die()
        replace(source, target)

    files.Hashed.write = cut
    if share == 1:
        os.replace = before_rename


def main(directory, replicas, kill=""):
    where, _, step = kill.partition(":")
    step = int(step or 0)
    if where.startswith("write"):
        kill_in_write(step, float(where.removeprefix("write")))
    cluster = cluster_of()
    try:
        if cluster:
            with multi_worker(cluster, deadline=60) as strategy:
                found = train(strategy, Path(directory) if cluster.chief else None, where, step)
        else:
            found = train(mirrored(int(replicas)), Path(directory), where, step)
        print(json.dumps(found))
    except LostWorker as error:
        print(error)
        sys.exit(LOST)


def train(strategy, directory, where="", step=0):
    """Train, or resume; return the step and the state at the end."""
    with strategy.scope(), StopRequest() as stop:
        update = toy.fresh()
        trainer = None

        def measure():
            with as_tested(update):
                if where == "validation" and trainer.step == step:
                    die()
                weight = update.model.trainable_weights[0]
                return {"loss": float(keras.ops.convert_to_numpy(weight).sum()), "error": 50.0}

        callbacks = [Validation(measure), Kill(where, step)]
        trainer = toy.trainer_of(update, STEPS, directory, callbacks, checkpoint_steps=2, stop=stop)
        try:
            trainer.train()
        except Stopped as error:
            print(error)
            sys.exit(75)
        return {"hash": toy.state_hash(update), "step": trainer.step}


if __name__ == "__main__":
    main(*sys.argv[1:])
