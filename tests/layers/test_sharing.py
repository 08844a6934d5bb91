"""Tests of residual units with shared functions: same results, and no graph is kept."""

import gc
import weakref

import keras
import numpy as np
import pytest

from keras_ilsvrc.layers import ResidualUnit, sharing

pytestmark = pytest.mark.tensorflow
NEVER = 10**9
OPTIONS = {"batch_norm": {"momentum": 0.9, "epsilon": 1e-5}}
CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def net(changes=(), **options):
    """A net of four equal units, of which the second has `changes`; no weight at its start."""
    image = x = keras.Input((6, 7, 4))
    for number in range(4):
        own = {**OPTIONS, **options, **(dict(changes) if number == 1 else {})}
        x = ResidualUnit("conv3-4 conv3-4", **own, name=f"unit_{number}")(x)
    model = keras.Model(image, x)
    random = np.random.default_rng(1)
    for weight in model.weights:
        if "seed" not in weight.path:
            weight.assign(random.uniform(0.2, 0.9, weight.shape))
    return model


def graph(model, training=True):
    import tensorflow as tf

    @tf.function(autograph=False)
    def step(x):
        weights = [weight.value for weight in model.trainable_weights]
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x, training=training)
            loss = tf.reduce_sum(tf.cast(y, "float32") ** 2)
        return y, tape.gradient(loss, [x, *weights])

    return step, step.get_concrete_function(tf.zeros((2, 6, 7, 4)))


def calls(traced):
    """The names of the functions that the units of a graph call."""
    return [x.get_attr("f").name for x in traced.graph.get_operations() if x.type in CALLS]


def numbers(model):
    """Outputs and gradients of two steps, and all variables after them."""
    step, _ = graph(model)
    x = np.random.default_rng(0).normal(size=(2, 6, 7, 4)).astype("float32")
    found = keras.tree.flatten([step(x), step(x), [x.value for x in model.variables]])
    return [keras.ops.convert_to_numpy(x).astype("float64") for x in found]


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, {}),
        ({}, {"dtype": "mixed_bfloat16"}),
        ({}, {"order": "full_preact", "shortcut": "dropout", "seed": 3}),
        ({}, {"batch_norm": None}),
        ({"trainable": False}, {}),
        ({"layer_configs": {"bn_1": {"trainable": False}}}, {}),
        ({"layer_configs": {"bn_2": {"momentum": 0.5}}}, {"dtype": "mixed_bfloat16"}),
    ],
)
def test_shared_units_compute_the_same(changes, options, monkeypatch):
    monkeypatch.setattr(sharing, "UNSHARED", NEVER)
    plain = numbers(net(changes, **options))
    monkeypatch.setattr(sharing, "UNSHARED", 0)
    for one, other in zip(plain, numbers(net(changes, **options)), strict=True):
        scale = max(1, abs(one).max())
        np.testing.assert_allclose(other / scale, one / scale, rtol=0, atol=1e-6)


def test_only_equal_units_share_a_function(monkeypatch):
    monkeypatch.setattr(sharing, "UNSHARED", 0)
    for changes, functions in (({}, 1), ({"trainable": False}, 2), ({"use_bias": True}, 2)):
        forward = [x for x in calls(graph(net(changes))[1]) if "forward" in x]
        assert len(forward) == 4
        assert len(set(forward)) == functions


def test_a_unit_on_fewer_maps_has_its_own_function(monkeypatch):
    monkeypatch.setattr(sharing, "UNSHARED", 0)
    image = keras.Input((6, 7, 4))
    x = ResidualUnit("conv3-8 conv3-8", **OPTIONS)(image)  # with a projection, unlike the next
    model = keras.Model(image, ResidualUnit("conv3-8 conv3-8", **OPTIONS)(x))
    assert len(set(calls(graph(model)[1]))) == 4  # two functions, forwards and backwards


def test_the_first_equal_units_are_alone(monkeypatch):
    monkeypatch.setattr(sharing, "UNSHARED", 3)
    assert len(calls(graph(net())[1])) == 2  # the fourth unit, forwards and backwards
    monkeypatch.undo()
    assert not calls(graph(net())[1])


def test_inference_and_losses_of_activations_are_not_shared(monkeypatch):
    monkeypatch.setattr(sharing, "UNSHARED", 0)
    assert not calls(graph(net(), training=False)[1])
    costly = {"layer_configs": {"relu_1": {"activity_regularizer": keras.regularizers.L2(0.1)}}}
    assert len(calls(graph(net(costly))[1])) == 6  # three of four units, forwards and backwards


def test_a_graph_that_is_gone_keeps_no_unit(monkeypatch):
    monkeypatch.setattr(sharing, "UNSHARED", 0)
    model = net()
    step, traced = graph(model)
    unit = weakref.ref(model.layers[1])
    del model, step, traced
    keras.backend.clear_session()
    gc.collect()
    assert unit() is None
