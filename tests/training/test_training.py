"""Tests of the optimizer, the schedule, the initial values and the number of steps."""

import csv
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf
import toy
from sklearn.datasets import load_digits

from keras_ilsvrc.training import keras_fit
from keras_ilsvrc.training.callbacks import Redraw, Validation
from keras_ilsvrc.training.keras_fit import compile_model
from keras_ilsvrc.training.losses import CrossEntropy
from keras_ilsvrc.training.optimizers import SGD
from keras_ilsvrc.training.records import COLUMNS, History, KeptWeights
from keras_ilsvrc.training.replicas import set_values, values_of
from keras_ilsvrc.training.schedules import steps
from keras_ilsvrc.training.update import Update

ROWS = ((0, 0.01), (4, 0.1), (9, 0.001))
DATA = load_digits()


def compiled_net(rows=((0, 0.05), (1000, 0.01)), outputs=("predictions",)):
    """One hidden layer, compiled with the papers' SGD; several outputs are a dict."""
    image = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Dense(32, "relu", name="fc1")(keras.layers.Flatten(name="flatten")(image))
    heads = {name: keras.layers.Dense(10, "softmax", name=name)(x) for name in outputs}
    model = keras.Model(image, heads if len(heads) > 1 else heads["predictions"])
    compile_model(model, SGD(steps(rows), 0.9, 1e-4), {"aux1": 0.3, "predictions": 1.0})
    return model


def batches():
    images = (DATA.images[..., None] / 16).astype("float32")
    labels = DATA.target.astype("int32")
    return tf.data.Dataset.from_tensor_slices((images, labels)).repeat().batch(16)


def update_of(model):
    return Update(model, model.optimizer, CrossEntropy({"aux1": 0.3}), 16, 0)


@cache
def _traced(rows):
    """An update and its first values; it is traced once for all trainings of a process."""
    keras.utils.set_random_seed(0)
    update = update_of(compiled_net(rows))
    return update, values_of(update)


def untrained(*rows):
    """The update of a net with its first values; by default at a rate of 0.05."""
    update, values = _traced(rows or ((0, 0.05), (1000, 0.01)))
    set_values(update, values)
    return update


def train(update, total, per_epoch, callbacks):
    feed = lambda first_step, context: batches().skip(first_step)  # noqa: E731
    toy.trainer_of(update, total, None, callbacks, feed, per_epoch).train()


@pytest.mark.parametrize("l2", [0.0, 1e-4, 0.5])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_that_of_krizhevsky_et_al(momentum, l2, small_net):
    optimizer = SGD(steps(ROWS), momentum, l2)
    variables = small_net().trainable_variables
    random = np.random.default_rng(0)
    weights = [variable.numpy().astype("float64") for variable in variables]
    velocities = [np.zeros_like(weight) for weight in weights]
    for step in range(12):
        gradients = [random.normal(size=weight.shape) for weight in weights]
        optimizer.apply([tf.constant(x, "float32") for x in gradients], variables)
        rate = 0.01 if step < 4 else 0.1 if step < 9 else 0.001
        for index, (variable, gradient) in enumerate(zip(variables, gradients, strict=True)):
            decay = l2 * weights[index] if variable.path.endswith("/kernel") else 0
            velocities[index] = momentum * velocities[index] - rate * (gradient + decay)
            weights[index] = weights[index] + velocities[index]
            np.testing.assert_allclose(variable.numpy(), weights[index], rtol=2e-5, atol=2e-6)


def test_l2_shrinks_kernels_and_leaves_biases_gamma_and_beta(small_net):
    variables = small_net().trainable_variables
    for variable in variables:
        variable.assign(tf.ones_like(variable))
    SGD(0.1, l2=0.5).apply([tf.zeros_like(x) for x in variables], variables)
    after = {}
    for variable in variables:
        after.setdefault(variable.name, set()).update(variable.numpy().ravel().tolist())
    assert set(after) == {"kernel", "bias", "gamma", "beta"}
    assert after.pop("kernel") == {np.float32(0.95)}
    assert set.union(*after.values()) == {1.0}


def test_sgd_round_trips_through_its_config():
    optimizer = SGD(steps(ROWS), momentum=0.8, l2=3e-4, nesterov=True, clipnorm=1.5)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(copy) is SGD
    assert copy.get_config() == optimizer.get_config()
    assert (copy.l2, copy.momentum, copy.nesterov, copy.clipnorm) == (3e-4, 0.8, True, 1.5)
    for iterations, rate in ((3, 0.01), (4, 0.1), (9, 0.001)):
        copy.iterations.assign(iterations)
        assert float(copy.learning_rate) == np.float32(rate)


@pytest.mark.parametrize(
    "rows",
    [ROWS, [[0, 0.1]], [[0, 0.1], [1, 0.2]], [[0.0, 1.0], [2.0, 0.5], [3.0, 0.25]]],
)
def test_a_rate_holds_from_its_step_up_to_the_next(rows):
    optimizer = SGD(steps(rows))
    for step in range(int(rows[-1][0]) + 4):
        optimizer.iterations.assign(step)
        expected = [rate for start, rate in rows if start <= step][-1]
        assert float(optimizer.learning_rate) == np.float32(expected)


def test_history_holds_the_rate_of_every_epochs_first_step(tmp_path):
    history = History(tmp_path / "history.csv", 16)
    train(untrained(*ROWS), 12, 5, [history])
    rates = [(row["step"], row["learning_rate"]) for row in history.rows]
    assert rates == [(5, np.float32(0.01)), (10, np.float32(0.1)), (12, np.float32(0.001))]


def test_history_reads_a_rate_that_never_changes(tmp_path):
    history = History(tmp_path / "history.csv", 16)
    train(untrained((0, 0.25)), 2, 2, [history])
    assert history.rows[0]["learning_rate"] == 0.25


@pytest.mark.parametrize(
    ("total", "per_epoch", "ends"),
    [(7, 3, [3, 6, 7]), (6, 3, [3, 6]), (2, 5, [2]), (1, 1, [1]), (4, 1, [1, 2, 3, 4])],
)
def test_training_takes_exactly_its_steps(tmp_path, total, per_epoch, ends):
    update = untrained()
    history = History(tmp_path / "history.csv", 16)
    seen = []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs))
    train(update, total, per_epoch, [history, count])
    assert int(update.optimizer.iterations) == total == len(seen)
    assert [row["step"] for row in history.rows] == ends
    assert [row["epoch"] for row in history.rows] == list(range(1, len(ends) + 1))


def test_every_output_of_a_dict_is_trained_and_predictions_are_measured(tmp_path):
    model = compiled_net(outputs=("predictions", "aux1"))
    before = {name: model.get_layer(name).kernel.numpy() for name in model.output}
    images, labels = next(iter(batches()))
    outputs = {name: x.numpy() for name, x in model(images).items()}
    history = History(tmp_path / "history.csv", 16)
    train(update_of(model), 1, 1, [history])
    for name, kernel in before.items():
        assert (model.get_layer(name).kernel.numpy() != kernel).any()
    chosen = {name: x[range(16), labels] for name, x in outputs.items()}
    expected = -np.log(chosen["predictions"]).mean() - 0.3 * np.log(chosen["aux1"]).mean()
    right = (outputs["predictions"].argmax(1) == labels.numpy()).mean()
    (row,) = history.rows
    assert row["loss"] == pytest.approx(expected, rel=1e-5)
    assert row["error"] == pytest.approx(100 - 100 * right)


@pytest.mark.parametrize(("deep", "off"), [(5, False), (4, True)])
def test_only_deep_nets_turn_the_rewriting_of_graphs_off(deep, off, monkeypatch):
    monkeypatch.setattr(keras_fit, "DEEP", deep)
    try:
        compiled_net(outputs=("aux1", "predictions"))  # five layers: image, flatten, fc1, two heads
        options = tf.config.optimizer.get_experimental_options()
        assert options.get("disable_meta_optimizer", False) == off
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


def test_the_borders_of_epochs_do_not_change_what_is_learned():
    ends = []
    for per_epoch in (12, 5, 1):
        update = untrained(*ROWS)
        train(update, 12, per_epoch, [])
        ends.append(update.model.get_weights())
    for whole, fives, ones in zip(*ends, strict=True):
        np.testing.assert_array_equal(whole, fives)
        np.testing.assert_array_equal(whole, ones)


def test_history_writes_a_row_an_epoch_under_its_columns(tmp_path):
    path = tmp_path / "history.csv"
    measured = [(3.0, 70.0), (2.0, 60.0), (1.0, 50.0)]
    validations = iter(measured)

    def measure():
        return dict(zip(("loss", "error"), next(validations), strict=True))

    history = History(path, 16)
    train(untrained(), 8, 3, [Validation(measure), history])
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == COLUMNS
    assert len(rows) == 3
    for written, row in zip(rows, history.rows, strict=True):
        assert tuple(row) == COLUMNS
        assert [float(text) for text in written] == list(row.values())
        assert 0 <= row["error"] <= 100
        assert row["loss"] > 0
        assert row["images_per_second"] > 0
        assert 0 <= row["input_wait"] < 1
        assert row["learning_rate"] == np.float32(0.05)
    assert [(row["validation_loss"], row["validation_error"]) for row in history.rows] == measured


def test_history_is_written_anew_and_leaves_empty_what_was_not_measured(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("what an earlier run left\n")
    train(untrained(), 2, 2, [History(path, 16)])
    with open(path, newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["validation_loss"], row["validation_error"]) == ("", "")


def test_training_lowers_the_loss(tmp_path):
    history = History(tmp_path / "history.csv", 16)
    train(untrained(), 150, 50, [history])
    assert history.rows[-1]["loss"] < history.rows[0]["loss"] / 2


@pytest.mark.parametrize(("seconds", "pictures"), [(0, 4), (1000, 1)])
def test_draws_after_every_epoch_but_not_all_the_time(seconds, pictures):
    drawn = []
    train(untrained(), 4, 1, [Redraw(lambda: drawn.append(1), print, seconds)])
    assert len(drawn) == pictures


def test_files_that_cannot_be_written_end_no_training(tmp_path):
    lines = []
    missing = tmp_path / "missing"

    def draw():
        (missing / "curves.png").write_bytes(b"")

    update = untrained()
    callbacks = [History(missing / "history.csv", 16, lines.append), Redraw(draw, lines.append)]
    train(update, 2, 2, callbacks)
    assert int(update.optimizer.iterations) == 2
    assert len(lines) == 3  # the history at the start and at the epoch's end, and the picture
    assert all("No such file" in line for line in lines)
    assert sum("cannot be written: " in line for line in lines) == 2


def test_weights_of_the_named_epochs_are_kept_whole(tmp_path):
    kept = KeptWeights([2, 4], lambda path: path.write_text("weights"), tmp_path / "epochs")
    for epoch in range(5):
        kept.on_epoch_end(epoch)
    names = sorted(path.name for path in (tmp_path / "epochs").iterdir())
    assert names == ["epoch-0002.weights.h5", "epoch-0004.weights.h5"]


def test_weights_that_cannot_be_kept_end_no_training(tmp_path):
    def fail(path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    told = []
    KeptWeights([1], fail, tmp_path / "epochs", told.append).on_epoch_end(0)
    assert told == [
        f"{tmp_path / 'epochs'}: weights of epoch 1 not saved: No space left on device; "
        "training continues"
    ]
    assert list((tmp_path / "epochs").iterdir()) == []


def test_workers_without_a_directory_save_together_and_write_nothing():
    asked = []
    kept = KeptWeights([1], asked.append, None)
    kept.on_epoch_end(0)
    kept.on_epoch_end(1)
    assert asked == [None]
