"""Tests of units, connections and multiply-adds, with the inputs that affect each output."""

import math

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_ilsvrc.accounting import account
from keras_ilsvrc.layers import GroupedConv2D, TableConv2D

NUMBERS = ("parameters", "statistics", "units", "connections", "macs", "memory")
MAPS, SERIES, VOLUME, VECTOR = (7, 6, 4), (9, 3), (4, 5, 4, 2), (5,)
# A layer, and what goes into it. Nothing is padded: each multiply-add reads one input.
WEIGHTED = {
    "convolution": (lambda: layers.Conv2D(3, 3), MAPS),
    "strides": (lambda: layers.Conv2D(3, (2, 3), (3, 2)), MAPS),
    "no bias": (lambda: layers.Conv2D(3, 3, use_bias=False), MAPS),
    "dilation": (lambda: layers.Conv2D(2, 2, dilation_rate=3), MAPS),
    "groups": (lambda: GroupedConv2D(4, 3, groups=2), MAPS),
    "groups of Keras": (lambda: layers.Conv2D(8, 2, groups=4), MAPS),
    "a table": (lambda: TableConv2D([[0, 1], [3], [0, 2, 3]], 2), MAPS),
    "depthwise": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), MAPS),
    "transposed": (lambda: layers.Conv2DTranspose(2, 3, 2), MAPS),
    "over time": (lambda: layers.Conv1D(2, 3), SERIES),
    "over time, depthwise": (lambda: layers.DepthwiseConv1D(3), SERIES),
    "in a volume": (lambda: layers.Conv3D(2, 2), VOLUME),
    "dense": (lambda: layers.Dense(3), VECTOR),
    "dense at every place": (lambda: layers.Dense(3), MAPS),
}


def single(make, shape):
    """A model of one layer, or of a function of a tensor."""
    image = keras.Input(shape)
    return keras.Model(image, make()(image))


def pairs(model):
    """How many inputs change how many outputs, and how many outputs a bias changes."""
    for weight in model.weights:
        weight.assign(np.random.default_rng(0).uniform(0.5, 1, weight.shape))
    shape = model.input_shape[1:]
    size = math.prod(shape)
    images = np.concatenate([np.zeros((1, size)), np.eye(size)]).reshape(-1, *shape)
    rest, *changed = ops.convert_to_numpy(model(images))
    return int((abs(changed - rest) > 0.1).sum()), int((abs(rest) > 0.1).sum())


@pytest.mark.parametrize("name", WEIGHTED)
def test_connections_are_the_inputs_that_change_an_output(name):
    model = single(*WEIGHTED[name])
    (row,) = account(model).rows
    by_inputs, by_biases = pairs(model)
    assert row.units == math.prod(model.output_shape[1:])
    assert row.macs == by_inputs
    assert row.connections == by_inputs + by_biases
    assert row.parameters == model.count_params()


def test_a_separable_convolution_costs_its_two_parts():
    image = keras.Input(MAPS)
    whole = layers.SeparableConv2D(5, 3, 2, depth_multiplier=2)(image)
    x = layers.DepthwiseConv2D(3, 2, depth_multiplier=2, use_bias=False)(image)
    whole = account(keras.Model(image, whole))
    parts = account(keras.Model(image, layers.Conv2D(5, 1)(x)))
    for name in ("parameters", "units", "connections", "macs"):
        assert getattr(whole, name) == getattr(parts, name)


WEIGHTLESS = {
    "pool": lambda: layers.MaxPooling2D(2),
    "activation": lambda: layers.Activation("relu"),
    "zero padding": lambda: layers.ZeroPadding2D(1),
    "operation": lambda: lambda x: x[:, ::2] * 2,
}
NORMALISING = {
    "batch normalisation": (layers.BatchNormalization, 2 * MAPS[2], 2 * MAPS[2]),
    "layer normalisation": (layers.LayerNormalization, 2 * MAPS[2], 0),
    "slopes": (layers.PReLU, math.prod(MAPS), 0),
}


@pytest.mark.parametrize("name", WEIGHTLESS)
def test_layers_without_weights_have_no_units(name):
    rows = account(single(WEIGHTLESS[name], MAPS)).rows
    assert {(row.parameters, row.units, row.connections, row.macs) for row in rows} == {(0,) * 4}


@pytest.mark.parametrize("name", NORMALISING)
def test_normalisation_has_parameters_and_no_units(name):
    make, parameters, statistics = NORMALISING[name]
    (row,) = account(single(make, MAPS)).rows
    assert (row.parameters, row.statistics) == (parameters, statistics)
    assert (row.units, row.connections, row.macs) == (0, 0, 0)


class Unknown(layers.Layer):
    """A user's own layer, of which nothing is known but its weights."""

    def build(self, shape):
        self.scale = self.add_weight(shape=shape[1:])

    def call(self, x):
        return x * self.scale


class Told(Unknown):
    def cost(self, output_shape):
        return math.prod(output_shape), 3, 2


class Subclassed(keras.Model):
    """A model that is no graph, inside one that is."""

    def build(self, shape):
        self.convolution = layers.Conv2D(4, 1)
        self.convolution.build(shape)

    def call(self, x):
        return self.convolution(x)


@pytest.mark.parametrize(
    "make",
    [
        Unknown,
        Subclassed,
        lambda: layers.EinsumDense("abcd,de->abce", (7, 6, 3)),
        lambda: layers.SpectralNormalization(layers.Conv2D(4, 1)),
    ],
    ids=["layer", "model", "einsum", "wrapper"],
)
def test_weights_of_unknown_layers_are_counted_and_their_cost_is_not_invented(make):
    model = single(lambda: lambda x: layers.Conv2D(2, 1)(make()(x)), MAPS)
    told = account(model)
    assert told.parameters + told.statistics == model.count_params()
    assert told.rows[1].field is None
    assert (told.rows[0].units, told.rows[0].connections, told.rows[0].macs) == (None,) * 3
    assert told.rows[1].macs > 0
    assert (told.units, told.connections, told.macs) == (None,) * 3


def test_a_layer_tells_its_own_cost():
    (row,) = account(single(Told, VECTOR)).rows
    assert (row.units, row.connections, row.macs) == (5, 3, 2)
    assert row.field == ()


@pytest.mark.parametrize(("policy", "size"), [("float32", 4), ("mixed_float16", 2), ("float64", 8)])
def test_memory_is_the_outputs_in_their_own_type(policy, size, set_policy):
    set_policy(policy)
    image = keras.Input(MAPS)
    x = layers.Activation("softmax", dtype="float32")(layers.Flatten()(layers.ReLU()(image)))
    told = account(keras.Model(image, x))
    assert [row.memory for row in told.rows] == [168 * size, 168 * size, 168 * 4]
    assert told.memory == 168 * (2 * size + 4)


def numbers(told):
    return {name: getattr(told, name) for name in NUMBERS}


def test_a_shared_layer_has_its_parameters_once_and_its_cost_twice():
    shared = layers.Conv2D(4, 3, padding="same", name="shared")
    model = single(lambda: lambda x: shared(ops.relu(shared(x))), MAPS)
    told = account(model)
    first, second = told.row("shared"), told.row("shared#2")
    assert (first.parameters, second.parameters) == (model.count_params(), 0)
    assert first.macs == second.macs == 7 * 6 * 9 * 4 * 4
    assert told.parameters == model.count_params()


def test_a_frozen_layer_has_no_parameters():
    model = single(lambda: layers.Conv2D(4, 3), MAPS)
    model.trainable = False
    assert (account(model).parameters, account(model).statistics) == (0, model.count_params())


def pyramid():
    """One tower for two images of different sizes, in it a Sequential; two outputs."""
    maps = keras.Input((None, None, 2))
    block = keras.Sequential([layers.Conv2D(3, 3, name="a"), layers.BatchNormalization(name="b")])
    block.name = "block"
    tower = keras.Model(maps, layers.MaxPooling2D(2, name="pool")(block(maps)), name="tower")
    large, small = keras.Input((10, 12, 2)), keras.Input((6, 6, 2))
    first, second = tower(large), tower(small)
    logits = layers.Dense(2, name="logits")(layers.Flatten(name="flatten")(first))
    return keras.Model({"large": large, "small": small}, {"logits": logits, "maps": second})


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_nested_models_are_counted_at_every_call_and_sized_by_it():
    closed, opened = account(pyramid()), account(pyramid(), opened=True)
    assert [row.name for row in closed.rows] == ["tower", "flatten", "logits", "tower#2"]
    assert [row.name for row in opened.rows] == [
        "tower/block/a",
        "tower/block/b",
        "tower/pool",
        "flatten",
        "logits",
        "tower#2/block/a",
        "tower#2/block/b",
        "tower#2/pool",
    ]
    assert numbers(closed) == numbers(opened)
    assert opened.row("tower/block/a").size == (8, 10, 3)
    assert opened.row("tower#2/block/a").size == (4, 4, 3)
    assert closed.row("tower").macs == 8 * 10 * 9 * 2 * 3
    assert closed.row("tower#2").macs == 4 * 4 * 9 * 2 * 3
    assert (closed.row("tower").parameters, closed.row("tower#2").parameters) == (57 + 6, 0)
    assert closed.row("tower").statistics == 6
    assert closed.row("tower").kind == "Functional"
    for before, row in (("tower/pool", "tower"), ("tower#2/pool", "tower#2")):
        assert closed.row(row).field == opened.row(before).field == (4, 4)


def test_an_empty_model_inside_changes_nothing():
    image = keras.Input(MAPS)
    nothing = keras.Model(image, image, name="nothing")
    rows = account(single(lambda: lambda x: layers.Conv2D(1, 3)(nothing(x)), MAPS)).rows
    assert [(row.name, row.field) for row in rows] == [("nothing", (1, 1)), ("conv2d", (3, 3))]


def test_a_model_called_with_a_dict_gets_its_inputs_by_name():
    a, b = keras.Input((8, 8, 1), name="a"), keras.Input((8, 8, 1), name="b")
    inner = keras.Model([b, a], [layers.ReLU(name="of_b")(b), layers.ReLU(name="of_a")(a)])
    model = keras.Model([a, b], inner({"a": layers.AveragePooling2D(3, 1, "same")(a), "b": b}))
    rows = account(model, opened=True)
    assert [rows.row(f"{inner.name}/of_{x}").field for x in "ab"] == [(3, 3), (1, 1)]
