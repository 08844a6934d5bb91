"""Tests of LeNet-5: compared with the equations of LeCun et al. 1998, section II.B."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_ilsvrc import InputError
from keras_ilsvrc.nets.lenet import C3, CODES, FIGURE_3, INITIAL, lenet5, lenet5_modern
from keras_ilsvrc.training.initial import set_initial_values

BUILDERS = {"lenet5": lenet5, "lenet5_modern": lenet5_modern}
each_net = pytest.mark.parametrize("name", BUILDERS)


def build(name, classes=10, shape=(32, 32, 1)):
    image = keras.Input(shape, name="image")
    return keras.Model(image, BUILDERS[name](image, classes), name=name)


def count(weights):
    return sum(math.prod(weight.shape) for weight in weights)


def digits():
    """16 digits of scikit-learn at 32x32, background -0.1 and ink 1.175 as in the paper."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = images[:16].reshape(16, 8, 8, 1).astype("float32") / 16
    return 1.275 * ops.convert_to_numpy(ops.image.resize(images, (32, 32))) - 0.1, labels[:16]


@each_net
def test_names(name):
    layers = [layer.name for layer in build(name).layers]
    order = ["image", "c1", "s2", "c3", "s4", "c5", "flatten", "f6", "logits"]
    if name == "lenet5_modern":  # whose C5 is fully connected
        order[5:7] = ["flatten", "c5"]
    assert layers == order


@each_net
def test_sizes_and_parameters_layer_by_layer(name, paper):
    model, table = build(name), paper[name]
    assert {layer: list(model.get_layer(layer).output.shape[1:]) for layer in table["sizes"]} == (
        table["sizes"]
    )
    found = {layer.name: count(layer.trainable_weights) for layer in model.layers}
    assert {layer: n for layer, n in found.items() if n} == table["parameters_of"]
    assert count(model.trainable_weights) == table["parameters"]
    assert count(model.non_trainable_weights) == table.get("fixed", 0)
    assert list(model.input_shape[1:]) == table["input"]


def test_connections_layer_by_layer(paper):
    connections = {}
    for layer in build("lenet5").layers:
        if hasattr(layer, "cost"):
            connections[layer.name] = layer.cost(layer.output.shape[1:])[1]
        elif layer.trainable_weights:  # every parameter once at every position
            positions = math.prod(layer.output.shape[1:-1])
            connections[layer.name] = positions * count(layer.trainable_weights)
    assert connections == paper["lenet5"]["connections_of"]
    assert sum(connections.values()) == paper["lenet5"]["connections"]


def test_table_1_has_the_scheme_of_the_text():
    """Six subsets of 3 neighbours in a ring, six of 4, three others of 4, and all 6."""
    ring = [[(first + n) % 6 for n in range(size)] for size in (3, 4) for first in range(6)]
    assert C3[:12] == [sorted(maps) for maps in ring]
    assert [len(maps) for maps in C3[12:]] == [4, 4, 4, 6]
    assert len({tuple(maps) for maps in C3}) == 16
    assert not any(maps in C3[6:12] for maps in C3[12:])
    assert sum(len(maps) for maps in C3) == 60


def test_figure_3_is_ten_bitmaps_of_7x12():
    rows = [row.split() for row in FIGURE_3.split("\n")[1:-1]]
    assert len(rows) == 12
    assert {len(row) for row in rows} == {10}
    assert {len(pixels) for row in rows for pixels in row} == {7}


def test_codes_are_signs_and_far_from_each_other():
    codes = np.array(CODES)
    assert codes.shape == (10, 84)
    assert set(codes.ravel()) == {-1, 1}
    bits = (codes[:, None] != codes).sum(-1)
    assert bits[~np.eye(10, dtype=bool)].min() == 12  # 6 and 8


def test_f6_that_draws_a_digit_is_that_digit():
    model = build("lenet5")
    head = keras.Model(model.get_layer("f6").output, model.output)
    result = ops.convert_to_numpy(head(np.array(CODES, "float32")))
    assert result.argmax(-1).tolist() == list(range(10))
    np.testing.assert_array_equal(result.max(-1), 0)


def test_equals_the_equations_of_the_paper():
    model = build("lenet5")
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0, 0.5 if len(weight.shape) == 1 else 0.1, weight.shape))
    w = {layer.name: [ops.convert_to_numpy(x) for x in layer.weights] for layer in model.layers}

    def squash(a):
        return 1.7159 * np.tanh(2 / 3 * a)

    def convolve(x, kernels):
        """x is (height, width); kernels (5, 5, ...) to maps (height', width', ...)."""
        windows = np.lib.stride_tricks.sliding_window_view(x, (5, 5))
        return np.einsum("hwij,ij...->hw...", windows, kernels)

    def halve(x, coefficient, bias):
        blocks = x.reshape(len(x) // 2, 2, len(x) // 2, 2, -1)
        return squash(coefficient * blocks.sum((1, 3)) + bias)

    image = rng.normal(size=(32, 32)).astype("float32")
    c1 = squash(convolve(image, w["c1"][0][:, :, 0]) + w["c1"][1])
    s2 = halve(c1, *w["s2"])
    kernels = iter(np.moveaxis(w["c3"][0], -1, 0))
    sums = [sum(convolve(s2[..., i], next(kernels)) for i in maps) for maps in C3]
    c3 = squash(np.stack(sums, -1) + w["c3"][1])
    s4 = halve(c3, *w["s4"])
    c5 = squash(np.einsum("ijm,ijmo->o", s4, w["c5"][0]) + w["c5"][1])
    f6 = squash(c5 @ w["f6"][0] + w["f6"][1])
    expected = -((f6 - np.array(CODES)) ** 2).sum(-1)
    result = ops.convert_to_numpy(model(image[None, ..., None]))[0]
    np.testing.assert_allclose(result, expected, rtol=1e-4)


@pytest.mark.parametrize("classes", [7, 1, 11, 1000])
def test_other_than_ten_classes_are_refused(classes):
    with pytest.raises(InputError, match=f"classes is {classes}: pass 10, or build lenet5_"):
        build("lenet5", classes)
    assert build("lenet5_modern", classes).output_shape == (None, classes)


@pytest.mark.parametrize(("size", "c5", "s4"), [(32, 1, 5), (40, 3, 7), (None, None, None)])
def test_without_classes_ends_in_maps(size, c5, s4):
    shape = (size, size, 1)
    assert build("lenet5", None, shape).output_shape == (None, c5, c5, 120)
    assert build("lenet5_modern", None, shape).output_shape == (None, s4, s4, 16)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_codes_are_told_apart_under_mixed_policies(policy, set_policy):
    set_policy(policy)
    model = build("lenet5")
    images, _ = digits()
    compute = policy.removeprefix("mixed_")
    assert {layer.compute_dtype for layer in model.layers[1:]} == {compute}
    assert keras.backend.standardize_dtype(model(images).dtype) == compute
    assert np.isfinite(ops.convert_to_numpy(model(images)).astype("float32")).all()


def test_file_gives_the_same_net(tmp_path):
    model = build("lenet5")
    model.save(tmp_path / "lenet5.keras")
    again = keras.saving.load_model(tmp_path / "lenet5.keras")
    images, _ = digits()
    first, second = (ops.convert_to_numpy(net(images)) for net in (model, again))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("name", "table", "rate", "steps"),
    [
        pytest.param("lenet5", None, 1e-3, 25, marks=pytest.mark.slow),
        ("lenet5", INITIAL, 3e-3, 25),
        ("lenet5_modern", None, 3e-3, 20),
    ],
)
def test_memorises_sixteen_digits(name, table, rate, steps):
    images, labels = digits()
    model = build(name)
    if table:
        set_initial_values(model, table, seed=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
    losses = [float(model.train_on_batch(images, labels)) for _ in range(steps)]
    assert losses[0] > 1  # chance is ln 10 = 2.3
    assert losses[-1] < 0.1
