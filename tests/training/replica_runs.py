"""Computations of several replicas, on the devices of this process or on each of two workers.

python replica_runs.py FOLDER NET ...

With TF_CONFIG in the environment, the process is one of the workers. It prints its results as JSON.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import toy
import toy_runs

from keras_ilsvrc.training import replicas
from keras_ilsvrc.training.callbacks import Validation
from keras_ilsvrc.training.checkpoint import State
from keras_ilsvrc.training.cluster import cluster_of
from keras_ilsvrc.training.forward import Forward
from keras_ilsvrc.training.records import KeptWeights
from keras_ilsvrc.training.replicas import as_tested, from_chief, set_values, values_of
from keras_ilsvrc.training.strategy import multi_worker

NETS = {"plain": {"batch_norm": False}, "synchronized": {"synchronized": True}}


def feed(strategy, first=0):
    batches = strategy.distribute_datasets_from_function
    return iter(batches(lambda context: toy.batches(first, context)))


def losses(strategy, net, steps=50, accumulate=1):
    """Train one of `NETS`: every step's results, and what is on the replicas at the end."""
    with strategy.scope():
        keras.utils.set_random_seed(3)
        update = toy.update_of(toy.net(0, **NETS[net]), accumulate=accumulate)
        iterator = feed(strategy)
        results = [update.take(iterator, step, 1)[0] for step in range(steps)]
        variables = update.variables_of_training().values()
        copies = [strategy.experimental_local_results(x) for x in variables]
    return {
        "losses": [result.loss for result in results],
        "accuracies": [result.accuracy for result in results],
        "norms": [result.gradient_norm for result in results],
        "equal": all((x.numpy() == xs[0].numpy()).all() for xs in copies for x in xs),
        "state": toy.state_hash(update),
    }


def put_back(strategy):
    """Train eight steps; train the last four again from the values of the fourth."""
    with strategy.scope():
        update = toy.fresh()
        iterator = feed(strategy)
        for step in range(4):
            update.take(iterator, step, 1)
        values = values_of(update)
        for step in range(4, 8):
            update.take(iterator, step, 1)
        end = toy.state_hash(update)
        with as_tested(update):
            tested = toy.state_hash(update)
        after = toy.state_hash(update)
        state = State(values, {"from": strategy.extended.worker_devices[0]})
        told, nothing = from_chief(strategy, state), from_chief(strategy, None)
        counts = traces()
        from_chief(strategy, State(values_of(update), state.facts))
        new = traces() - counts
        set_values(update, told.arrays)
        iterator = feed(strategy, 4)
        for step in range(4, 8):
            update.take(iterator, step, 1)
    return {
        "ends": [end, after, toy.state_hash(update)],
        "tested": tested,
        "statistics": values["model/bn1/moving_mean"].tolist(),
        "facts": told.facts,
        "nothing": nothing,
        "new_traces": new,
    }


def traces():
    """How many graphs have been traced for checkpoints."""
    functions = replicas._gathered, replicas._of_first
    return sum(function.experimental_get_tracing_count() for function in functions)


def outputs(strategy):
    """The outputs of 24 images in batches of 8 by `Forward`, and by the model itself."""
    with strategy.scope():
        keras.utils.set_random_seed(3)
        model = toy.net()
    images = np.random.default_rng(0).normal(size=(24, 6, 6, 1)).astype("float32")

    def share(context):
        steps = images.reshape(3, context.num_input_pipelines, -1, 6, 6, 1)
        own = steps[:, context.input_pipeline_id].reshape(-1, 6, 6, 1)
        return tf.data.Dataset.from_tensor_slices(own).batch(8 // context.num_replicas_in_sync)

    found = Forward(strategy)(model, share).tolist()
    return found, keras.ops.convert_to_numpy(model(images, training=False)).tolist()


def wide_net():
    """A net with statistics of several sizes."""
    x = image = keras.Input((6, 6, 1))
    for width in (2, 3, 4, 5):
        x = keras.layers.Conv2D(width, 3, padding="same", name=f"conv{width}")(x)
        x = keras.layers.BatchNormalization(momentum=0.5, name=f"bn{width}")(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(image, keras.layers.Dense(3, "softmax", name="predictions")(x))


def whole(strategy, folder):
    """A training with averages, checkpoints, and two callbacks that change training.

    `folder` is None on workers that are not the chief.
    """
    with strategy.scope():
        keras.utils.set_random_seed(3)
        update = toy.update_of(wide_net(), toy_runs.optimizer())
        log, validated, kept = toy_runs.Log(), [], []

        def tested():
            with as_tested(update):
                return toy.state_hash(update)

        def keep(path):
            kept.append(tested())
            if path:
                path.touch()

        def measure():
            validated.append(tested())
            return {"error": 1.0}

        callbacks = [
            log,
            Validation(measure),
            KeptWeights([1, 2], keep, folder and folder / "epochs", print),
            toy_runs.Plateau(),
            keras.callbacks.EarlyStopping("validation_error", patience=1, mode="min"),
        ]
        trainer = toy.trainer_of(update, 40, folder, callbacks, checkpoint_steps=2)
        trainer.train()
        found = {
            "state": toy.state_hash(update),
            "step": trainer.step,
            "epochs": log.epochs,
            "kept": kept,
            "validated": validated,
            "rate": float(update.optimizer.learning_rate.numpy()),
        }
        saved = from_chief(strategy, trainer.checkpoints.latest()[0])
        set_values(update, saved.arrays)
    return {**found, "saved": toy.state_hash(update)}


def main(folder, *nets):
    """All of it on this worker; the fifty steps with each of some `NETS`."""
    cluster = cluster_of()
    with multi_worker(cluster, 60) as strategy:
        found = {"whole": whole(strategy, Path(folder) if cluster.chief else None)}
        found |= {"losses": {net: losses(strategy, net) for net in nets}}
        found |= {"put_back": put_back(strategy), "outputs": outputs(strategy)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
