"""Tests that two replicas compute the same as one, and that their own values are restored."""

import numpy as np
import pytest
import replica_runs
import tensorflow as tf
import toy
from devices import mirrored
from replica_runs import NETS


@pytest.fixture(scope="module")
def losses():
    """Of one net, on one replica and on two, at one global batch."""
    known = {}

    def find(net):
        if net not in known:
            known[net] = [replica_runs.losses(mirrored(number), net) for number in (1, 2)]
        return known[net]

    return find


@pytest.mark.parametrize("net", NETS)
def test_fifty_steps_on_two_replicas_are_those_on_one(losses, net):
    one, two = losses(net)
    assert max(one["losses"]) - min(one["losses"]) > 0.1
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(two["norms"], one["norms"], rtol=1e-3)
    assert two["accuracies"] == one["accuracies"]


@pytest.mark.parametrize("net", NETS)
def test_both_replicas_hold_the_same(losses, net):
    assert losses(net)[1]["equal"]


def test_pieces_on_two_replicas_add_up(losses):
    found = replica_runs.losses(mirrored(2), "plain", accumulate=2)
    expected = losses("plain")[0]["losses"]
    np.testing.assert_allclose(found["losses"], expected, rtol=0, atol=1e-5)


def test_masks_differ_between_replicas_and_steps_and_repeat():
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

    first, second, again = taken(0), taken(1), taken(0)
    assert first == again
    assert first[0] != first[1]
    assert first[0] != second[0]
    assert all(0.5 < np.mean(mask) < 0.9 for step in (first, second) for mask in step)


def test_what_each_replica_has_of_its_own_is_put_back():
    found = replica_runs.put_back(mirrored(2))
    assert len(set(found["ends"])) == 1
    assert found["tested"] not in found["ends"]
    first, second = found["statistics"]
    assert first != second


def test_outputs_of_all_images_are_in_order():
    found, expected = replica_runs.outputs(mirrored(2))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
