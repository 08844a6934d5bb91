"""Tests of LeNet-5's layers: compared with NumPy loops after LeCun et al. 1998, section II.B."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ilsvrc.layers import RadialBasis, Subsampling2D, TableConv2D, scaled_tanh
from keras_ilsvrc.nets.lenet import C3, CODES

SMALL = [[0, 1], [2], [3, 0, 2]]
CASES = {
    "table": (lambda **options: TableConv2D(SMALL, 3, **options), (6, 7, 4)),
    "subsampling": (lambda **options: Subsampling2D(**options), (6, 7, 4)),
    "radial": (lambda **options: RadialBasis([[1, -1, 1], [0.5, 0, -2]], **options), (3,)),
}
each_layer = pytest.mark.parametrize("case", CASES)
# Keras computes in float64 on TensorFlow alone.
FLOAT64 = pytest.param("float64", 1e-12, marks=pytest.mark.tensorflow)
DTYPES = [("float16", 5e-3), ("bfloat16", 5e-2), ("float32", 1e-5), FLOAT64]


def normal(*shape, seed=0, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def numpy(x):
    return ops.convert_to_numpy(x)


def float64(x):
    return numpy(x).astype("float64")


def randomised(layer, shape):
    """The layer, built, with every trainable weight away from its start."""
    layer.build((None, *shape))
    for number, weight in enumerate(layer.trainable_weights):
        weight.assign(normal(*weight.shape, seed=number + 1))
    return layer


def table_convolution(x, kernel, bias, table):
    size = kernel.shape[0]
    rows, columns = x.shape[1] - size + 1, x.shape[2] - size + 1
    y = np.zeros((len(x), rows, columns, len(table)))
    for n, i, j in np.ndindex(*y.shape[:3]):
        connection = 0
        for output, maps in enumerate(table):
            y[n, i, j, output] = bias[output]
            for index in maps:
                window = x[n, i : i + size, j : j + size, index]
                y[n, i, j, output] += (window * kernel[:, :, connection]).sum()
                connection += 1
    assert connection == kernel.shape[2]
    return y


def subsampling(x, coefficient, bias):
    y = np.zeros((len(x), x.shape[1] // 2, x.shape[2] // 2, x.shape[3]))
    for n, i, j, m in np.ndindex(*y.shape):
        total = x[n, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, m].sum()
        y[n, i, j, m] = coefficient[m] * total + bias[m]
    return y


def distances(x, codes):
    y = np.zeros((len(x), len(codes)))
    for n, i in np.ndindex(*y.shape):
        for j, w in enumerate(codes[i]):
            y[n, i] += (x[n, j] - w) ** 2
    return y


def squash(a):
    return 1.7159 * np.tanh(2 * a / 3)


def formula(case, x, *weights):
    if case == "table":
        return table_convolution(x, *weights, SMALL)
    return subsampling(x, *weights) if case == "subsampling" else -distances(x, *weights)


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
@each_layer
def test_equals_the_formula_under_every_dtype(case, dtype, tolerance):
    make, shape = CASES[case]
    layer = randomised(make(dtype=dtype), shape)
    x = ops.convert_to_tensor(normal(2, *shape, dtype="float64"), dtype=dtype)
    y = layer(x)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    expected = formula(case, float64(x), *(float64(weight) for weight in layer.weights))
    scale = tolerance * abs(expected).max()
    np.testing.assert_allclose(float64(y), expected, rtol=tolerance, atol=scale)


def test_equals_the_formula_with_the_table_of_lenet():
    layer = randomised(TableConv2D(C3, 5, scaled_tanh), (14, 14, 6))
    x = normal(1, 14, 14, 6)
    kernel, bias = (float64(weight) / 9 for weight in layer.weights)
    layer.set_weights([kernel, bias])
    expected = squash(table_convolution(x.astype("float64"), kernel, bias, C3))
    assert expected.shape == (1, 10, 10, 16)
    np.testing.assert_allclose(numpy(layer(x)), expected, rtol=1e-4, atol=1e-5)


@each_layer
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_policies_keep_float32_weights(case, policy):
    make, shape = CASES[case]
    layer = make(dtype=policy)
    y = layer(normal(2, *shape))
    assert keras.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")
    assert {weight.dtype for weight in layer.weights} == {"float32"}


@each_layer
def test_a_step_follows_the_gradient_of_the_formula(case):
    """One step of gradient descent by 1 on the mean square of the output."""
    make, shape = CASES[case]
    image = keras.Input(shape)
    head = [keras.layers.Dense(shape[-1], name="dense")] if case == "radial" else []
    y = image
    for layer in [*head, make(name="last")]:
        y = layer(y)
    model = keras.Model(image, y)
    for number, weight in enumerate(model.trainable_weights):
        weight.assign(normal(*weight.shape, seed=number) / 3)
    model.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=False)
    x = normal(2, *shape)
    before = [float64(weight) for weight in model.weights]
    model.train_on_batch(x, np.zeros((2, *model.output_shape[1:]), "float32"))

    def loss(weights):
        a = x.astype("float64")
        if head:
            a, weights = a @ weights[0] + weights[1], weights[2:]
        return (formula(case, a, *weights) ** 2).mean()

    for number, (weight, variable) in enumerate(zip(before, model.weights)):
        slope = np.zeros(weight.shape)
        for index in np.ndindex(weight.shape if variable.trainable else ()):
            if not variable.trainable:
                continue
            moved = [[each.copy() for each in before] for _ in range(2)]
            moved[0][number][index] += 1e-4
            moved[1][number][index] -= 1e-4
            slope[index] = (loss(moved[0]) - loss(moved[1])) / 2e-4
        assert np.any(slope) == variable.trainable
        np.testing.assert_allclose(weight - float64(variable), slope, rtol=1e-3, atol=1e-5)


@each_layer
def test_symbolic_output_has_the_shape_of_the_result(case):
    make, shape = CASES[case]
    layer = make()
    result = layer(normal(2, *shape)).shape
    assert layer(keras.Input(shape)).shape == (None, *result[1:])
    assert layer.compute_output_shape((None, *shape)) == (None, *result[1:])
    if len(shape) == 3:
        unknown = layer(keras.Input((None, None, shape[2])))
        assert unknown.shape == (None, None, None, result[3])


@each_layer
def test_file_gives_the_same_layer(case, tmp_path):
    make, shape = CASES[case]
    options = {} if case == "radial" else {"activation": scaled_tanh, "bias_initializer": "ones"}
    layer = randomised(make(name="last", **options), shape)
    model = keras.Sequential([keras.Input(shape), layer])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.get_layer("last")) is type(layer)
    assert again.get_layer("last").get_config() == layer.get_config()
    x = normal(2, *shape)
    np.testing.assert_array_equal(numpy(again(x)), numpy(model(x)))


@pytest.mark.tensorflow
@each_layer
def test_compiled_result_is_the_same(case):
    import tensorflow as tf

    make, shape = CASES[case]
    layer, x = randomised(make(), shape), normal(2, *shape)
    compiled = tf.function(layer, jit_compile=True)
    np.testing.assert_allclose(compiled(x), layer(x), rtol=1e-5, atol=1e-5)


def test_scaled_tanh_is_one_at_one():
    """Appendix A: f(1) = 1, f(-1) = -1, and the second derivative is largest there."""
    a = np.linspace(-3, 3, 601)
    f = numpy(scaled_tanh(ops.convert_to_tensor(a, dtype="float32")))
    np.testing.assert_allclose(f, squash(a), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(f[[200, 400]], [-1, 1], atol=2e-5)
    bend = abs(np.diff(squash(a), 2))
    assert abs(abs(a[1:-1][bend.argmax()]) - 1) < 0.02


def test_scaled_tanh_is_known_to_keras():
    config = keras.activations.serialize(scaled_tanh)
    assert keras.activations.deserialize(config) is scaled_tanh


def test_table_of_lenet_holds_60_kernels_and_16_biases():
    layer = TableConv2D(C3, 5)
    layer.build((None, 14, 14, 6))
    assert [(w.name, w.shape) for w in layer.weights] == [("kernel", (5, 5, 60)), ("bias", (16,))]
    assert layer.count_params() == 1516


def test_a_map_that_the_table_does_not_list_is_not_seen():
    layer = randomised(TableConv2D(C3, 5), (14, 14, 6))
    x = normal(1, 14, 14, 6)
    whole = numpy(layer(x))
    for index in range(6):
        blind = x.copy()
        blind[..., index] += 1
        changed = (numpy(layer(blind)) != whole).any((0, 1, 2))
        assert changed.tolist() == [index in maps for maps in C3]


def test_kernels_are_drawn_for_the_fan_in_of_their_map():
    table = [list(range(n, n + count)) for count in (2, 8, 32) for n in range(8)]
    layer = TableConv2D(table, 9, kernel_initializer="he_normal", bias_initializer="ones")
    layer.build((None, 9, 9, 40))
    kernel = numpy(layer.kernel)
    assert len(np.unique(kernel)) > 0.99 * kernel.size  # no map repeats another's
    start = 0
    for maps in table:
        own = kernel[..., start : start + len(maps)]
        assert own.std() == pytest.approx(np.sqrt(2 / (81 * len(maps))), rel=0.15)
        start += len(maps)
    np.testing.assert_array_equal(numpy(layer.bias), 1)


def test_coefficients_are_drawn_for_a_fan_in_of_4():
    layer = Subsampling2D(coefficient_initializer="he_normal", bias_initializer="ones")
    layer.build((None, 4, 4, 5000))
    assert numpy(layer.coefficient).std() == pytest.approx(np.sqrt(2 / 4), rel=0.05)
    np.testing.assert_array_equal(numpy(layer.bias), 1)


def test_subsampling_has_a_coefficient_and_a_bias_a_map():
    layer = Subsampling2D(scaled_tanh)
    layer.build((None, 28, 28, 6))
    assert [(w.name, w.shape) for w in layer.weights] == [("coefficient", (6,)), ("bias", (6,))]
    x = normal(2, 28, 28, 6)
    expected = squash(subsampling(x, *(float64(weight) for weight in layer.weights)))
    np.testing.assert_allclose(numpy(layer(x)), expected, rtol=1e-4, atol=1e-5)


def test_subsampling_leaves_out_a_last_row_or_column_without_a_partner():
    layer = randomised(Subsampling2D(), (7, 5, 2))
    x = normal(1, 7, 5, 2)
    assert layer(x).shape == (1, 3, 2, 2)
    np.testing.assert_array_equal(numpy(layer(x)), numpy(layer(x[:, :6, :4])))


def test_codes_are_held_and_not_trained():
    layer = RadialBasis(CODES)
    layer.build((None, 84))
    assert layer.trainable_weights == []
    assert [(w.name, w.shape) for w in layer.weights] == [("codes", (10, 84))]
    np.testing.assert_array_equal(numpy(layer.codes), CODES)


def test_distance_of_a_code_from_itself_is_zero():
    result = numpy(RadialBasis(CODES)(np.array(CODES, "float32")))
    np.testing.assert_array_equal(np.diag(result), 0)
    assert (result.argmax(-1) == range(10)).all()
    np.testing.assert_array_equal(result, result.T)


def test_distances_in_float16_are_the_exact_ones_rounded():
    x = (1.7 * normal(4, 84)).astype("float16")
    result = float64(RadialBasis(CODES, dtype="float16")(x))
    exact = -distances(x.astype("float64"), CODES)
    assert abs(exact).max() > 200
    np.testing.assert_allclose(result, exact, rtol=2**-11 * 1.01)


def test_distances_keep_other_dimensions():
    x = normal(2, 5, 3, 84)
    result = numpy(RadialBasis(CODES)(x))
    assert result.shape == (2, 5, 3, 10)
    np.testing.assert_allclose(result[1, 4, 2], -distances(x[1, 4, 2][None], CODES)[0], rtol=1e-5)
