"""Two replicas compute what one does, and are taken out of a training and put back exactly."""

from pathlib import Path

import numpy as np
import process
import pytest

PRELUDE = f"""
import json, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import keras, numpy as np, tensorflow as tf
import toy
from keras_ilsvrc.training.checkpoint import State
from keras_ilsvrc.training.replicas import set_values, values_of
from keras_ilsvrc.training.strategy import mirrored

def feed(strategy, first=0):
    distribute = strategy.distribute_datasets_from_function
    return iter(distribute(lambda context: toy.batches(first, context)))
"""

LOSSES = """
strategy = mirrored({replicas})
found = {{}}
with strategy.scope():
    for name, options in {nets!r}.items():
        keras.utils.set_random_seed(3)
        update = toy.update_of(toy.net(0, **options), accumulate={accumulate})
        iterator = feed(strategy)
        results = [update.take(iterator, step, 1)[0] for step in range(50)]
        copies = [
            strategy.experimental_local_results(x) for x in update.variables_of_training().values()
        ]
        found[name] = {{
            "losses": [result.loss for result in results],
            "accuracies": [result.accuracy for result in results],
            "norms": [result.gradient_norm for result in results],
            "equal": all((x.numpy() == xs[0].numpy()).all() for xs in copies for x in xs),
        }}
print(json.dumps(found))
"""
NETS = {"plain": {"batch_norm": False}, "synchronized": {"synchronized": True}}


def run(script):
    return process.run(PRELUDE + script)


@pytest.fixture(scope="module")
def losses():
    """By number of replicas, at one global batch."""
    return {n: run(LOSSES.format(replicas=n, nets=NETS, accumulate=1)) for n in (1, 2)}


@pytest.mark.parametrize("net", NETS)
def test_fifty_steps_on_two_replicas_are_those_on_one(losses, net):
    one, two = losses[1][net], losses[2][net]
    assert max(one["losses"]) - min(one["losses"]) > 0.1
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(two["norms"], one["norms"], rtol=1e-3)
    assert two["accuracies"] == one["accuracies"]


@pytest.mark.parametrize("net", NETS)
def test_both_replicas_hold_the_same(losses, net):
    assert losses[2][net]["equal"]


def test_pieces_on_two_replicas_add_up(losses):
    found = run(LOSSES.format(replicas=2, nets={"plain": NETS["plain"]}, accumulate=2))
    expected = losses[1]["plain"]["losses"]
    np.testing.assert_allclose(found["plain"]["losses"], expected, rtol=0, atol=1e-5)


def test_masks_differ_between_replicas_and_steps_and_repeat():
    found = run("""
strategy = mirrored(2)
with strategy.scope():
    update = toy.fresh()
    layer = update.model.get_layer("drop1")

@tf.function
def masks(step):
    def one():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        update._reseed(step, replica, 0)
        return layer(tf.ones((1, 64)), training=True)
    return strategy.run(one)

def taken(step):
    results = strategy.experimental_local_results(masks(tf.constant(step, tf.int64)))
    return [result.numpy().astype(bool).ravel().tolist() for result in results]

print(json.dumps([taken(0), taken(1), taken(0)]))
""")
    first, second, again = found
    assert first == again
    assert first[0] != first[1]
    assert first[0] != second[0]
    assert all(0.5 < np.mean(mask) < 0.9 for step in found for mask in step)


def test_what_each_replica_has_of_its_own_is_put_back():
    found = run("""
strategy = mirrored(2)
with strategy.scope():
    update = toy.fresh()
    iterator = feed(strategy)
    for step in range(4):
        update.take(iterator, step, 1)
    values = values_of(update)
    for step in range(4, 8):
        update.take(iterator, step, 1)
    end = toy.state_hash(update)
    other = toy.fresh(seed=9)
    set_values(other, values)
    iterator = feed(strategy, 4)
    for step in range(4, 8):
        other.take(iterator, step, 1)
    statistics = values["model/bn1/moving_mean"]
print(json.dumps([end == toy.state_hash(other), statistics.tolist()]))
""")
    same, (first, second) = found
    assert same
    assert first != second
