"""Tests of the search space: narrowing by name, and searches with every tuner of keras-tuner."""

import json

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from commands import refused, said
from sklearn.datasets import load_digits

from keras_ilsvrc import InputError, hypermodel
from keras_ilsvrc.sweeps.space import known
from keras_ilsvrc.training.keras_fit import augment
from keras_ilsvrc.training.schedules import Decay

LENET = {"input_shape": (32, 32, 1), "classes": 10}
DIGITS = load_digits()
IMAGES = (DIGITS.images[:64, ..., None] / 16).astype("float32")
LARGE = IMAGES.repeat(4, 1).repeat(4, 2)
LABELS = DIGITS.target[:64]
TUNERS = {
    "RandomSearch": {"max_trials": 2},
    "BayesianOptimization": {"max_trials": 2},
    "GridSearch": {"max_trials": 2},
    "Hyperband": {"max_epochs": 2},
}


# Keras gives its arrays to tf.data, of which TensorFlow says that it stays a graph.
not_all_eager = pytest.mark.filterwarnings("ignore:Even though the:UserWarning")


@pytest.fixture
def eager():
    """Trains without graphs: tracing them takes most of the time of a small search."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def search(made, folder, tuner="RandomSearch", images=LARGE, **options):
    """The trials of a search on 64 digits of 32x32 pixels."""
    kind = getattr(keras_tuner, tuner)
    tuner = kind(made, "val_accuracy", directory=str(folder), seed=1, **options)
    data = {"x": images} if isinstance(images, tf.data.Dataset) else {"x": images, "y": LABELS}
    tuner.search(**data, validation_data=(LARGE, LABELS), epochs=1, verbose=0)
    return list(tuner.oracle.trials.values())


def searched(name, space, **arguments):
    return {key: row.searched for key, row in hypermodel(name, space, **arguments).searched.items()}


def test_a_dict_narrows_what_it_names_and_names_leave_out_the_rest():
    space = {"depth": [20, 32], "learning_rate": (1e-3, 1e-1), "momentum": 0.9, "width": 1}
    found, whole = searched("resnet20_cifar", space), searched("resnet20_cifar", None)
    assert found == {**whole, **space, "momentum": [0.9], "width": [1.0]}
    assert searched("resnet20_cifar", ["depth", "l2"]) == {k: whole[k] for k in ("depth", "l2")}
    assert searched("alexnet", ["activation"]) == {"activation": ["relu", "tanh", "sigmoid"]}
    assert searched("resnet20_cifar", {"depth": (30, 60)})["depth"] == [32, 44, 56]
    assert "shortcut" not in searched("resnet20_cifar", None, shortcut="B")
    assert "shortcut" not in searched("resnet20_cifar[shortcut=B]", None)
    assert "initial" not in searched("resnet50", None, weights="caffe")


def test_defaults_move_into_the_values_that_are_searched():
    space = {"depth": [32, 44], "learning_rate": (1e-3, 1e-2), "momentum": (0.95, 0.99)}
    rows = hypermodel("resnet20_cifar", space).searched
    assert [rows[key].default for key in space] == [32, 1e-2, 0.95]


@pytest.mark.parametrize(
    ("name", "space", "fragment"),
    [
        ("alexnet", {"droput": 0.5}, "did you mean 'dropout'"),
        ("alexnet", ["droput"], "did you mean 'dropout'"),
        ("alexnet", "dropout", "space is 'dropout'; expected names in a list, or a dict"),
        ("alexnet", 3, "space is 3"),
        ("alexnet", {"dropout": [0.5, 1.0]}, "dropout is 1.0; expected a number of at least 0"),
        ("alexnet", {"dropout": (0.5, 0.1)}, "expected a list of values, or a tuple (minimum, ma"),
        ("alexnet", {"dropout": []}, "expected a list of values"),
        ("alexnet", {"conv1": ("11/4", "7/2")}, "expected a list of values"),
        ("alexnet", {"lrn": ["nope"]}, "lrn is 'nope'; expected one of all, tower"),
        ("alexnet", ["width"], "width needs values to search"),
        ("alexnet", {"optimizer": "lion"}, "optimizer is 'lion'; expected one of sgd"),
        ("alexnet", {"batch_size": [0]}, "batch_size is 0; expected a whole number"),
        ("googlenet", {"initial": "paper"}, "initial is 'paper'; expected one of he, glorot"),
        ("googlenet", {"auxiliary_weight": 0.1}, "no free hyperparameter 'auxiliary_weight'"),
        ("resnet20_cifar", {"depth": [20, 21]}, "depth is 21; expected one of 20, 32"),
    ],
)
def test_a_wrong_space_is_refused_when_it_is_given(name, space, fragment):
    with pytest.raises(InputError) as raised:
        hypermodel(name, space)
    assert fragment in str(raised.value)
    assert "\n" not in str(raised.value)


@not_all_eager
@pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner")
@pytest.mark.parametrize(
    "tuner",
    [
        pytest.param(x, marks=[pytest.mark.slow] * (x in ("RandomSearch", "GridSearch")))
        for x in TUNERS
    ],
)
def test_every_tuner_completes_its_trials(tuner, tmp_path, eager):
    space = ["schedule", "initial", "batch_size"]
    trials = search(hypermodel("lenet5_modern", space, **LENET), tmp_path, tuner, **TUNERS[tuner])
    assert [trial.status for trial in trials] == ["COMPLETED"] * 2
    assert all(set(space) <= trial.hyperparameters.values.keys() for trial in trials)


@not_all_eager
@pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner")
def test_a_trial_that_cannot_be_built_fails_with_the_reason(tmp_path, eager):
    space = {"depth": [9, 8], "schedule": "cosine"}
    made = hypermodel("resnet_cifar", space, width=0.25, shortcut="A", order="original", **LENET)
    trials = search(made, tmp_path, max_trials=3)
    by_depth = {trial.hyperparameters.get("depth"): trial for trial in trials}
    assert (by_depth[9].status, by_depth[8].status) == ("FAILED", "COMPLETED")
    assert "depth is 9; expected 6n + 2 with basic units" in by_depth[9].message


@not_all_eager
@pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner")
def test_the_size_of_batches_is_searched_only_for_arrays(tmp_path, eager):
    made = hypermodel("lenet5_modern", ["augmentation", "batch_size"], **LENET)
    data = tf.data.Dataset.from_tensor_slices((LARGE, LABELS)).batch(32)
    (trial,) = search(made, tmp_path / "1", images=data, max_trials=1)
    assert trial.hyperparameters.values.keys() == {"augmentation"}
    (trial,) = search(made, tmp_path / "2", max_trials=1)
    assert trial.hyperparameters.get("batch_size") == 32


@not_all_eager
def test_the_rate_falls_as_the_schedule_says(eager):
    rates = {}
    for name in Decay.FACTORS:
        model = hypermodel("lenet5_modern", **LENET).build(keras_tuner.HyperParameters())
        seen, own = [], Decay(name)
        note = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs, seen=seen, model=model: seen.append(
                float(model.optimizer.learning_rate)
            )
        )
        model.fit(LARGE, LABELS, batch_size=32, epochs=2, verbose=0, callbacks=[own, note])
        rates[name] = seen
    assert rates["steps"] == pytest.approx([0.1, 0.1, 0.01, 0.001])
    assert rates["cosine"] == pytest.approx(
        [0.05 * (1 + np.cos(np.pi * step / 4)) for step in range(4)]
    )


def test_a_constant_schedule_leaves_the_rate_to_other_callbacks():
    made, space = hypermodel("lenet5_modern", **LENET), keras_tuner.HyperParameters()
    model = made.build(space)
    lower = keras.callbacks.LearningRateScheduler(lambda epoch: 0.02)
    made.fit(space, model, LARGE, LABELS, verbose=0, callbacks=[lower])
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02)


def test_augmentation_moves_and_mirrors_the_images_of_training_only():
    class Model:
        def train_step(self, data):
            return data

    plain, moved = Model(), Model()
    augment(plain, 0.0)
    augment(moved, 1.0)
    data = tf.constant(IMAGES), tf.constant(LABELS)
    assert plain.train_step(data)[0] is data[0]
    images, labels = moved.train_step(data)
    assert labels is data[1]
    framed = np.pad(IMAGES, ((0, 0), (1, 1), (1, 1), (0, 0)))
    seen = set()
    for before, after in zip(framed, images.numpy()):
        found = {
            (mirrored, top, left)
            for mirrored in (False, True)
            for top in range(3)
            for left in range(3)
            for view in [before[:, ::-1] if mirrored else before]
            if np.array_equal(view[top : top + 8, left : left + 8], after)
        }
        assert found
        seen |= found
    assert len(seen) > 12  # of 2 x 3 x 3


def test_info_prints_the_space():
    shown = said("info", "vgg16", "--space")
    assert all(text in shown for text in ("A, A-LRN, B, C, D, E", "0.5 to 0.99", "networks"))
    rows = {row["name"]: row for row in json.loads(said("info", "vgg16", "--space", "--json"))}
    assert rows["configuration"]["default"] == "D"
    assert rows["learning_rate"]["interval"] == [1e-4, 1.0]
    assert rows.keys() == {key for key, row in known("vgg16", {}).items() if row.searched}
    assert "--space and --account" in refused("info", "vgg16", "--space", "--account")
