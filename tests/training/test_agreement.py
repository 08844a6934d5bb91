"""Two workers do the same in the same order, whatever is different between their processes."""

import process
import pytest
from process import PRELUDE

# Statistics of several sizes, averages, checkpoints, and two callbacks that change training.
WHOLE = """
from pathlib import Path
import toy_runs
from keras_ilsvrc.training.callbacks import Validation
from keras_ilsvrc.training.records import KeptWeights
cluster = cluster_of()
strategy = stack.enter_context(multi_worker(cluster, 60))

def net():
    x = image = keras.Input((6, 6, 1))
    for width in (2, 3, 4, 5):
        x = keras.layers.Conv2D(width, 3, padding="same", name="conv%d" % width)(x)
        x = keras.layers.BatchNormalization(momentum=0.5, name="bn%d" % width)(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(image, keras.layers.Dense(3, "softmax", name="predictions")(x))

def tested():
    with as_tested(update):
        return toy.state_hash(update)

with strategy.scope():
    keras.utils.set_random_seed(3)
    update = toy.update_of(net(), toy_runs.optimizer())
    log, validated, kept, folder = toy_runs.Log(), [], [], Path({folder!r})

    def keep(path):
        kept.append(tested())
        if path:
            path.touch()

    def measure():
        validated.append(tested())
        return {{"error": 1.0}}

    callbacks = [
        log,
        Validation(measure),
        KeptWeights([1, 2], keep, folder / "epochs" if cluster.chief else None, print),
        toy_runs.Plateau(),
        keras.callbacks.EarlyStopping("validation_error", patience=1, mode="min"),
    ]
    trainer = toy.trainer_of(
        update, 40, folder if cluster.chief else None, callbacks, checkpoint_steps=2
    )
    trainer.train()
    found = {{
        "state": toy.state_hash(update),
        "step": trainer.step,
        "epochs": log.epochs,
        "kept": kept,
        "validated": validated,
        "rate": float(update.optimizer.learning_rate.numpy()),
    }}
    saved = from_chief(strategy, trainer.checkpoints.latest()[0])
    set_values(update, saved.arrays)
    found["saved"] = toy.state_hash(update)
stack.close()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def wholes(tmp_path_factory):
    """Of a whole training, both workers' ends: of equal hash seeds, and of different ones.

    Of the second, the first worker has a disk where nothing can be kept but checkpoints.
    """
    folder = tmp_path_factory.mktemp("different")
    (folder / "epochs").touch()
    different = process.run_on_workers(PRELUDE + WHOLE.format(folder=str(folder)), (1, 2))
    folder = tmp_path_factory.mktemp("equal")
    equal = process.run_on_workers(PRELUDE + WHOLE.format(folder=str(folder)), (1, 1))
    assert len(list((folder / "epochs").iterdir())) == 2
    return equal, different


def test_workers_agree_whatever_the_order_of_their_sets_and_what_their_disks_refuse(wholes):
    """Python orders a set of names by a number that each process draws."""
    (expected, equal), different = wholes
    assert expected == equal
    assert [each == expected for each in different] == [True, True]


def test_a_training_of_two_workers_is_stopped_and_kept_by_callbacks(wholes):
    found = wholes[0][0]
    assert found["step"] == 10
    assert found["rate"] < 0.05
    assert found["kept"] == found["validated"]
    assert found["saved"] == found["state"] != found["kept"][-1]


def test_a_second_checkpoint_traces_no_graph():
    first, second = process.run_on_workers(
        PRELUDE
        + """
from keras_ilsvrc.training import replicas
strategy = stack.enter_context(multi_worker(cluster_of(), 60))
with strategy.scope():
    update = toy.fresh()
    counts = []
    for _ in range(3):
        values_of(update)
        from_chief(strategy, State(values_of(update)))
        counts.append([
            replicas._gathered.experimental_get_tracing_count(),
            replicas._of_first.experimental_get_tracing_count(),
        ])
stack.close()
print(json.dumps(counts))
"""
    )
    assert first == second
    assert first[0][0] == 1
    assert first[0] == first[2]
