"""Two replicas, or two workers, compute what one does; they are taken out and put back exactly."""

import numpy as np
import process
import pytest
from process import PRELUDE

MIRRORED = "strategy = mirrored({})"
WORKERS = "strategy = stack.enter_context(multi_worker(cluster_of(), 60))"
LOSSES = """
{strategy}
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
            "state": toy.state_hash(update),
        }}
stack.close()
print(json.dumps(found))
"""
NETS = {"plain": {"batch_norm": False}, "synchronized": {"synchronized": True}}


def run(script):
    return process.run(PRELUDE + script)


@pytest.fixture(scope="module")
def losses():
    """By number of replicas, at one global batch; and of two workers."""
    options = {"nets": NETS, "accumulate": 1}
    found = {n: run(LOSSES.format(strategy=MIRRORED.format(n), **options)) for n in (1, 2)}
    script = PRELUDE + LOSSES.format(strategy=WORKERS, **options)
    return found | dict(zip(("chief", "worker"), process.run_on_workers(script)))


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("where", [2, "chief", "worker"])
def test_fifty_steps_on_two_replicas_are_those_on_one(losses, net, where):
    one, two = losses[1][net], losses[where][net]
    assert max(one["losses"]) - min(one["losses"]) > 0.1
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(two["norms"], one["norms"], rtol=1e-3)
    assert two["accuracies"] == one["accuracies"]


@pytest.mark.parametrize("net", NETS)
def test_both_replicas_hold_the_same(losses, net):
    assert losses[2][net]["equal"]


@pytest.mark.parametrize("net", NETS)
def test_both_workers_hold_the_same(losses, net):
    assert losses["chief"][net] == losses["worker"][net]


def test_pieces_on_two_replicas_add_up(losses):
    nets = {"plain": NETS["plain"]}
    found = run(LOSSES.format(strategy=MIRRORED.format(2), nets=nets, accumulate=2))
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


PUT_BACK = """
{strategy}
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
    other = toy.fresh(seed=9)
    facts = {{"from": strategy.extended.worker_devices[0]}}
    told = from_chief(strategy, State(values, facts))
    nothing = from_chief(strategy, None)
    set_values(other, told.arrays)
    iterator = feed(strategy, 4)
    for step in range(4, 8):
        other.take(iterator, step, 1)
    statistics = values["model/bn1/moving_mean"]
    ends = [end, after, toy.state_hash(other)]
stack.close()
print(json.dumps({{
    "ends": ends,
    "tested": tested,
    "statistics": statistics.tolist(),
    "facts": told.facts,
    "nothing": nothing,
}}))
"""


def test_what_each_replica_has_of_its_own_is_put_back():
    found = run(PUT_BACK.format(strategy=MIRRORED.format(2)))
    assert len(set(found["ends"])) == 1
    first, second = found["statistics"]
    assert first != second


def test_what_each_worker_has_of_its_own_is_put_back_and_the_chief_s_state_told():
    chief, worker = found = process.run_on_workers(PRELUDE + PUT_BACK.format(strategy=WORKERS))
    assert chief == worker
    assert len(set(chief["ends"])) == 1
    assert chief["tested"] not in chief["ends"]
    assert chief["statistics"][0] != chief["statistics"][1]
    assert "task:0" in chief["facts"]["from"]
    assert [each["nothing"] for each in found] == [None, None]


def test_outputs_of_all_images_in_order_on_every_worker():
    script = """
{strategy}
with strategy.scope():
    keras.utils.set_random_seed(3)
    model = toy.net()
forward = Forward(strategy)
images = np.random.default_rng(0).normal(size=(24, 6, 6, 1)).astype("float32")

def share(context):
    steps = images.reshape(3, context.num_input_pipelines, -1, 6, 6, 1)
    own = steps[:, context.input_pipeline_id].reshape(-1, 6, 6, 1)
    return tf.data.Dataset.from_tensor_slices(own).batch(8 // context.num_replicas_in_sync)

found = forward(model, share).tolist()
stack.close()
expected = keras.ops.convert_to_numpy(model(images, training=False)).tolist()
print(json.dumps([found, expected]))
"""
    for outputs in (
        [run(script.format(strategy=MIRRORED.format(2)))],
        process.run_on_workers(PRELUDE + script.format(strategy=WORKERS)),
    ):
        for found, expected in outputs:
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
