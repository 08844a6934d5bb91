"""Tests that Keras' `fit` under MirroredStrategy gives the same results as on one device."""

from types import SimpleNamespace

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
import toy
from devices import mirrored
from sklearn.datasets import load_digits

import keras_ilsvrc
from keras_ilsvrc import InputError
from keras_ilsvrc.layers import ResidualUnit
from keras_ilsvrc.layers.graph import batch_norms, synchronize
from keras_ilsvrc.training import strategy as strategies
from keras_ilsvrc.training.replicas import as_tested

DATA = load_digits()
IMAGES = (DATA.images[..., None] / 16).astype("float32")
LABELS = DATA.target.astype("int32")


def batches(size=8, count=320):
    """Batches of 32 digits, enlarged to a size."""
    chosen = IMAGES[:count] if size == 8 else tf.image.resize(IMAGES[:count], (size, size))
    return tf.data.Dataset.from_tensor_slices((chosen, LABELS[:count])).batch(32)


ALEXNET = {"width": 0.1, "dropout": 0, "input_shape": (64, 64, 1)}
DIGITS = {"input_shape": (8, 8, 1), "depth": 8}
UNITS = "two residual units"
# Net, its arguments, precision, learning rate. Batch normalisation over 8x8 pixels makes a rounding
# error of another order of summing a thousand times larger in a few steps of 0.01: float32 is
# compared at a small rate, and float64 at an ordinary one.
FITS = {
    "without batch normalisation": ("alexnet", ALEXNET, "float32", 0.02),
    "float32": ("resnet_cifar", DIGITS, "float32", 0.001),
    "float64": ("resnet_cifar", DIGITS, "float64", 0.02),
    UNITS: (UNITS, {}, "float64", 0.02),
}
# How far the losses of ten steps may be apart: 1e-5 and less with AVX-512, but 2e-4 in float32 with
# AVX2, whose sums are of another order. That it is rounding, float64 shows.
TOLERANCES = {"without batch normalisation": 1e-5, "float32": 1e-3, "float64": 2e-7}
TOLERANCES[UNITS] = TOLERANCES["float64"]


def fitted(key, replicas, small_net):
    """A user's own loop: build, compile and fit in a scope; the start and the losses."""
    net, arguments, _, rate = FITS[key]
    with mirrored(replicas).scope():
        keras.utils.set_random_seed(0)
        if key == UNITS:
            model = small_net()
            synchronize(model, True)
        else:
            model = keras_ilsvrc.build(net, classes=10, **arguments)
        model.compile(
            keras.optimizers.SGD(rate, momentum=0.9),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=False,
        )
    start = [float(np.abs(weight).sum()) for weight in model.get_weights()]
    data = batches(model.input_shape[1])
    # one step an epoch, so that the history holds the loss of every step
    made = model.fit(data.repeat(), epochs=10, steps_per_epoch=1, shuffle=False, verbose=0)
    return SimpleNamespace(start=start, losses=made.history["loss"])


@pytest.mark.parametrize(
    "key",
    [
        *(pytest.param(key, marks=pytest.mark.slow) for key in FITS if key != UNITS),
        UNITS,
    ],
)
def test_losses_on_two_replicas_are_those_on_one_step_by_step(key, set_policy, small_net):
    set_policy(FITS[key][2])
    one, two = (fitted(key, replicas, small_net) for replicas in (1, 2))
    assert one.start == two.start
    assert len(one.losses) == 10
    assert abs(one.losses[-1] - one.losses[0]) > 0.01
    np.testing.assert_allclose(two.losses, one.losses, rtol=TOLERANCES[key])


@pytest.mark.parametrize("replicas", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_saved_model_evaluates_as_before_it_was_saved(replicas, tmp_path):
    with mirrored(replicas).scope():
        model = toy.net(synchronized=True)
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    data = toy.batches(0, tf.distribute.InputContext()).take(4)
    model.fit(data, shuffle=False, verbose=0)
    before = model.evaluate(data, verbose=0)
    model.save(tmp_path / "model.keras")
    after = keras_ilsvrc.load_model(tmp_path / "model.keras").evaluate(data, verbose=0)
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-6)


def statistics(model):
    """The moving statistics: of the first replica, of the second, and as they are read."""
    norms = batch_norms(model)
    variables = [x for norm in norms for x in (norm.moving_mean, norm.moving_variance)]
    values = [mirrored(2).experimental_local_results(x.value) for x in variables]
    rows = zip(*((*value, variable) for value, variable in zip(values, variables)))
    return [np.concatenate([x.numpy() for x in row]) for row in rows]


def trained(synchronized):
    """An update after ten steps on two replicas."""
    strategy = mirrored(2)
    with strategy.scope():
        update = toy.fresh(synchronized=synchronized)
    feed = strategy.distribute_datasets_from_function(lambda context: toy.batches(0, context))
    iterator = iter(feed)
    for step in range(10):
        update.take(iterator, step, 1)
    return update


def test_synchronized_statistics_are_equal_on_both_replicas():
    first, second, _ = statistics(trained(synchronized=True).model)
    np.testing.assert_array_equal(first, second)


def test_build_in_a_scope_synchronizes_batch_normalisation():
    with mirrored(2).scope():
        model = keras_ilsvrc.build("resnet_cifar", classes=10, **DIGITS)
    assert {layer.synchronized for layer in batch_norms(model)} == {True}
    # the configuration of a unit keeps the choice in a saved model
    units = [layer for layer in model.layers if isinstance(layer, ResidualUnit)]
    for chosen in (True, False):
        synchronize(model, chosen)
        assert {layer.synchronized for layer in batch_norms(model)} == {chosen}
        assert {unit.get_config()["synchronized"] for unit in units} == {chosen}


def test_statistics_of_each_replica_are_averaged_where_the_net_is_tested():
    update = trained(synchronized=False)
    before = first, second, _ = statistics(update.model)
    assert np.abs(first - second).max() > 1e-3
    with as_tested(update):
        one, other, read = statistics(update.model)
    np.testing.assert_allclose(one, (first + second) / 2, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(read, one)
    np.testing.assert_array_equal(statistics(update.model), before)


SPACE = {"schedule": "cosine", "augmentation": 0.5, "initial": "paper"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner")
def test_a_tuner_completes_a_trial_on_two_replicas(tmp_path):
    tuner = keras_tuner.RandomSearch(
        keras_ilsvrc.hypermodel("lenet5_modern", SPACE, classes=10),
        "val_accuracy",
        max_trials=1,
        seed=0,
        distribution_strategy=mirrored(2),
        directory=str(tmp_path),
    )
    data = batches(size=32, count=64)
    tuner.search(data, validation_data=data, epochs=1, shuffle=False, verbose=0)
    (trial,) = tuner.oracle.trials.values()
    assert trial.status == "COMPLETED"
    assert 0 <= trial.score <= 1
    found = set(trial.hyperparameters.values)
    assert found == {"learning_rate", "momentum", "l2", "optimizer", *SPACE}


@pytest.mark.parametrize("replicas", [0, -1])
def test_fewer_than_one_replica_is_refused(replicas):
    with pytest.raises(InputError, match=f"replicas is {replicas}; expected 1 to"):
        strategies.mirrored(replicas)


def test_once_tensorflow_has_started_its_devices_are_all_there_are(without_gpus):
    tf.constant(0)
    assert [strategies.mirrored(n).num_replicas_in_sync for n in (2, 1)] == [2, 1]
    said = "replicas is 3, but TensorFlow has already started with 2 CPU devices; "
    with pytest.raises(InputError, match=said) as caught:
        strategies.mirrored(3)
    assert "\n" not in str(caught.value)


def test_the_same_devices_share_a_strategy():
    """Collectives of two strategies in one process are taken for one another's."""
    assert strategies.mirrored(1) is strategies.mirrored(1)
