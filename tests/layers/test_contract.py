"""Tests that every public layer satisfies Keras' contract for layers."""

import copy
import json
import pickle

import keras
import numpy as np
import pytest
from keras.src import testing
from layer_cases import CASES, built, each_case, numpy, values

from keras_ilsvrc import layers as ours
from keras_ilsvrc.layers import BatchNormalization, LocalResponseNormalization, RadialBasis

MASKED = (BatchNormalization, LocalResponseNormalization, RadialBasis)


def test_no_public_layer_is_missing():
    public = {getattr(ours, name) for name in ours.__all__ if isinstance(getattr(ours, name), type)}
    assert public <= {case.layer for case in CASES.values()}


# Its generator of one batch is not shuffled.
@pytest.mark.filterwarnings("ignore:.shuffle=True. was passed:UserWarning")
@each_case
def test_keras_own_layer_test(case):
    testing.TestCase().run_layer_test(
        case.layer,
        case.arguments,
        input_shape=case.shape,
        expected_output_shape=case.output,
        expected_output_dtype="float32",
        expected_num_trainable_weights=case.trainable,
        expected_num_non_trainable_weights=case.fixed,
        expected_num_seed_generators=case.seeds,
        expected_num_losses=0,
        supports_masking=case.layer in MASKED,
        run_training_check=case.trainable > 0,
    )


@each_case
def test_shapes_are_known_before_the_layer_is_built(case):
    unknown = (None, *(None for _ in case.shape[1:-1]), case.shape[-1])
    for shape, output in ((case.shape, case.output), (unknown, (None,) * len(case.output))):
        found = case.layer(**case.arguments).compute_output_shape(shape)
        spec = case.layer(**case.arguments).compute_output_spec(keras.KerasTensor(shape))
        assert len(found) == len(output)
        assert all(want in (size, None) for size, want in zip(found, output)), found
        assert tuple(spec.shape) == tuple(found)
        assert found[-1] == case.output[-1]


POLICIES = ("float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16")


@pytest.mark.tensorflow
@each_case
def test_every_policy_takes_floats_and_whole_numbers(case):
    exact = built(case)
    x = np.round(values(case.shape))
    expected, failures = numpy(exact(x)), []
    for policy in ("float32", *POLICIES):
        layer = built(case, dtype=policy)
        layer.set_weights(exact.get_weights())
        for dtype in ("float64", "float32", "float16", "int32", "int8"):
            y = layer(x.astype(dtype))
            spec = layer.compute_output_spec(keras.KerasTensor(case.shape, dtype))
            close = np.allclose(numpy(y), expected, rtol=0.1, atol=0.05 * abs(expected).max())
            right = {keras.backend.standardize_dtype(y.dtype), spec.dtype} == {layer.compute_dtype}
            failures += [] if close and right else [(policy, dtype, y.dtype, spec.dtype, close)]
    assert not failures


@each_case
def test_unknown_sizes_give_what_known_ones_give(case):
    image = keras.Input((*(None for _ in case.shape[1:-1]), case.shape[-1]))
    layer = case.layer(**case.arguments)
    model = keras.Model(image, layer(image))
    model.compile(jit_compile=False)
    for size in (case.shape, (3, *(size + 4 for size in case.shape[1:-1]), case.shape[-1])):
        known = built(case._replace(shape=size))
        known.set_weights(layer.get_weights())
        x = values(size)
        y = model(x) if size == case.shape else model.predict(x, verbose=0)
        np.testing.assert_allclose(numpy(y), numpy(known(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.tensorflow
@each_case
def test_second_gradient_is_the_slope_of_the_first(case):
    import tensorflow as tf

    layer, x, way = (
        built(case, dtype="float64"),
        *(values(case.shape, "float64", n) for n in (1, 2)),
    )
    x, way, step = tf.constant(x), tf.constant(way), 1e-5

    def first(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x) ** 3)
        return tape.gradient(loss, x)

    with tf.GradientTape() as tape:
        tape.watch(x)
        along = tf.reduce_sum(first(x) * way)
    slope = (first(x + step * way) - first(x - step * way)) / (2 * step)
    scale = abs(slope.numpy()).max()
    np.testing.assert_allclose(tape.gradient(along, x), slope, rtol=1e-3, atol=1e-4 * scale)


@each_case
def test_a_configuration_is_plain_and_independent(case):
    layer = built(case)
    config = layer.get_config()
    assert json.loads(json.dumps(config)) == json.loads(json.dumps(copy.deepcopy(config)))
    before = json.dumps(config)
    emptied = [key for key, value in config.items() if isinstance(value, (dict, list))]
    for key in emptied:
        config[key].clear()
    assert json.dumps(layer.get_config()) == before


@each_case
def test_copies_of_a_built_layer_compute_the_same(case, tmp_path):
    layer, x = built(case, name="first"), values(case.shape)
    model = keras.Sequential([keras.Input(case.shape[1:]), layer])
    expected = numpy(layer(x))
    for suffix in ("keras", "h5"):
        model.save(tmp_path / f"model.{suffix}")
        again = keras.saving.load_model(tmp_path / f"model.{suffix}")
        np.testing.assert_array_equal(numpy(again(x)), expected)
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert again.name == "first"
        assert again.get_config() == layer.get_config()
        np.testing.assert_array_equal(numpy(again(x)), expected)
