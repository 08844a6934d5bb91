"""Replicas: stock `fit` inside MirroredStrategy does what it does on one device."""

import numpy as np
import process
import pytest

from keras_ilsvrc import InputError

PRELUDE = """
import json, sys
import numpy as np
import keras, tensorflow as tf
from sklearn.datasets import load_digits
import keras_ilsvrc
from keras_ilsvrc.layers.graph import batch_norms, synchronize
from keras_ilsvrc.training.losses import CrossEntropy
from keras_ilsvrc.training.replicas import as_tested
from keras_ilsvrc.training.strategy import mirrored
from keras_ilsvrc.training.update import Update

data = load_digits()
images = (data.images[..., None] / 16).astype("float32")
labels = data.target.astype("int32")

def batches(size=8, count=320):
    chosen = images[:count] if size == 8 else tf.image.resize(images[:count], (size, size))
    return tf.data.Dataset.from_tensor_slices((chosen, labels[:count])).batch(32)

def per_replica(strategy, variable):
    return [x.numpy() for x in strategy.experimental_local_results(variable.value)]
"""

ALEXNET = {"width": 0.1, "dropout": 0, "input_shape": (64, 64, 1)}
DIGITS = {"input_shape": (8, 8, 1)}
# Net, its arguments, precision, learning rate. Batch normalisation over 8x8 pixels makes a rounding
# error of another order of summing a thousand times larger in a few steps of 0.01: float32 is
# compared at a small rate, and float64 at an ordinary one.
FITS = {
    "without batch normalisation": ("alexnet", ALEXNET, "float32", 0.02),
    "float32": ("resnet20_cifar", DIGITS, "float32", 0.001),
    "float64": ("resnet_cifar", {**DIGITS, "depth": 8}, "float64", 0.02),
}
# How far the losses of ten steps may be apart: 1e-5 and less with AVX-512, but 2e-4 in float32 with
# AVX2, whose sums are of another order. That it is rounding, float64 shows.
TOLERANCES = {"without batch normalisation": 1e-5, "float32": 1e-3, "float64": 2e-7}

# A user's own loop: build, compile and fit in a scope; evaluate, save and load.
FIT = """
strategy = mirrored({replicas})
assert strategy.num_replicas_in_sync == {replicas}
found = {{}}
for key, (net, arguments, precision, rate) in {fits!r}.items():
    keras.config.set_dtype_policy(precision)
    size = arguments["input_shape"][0]
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = keras_ilsvrc.build(net, classes=10, **arguments)
        model.compile(
            keras.optimizers.SGD(rate, momentum=0.9),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=False,
        )
    start = [float(np.abs(weight).sum()) for weight in model.get_weights()]
    # one step an epoch, so that the history holds the loss of every step
    fitted = model.fit(
        batches(size).repeat(), epochs=10, steps_per_epoch=1, shuffle=False, verbose=0
    )
    found[key] = {{"start": start, "losses": fitted.history["loss"]}}
    if precision == "float32":
        found[key]["before"] = model.evaluate(batches(size), verbose=0)
        model.save({folder!r} + "/model.keras")
        loaded = keras_ilsvrc.load_model({folder!r} + "/model.keras")
        found[key]["after"] = loaded.evaluate(batches(size), verbose=0)
print(json.dumps(found))
"""


def run(script):
    return process.run(PRELUDE + script)


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    """What the same loop found on one replica and on two."""
    return [
        run(FIT.format(replicas=n, fits=FITS, folder=str(tmp_path_factory.mktemp(f"fit{n}"))))
        for n in (1, 2)
    ]


@pytest.mark.parametrize("key", FITS)
def test_losses_on_two_replicas_are_those_on_one_step_by_step(fits, key):
    one, two = (found[key] for found in fits)
    assert one["start"] == two["start"]
    assert len(one["losses"]) == 10
    assert abs(one["losses"][-1] - one["losses"][0]) > 0.01
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=TOLERANCES[key])


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("key", [key for key, row in FITS.items() if row[2] == "float32"])
def test_a_saved_model_evaluates_as_before_it_was_saved(fits, key, replicas):
    found = fits[replicas - 1][key]
    np.testing.assert_allclose(found["after"], found["before"], rtol=0, atol=1e-6)


# The moving statistics of a net on both replicas, in training and as it is tested.
STATISTICS = """
strategy = mirrored(2)
found = {}

def kept(model):
    norms = batch_norms(model)
    variables = [x for norm in norms for x in (norm.moving_mean, norm.moving_variance)]
    values = [per_replica(strategy, variable) for variable in variables]
    return {
        "first": np.concatenate([first for first, _ in values]).tolist(),
        "second": np.concatenate([second for _, second in values]).tolist(),
        "read": np.concatenate([variable.numpy() for variable in variables]).tolist(),
    }

for name, synchronized in (("synchronized", True), ("replica", False)):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = keras_ilsvrc.build("resnet_cifar", depth=8, input_shape=(8, 8, 1), classes=10)
        built = {layer.synchronized for layer in batch_norms(model)}
        synchronize(model, synchronized)
        update = Update(model, keras.optimizers.SGD(0.01), CrossEntropy(), 32, 0)
    feed = strategy.distribute_datasets_from_function(lambda context: batches().unbatch().batch(16))
    iterator = iter(feed)
    for step in range(10):
        update.take(iterator, step, 1)
    found[name] = {"built": sorted(built), **kept(model)}
    with as_tested(update):
        found[name]["tested"] = kept(model)
    found[name]["after"] = kept(model)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def statistics():
    """Statistics on both replicas, in three ways of training."""
    return run(STATISTICS)


def test_synchronized_statistics_are_equal_on_both_replicas(statistics):
    found = statistics["synchronized"]
    np.testing.assert_array_equal(found["first"], found["second"])


def test_build_in_a_scope_synchronizes_batch_normalisation(statistics):
    assert statistics["synchronized"]["built"] == [True]


def test_statistics_of_each_replica_are_averaged_where_the_net_is_tested(statistics):
    found = statistics["replica"]
    first, second = np.array(found["first"]), np.array(found["second"])
    assert np.abs(first - second).max() > 1e-3
    tested = found["tested"]
    np.testing.assert_allclose(tested["first"], (first + second) / 2, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(tested["first"], tested["second"])
    np.testing.assert_array_equal(tested["read"], tested["first"])
    assert found["after"] == {key: found[key] for key in ("first", "second", "read")}


def test_a_tuner_completes_its_trials_on_two_replicas(tmp_path):
    found = run(f"""
import keras_tuner

# halves the time to the first step
tf.config.optimizer.set_experimental_options({{"disable_meta_optimizer": True}})
space = keras_tuner.HyperParameters()
space.Fixed("depth", 20)  # not 110, which takes minutes
tuner = keras_tuner.RandomSearch(
    keras_ilsvrc.hypermodel("resnet20_cifar", input_shape=(8, 8, 1), classes=10),
    "val_accuracy",
    max_trials=2,
    seed=0,
    hyperparameters=space,
    distribution_strategy=mirrored(2),
    directory={str(tmp_path)!r},
)
tuner.search(batches(count=64), validation_data=batches(count=64), epochs=1, verbose=0)
trials = list(tuner.oracle.trials.values())
print(json.dumps({{
    "status": [trial.status for trial in trials],
    "values": [trial.hyperparameters.values for trial in trials],
    "score": [trial.score for trial in trials],
}}))
""")
    assert found["status"] == ["COMPLETED", "COMPLETED"]
    assert all(0 <= score <= 1 for score in found["score"])
    one, other = found["values"]
    assert set(one) == {"depth", "learning_rate", "momentum", "l2"}
    assert one["learning_rate"] != other["learning_rate"]


@pytest.mark.parametrize("replicas", [0, -1])
def test_fewer_than_one_replica_is_refused(replicas):
    from keras_ilsvrc.training.strategy import mirrored

    with pytest.raises(InputError, match=f"replicas is {replicas}; expected at least 1"):
        mirrored(replicas)


def test_once_tensorflow_has_started_its_devices_are_all_there_are():
    found = run("""
mirrored(2)
keras_ilsvrc.build("resnet_cifar", depth=8)
found = [mirrored(n).num_replicas_in_sync for n in (2, 1)]
try:
    mirrored(3)
except keras_ilsvrc.InputError as error:
    found.append(str(error))
print(json.dumps(found))
""")
    *again, said = found
    assert again == [2, 1]
    assert said.startswith("replicas is 3, but TensorFlow has started with 2 CPU devices: ")
    assert "\n" not in said


def test_the_same_devices_share_a_strategy():
    """Collectives of two strategies in one process are taken for one another's."""
    from keras_ilsvrc.training.strategy import mirrored

    assert mirrored(1) is mirrored(1)
