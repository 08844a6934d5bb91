"""Tests of local response normalisation: compared with Krizhevsky et al. 2012, section 3.3."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ilsvrc.layers import LocalResponseNormalization

SETTINGS = [
    {},
    {"size": 3, "k": 1.0, "alpha": 0.5},
    {"size": 1, "alpha": 0.1},
    {"size": 9, "alpha": 0.1, "beta": 0.5},
    {"alpha": 0.1, "beta": 1.0},
    {"alpha": 0.1, "beta": 0.31},
    {"size": 31, "alpha": 0.1},
]
# A 16-bit result is the exact one, rounded. Keras computes in float64 on TensorFlow alone.
DTYPES = [
    ("float16", 2**-11),
    ("bfloat16", 2**-8),
    ("float32", 2e-6),
    pytest.param("float64", 1e-12, marks=pytest.mark.tensorflow),
]


def formula(a, size=5, k=2.0, alpha=1e-4, beta=0.75):
    """b_i = a_i / (k + alpha * sum_j a_j^2) ^ beta, in float64."""
    a = np.asarray(a, "float64")
    b = np.empty_like(a)
    maps = a.shape[-1]
    for i in range(maps):
        energy = np.zeros(a.shape[:-1])
        for j in range(max(0, i - size // 2), min(maps - 1, i + size // 2) + 1):
            energy += a[..., j] ** 2
        b[..., i] = a[..., i] / (k + alpha * energy) ** beta
    return b


def normal(*shape, scale=10.0, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(0, scale, shape).astype(dtype)


def plain(a, size, k, alpha, beta):
    """The formula in TensorFlow, for its gradient."""
    import tensorflow as tf

    index = np.arange(a.shape[-1])
    near = abs(index[:, None] - index) <= size // 2
    energy = tf.tensordot(a**2, tf.constant(near.astype("float64")), 1)
    return a / (k + alpha * energy) ** beta


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_equals_the_formula(setting):
    a = normal(2, 3, 4, 12)
    b = ops.convert_to_numpy(LocalResponseNormalization(**setting)(a))
    np.testing.assert_allclose(b, formula(a, **setting), rtol=2e-6, atol=1e-7)


def test_published_constants_are_the_default():
    a = normal(1, 2, 2, 8, scale=100)
    b = ops.convert_to_numpy(LocalResponseNormalization()(a))
    np.testing.assert_allclose(b, formula(a, 5, 2.0, 1e-4, 0.75), rtol=2e-6)


@pytest.mark.parametrize("shape", [(3, 8), (2, 5, 8), (2, 3, 2, 2, 8)], ids=str)
def test_takes_any_number_of_dimensions(shape):
    a = normal(*shape)
    b = ops.convert_to_numpy(LocalResponseNormalization(alpha=0.1)(a))
    np.testing.assert_allclose(b, formula(a, alpha=0.1), rtol=2e-6)


def test_caffe_divides_alpha_by_size():
    """Caffe's LRN of bvlc_alexnet: k 1, alpha 1e-4 over local_size 5."""
    a = normal(2, 4, 4, 16, scale=50)
    b = ops.convert_to_numpy(LocalResponseNormalization(k=1.0, alpha=2e-5)(a))
    caffe = np.zeros(a.shape)
    padded = np.pad(a.astype("float64"), [(0, 0), (0, 0), (0, 0), (2, 2)])
    for i in range(16):
        mean = (padded[..., i : i + 5] ** 2).mean(-1)
        caffe[..., i] = a[..., i] / (1 + 1e-4 * mean) ** 0.75
    np.testing.assert_allclose(b, caffe, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("groups", [2, 4])
def test_groups_are_normalised_alone(groups):
    a = normal(2, 3, 3, 16)
    whole = LocalResponseNormalization(alpha=0.1, groups=groups)(a)
    parts = [LocalResponseNormalization(alpha=0.1)(part) for part in np.split(a, groups, -1)]
    alone = np.concatenate([ops.convert_to_numpy(part) for part in parts], -1)
    np.testing.assert_allclose(ops.convert_to_numpy(whole), alone, rtol=1e-6)


@pytest.mark.parametrize(("dtype", "rtol"), DTYPES)
@pytest.mark.parametrize("setting", [{}, {"alpha": 0.1, "beta": 0.6}], ids=str)
def test_computes_under_every_dtype(dtype, rtol, setting):
    layer = LocalResponseNormalization(dtype=dtype, **setting)
    a = ops.convert_to_tensor(normal(2, 3, 3, 12, scale=300, dtype="float64"), dtype=dtype)
    b = layer(a)
    assert keras.backend.standardize_dtype(b.dtype) == dtype
    exact = formula(ops.convert_to_numpy(a), **setting)
    b = ops.convert_to_numpy(b).astype("float64")
    np.testing.assert_allclose(b, exact, rtol=rtol * 1.01, atol=1e-6 * rtol)


def test_squares_do_not_overflow_in_float16():
    a = ops.convert_to_tensor(np.full((1, 1, 1, 8), 60_000.0), dtype="float16")
    b = ops.convert_to_numpy(LocalResponseNormalization(dtype="float16")(a))
    np.testing.assert_allclose(b, formula(np.full((1, 1, 1, 8), 60_000.0)), rtol=2**-10)


def test_channels_at_zero_stay_zero_and_finite():
    b = ops.convert_to_numpy(LocalResponseNormalization()(np.zeros((1, 2, 2, 6), "float32")))
    np.testing.assert_array_equal(b, 0)


def test_mixed_policy_keeps_the_compute_dtype():
    layer = LocalResponseNormalization(dtype="mixed_bfloat16")
    assert keras.backend.standardize_dtype(layer(normal(1, 2, 2, 6)).dtype) == "bfloat16"


def test_symbolic_output_has_the_shape_of_the_input():
    image = keras.Input((None, None, 6))
    assert LocalResponseNormalization()(image).shape == (None, None, None, 6)


def test_file_gives_the_same_layer(tmp_path):
    setting = {"size": 3, "k": 1.5, "alpha": 0.1, "beta": 0.6, "groups": 2}
    layer = LocalResponseNormalization(**setting, name="norm1")
    model = keras.Sequential([keras.Input((4, 4, 8)), layer])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert setting.items() <= again.get_layer("norm1").get_config().items()
    a = normal(2, 4, 4, 8)
    first, second = (ops.convert_to_numpy(each(a)) for each in (model, again))
    np.testing.assert_array_equal(first, second)


def test_has_no_weights():
    layer = LocalResponseNormalization()
    layer(normal(1, 2, 2, 6))
    assert layer.weights == []


@pytest.mark.parametrize("size", [0, 2, 4, -1])
def test_size_must_be_odd_and_positive(size):
    with pytest.raises(ValueError, match=f"size is {size}"):
        LocalResponseNormalization(size=size)


@pytest.mark.parametrize("groups", [0, -2])
def test_groups_must_be_positive(groups):
    with pytest.raises(ValueError, match=f"groups is {groups}"):
        LocalResponseNormalization(groups=groups)


def test_groups_must_divide_the_channels():
    with pytest.raises(ValueError, match="has 8 channels; expected a multiple of groups=3"):
        LocalResponseNormalization(groups=3)(normal(1, 2, 2, 8))


def gradient(function, a):
    """Of the sum of a function, by the backend's own differentiation."""
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(lambda x: function(x).sum())(a))
    if keras.backend.backend() == "torch":
        x = ops.convert_to_tensor(a).requires_grad_()
        function(x).sum().backward()
        return ops.convert_to_numpy(x.grad)
    import tensorflow as tf

    x = tf.constant(a)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(function(x))
    return tape.gradient(y, x).numpy()


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_gradient_is_the_difference_of_the_formula(setting):
    a, weight = normal(2, 1, 1, 12), normal(2, 1, 1, 12, seed=1)
    layer = LocalResponseNormalization(**setting)
    differences = np.zeros(a.shape)
    for index in np.ndindex(a.shape):
        step = np.zeros(a.shape)
        step[index] = 1e-4
        change = formula(a + step, **setting) - formula(a - step, **setting)
        differences[index] = (weight * change).sum() / 2e-4
    slope = gradient(lambda x: ops.multiply(layer(x), weight), a)
    np.testing.assert_allclose(slope, differences, rtol=1e-4, atol=1e-5 * abs(weight).max())


@pytest.mark.tensorflow
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_equals_tensorflows_own(setting):
    import tensorflow as tf

    a = normal(2, 4, 4, 12)
    full = {"size": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75, **setting}
    b = tf.nn.local_response_normalization(
        a, full["size"] // 2, full["k"], full["alpha"], full["beta"]
    )
    np.testing.assert_allclose(LocalResponseNormalization(**setting)(a), b, rtol=1e-5, atol=1e-7)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("setting", "compiled"),
    [
        *(pytest.param(setting, False, id=f"{setting}") for setting in SETTINGS),
        pytest.param(SETTINGS[0], True, id=f"{SETTINGS[0]} compiled"),
        *(
            pytest.param(setting, True, id=f"{setting} compiled", marks=pytest.mark.slow)
            for setting in SETTINGS[1:]
        ),
    ],
)
def test_gradient_is_that_of_the_formula(setting, compiled):
    import tensorflow as tf

    full = {"size": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75, **setting}
    a, weight = (normal(2, 2, 2, 12, dtype="float64", seed=seed) for seed in (0, 1))
    layer = LocalResponseNormalization(**full, dtype="float64")
    ours = tf.function(layer, jit_compile=True) if compiled else layer
    np.testing.assert_allclose(
        gradient(lambda x: ours(x) * weight, a),
        gradient(lambda x: plain(x, **full) * weight, a),
        rtol=1e-9,
        atol=1e-12,
    )


@pytest.mark.tensorflow
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_compiled_result_is_the_same(dtype):
    import tensorflow as tf

    layer = LocalResponseNormalization(alpha=0.1, dtype=dtype)
    a = tf.cast(normal(2, 4, 4, 12), dtype)
    compiled = tf.function(layer, jit_compile=True)(a)
    assert compiled.dtype == dtype
    np.testing.assert_allclose(compiled, layer(a), rtol={"float16": 2**-10}.get(dtype, 1e-6))
