"""Tests of batch normalisation: the results of Keras' layer, from one operation on a CPU."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_ilsvrc.layers.batch_norm import BatchNormalization

pytestmark = pytest.mark.tensorflow

FUSED = [{}, {"scale": False}, {"center": False}, {"momentum": 0.9, "epsilon": 1e-5}]
LEFT = [
    *({"dtype": each} for each in ("float64", "float16", "bfloat16")),
    {"axis": 1},
    {"renorm": True},
]
modes = pytest.mark.parametrize("mode", ["training", "inference", "frozen"])


def pair(case, shape=(None, 5, 6, 4)):
    """Our layer and that of Keras with the same weights, away from where they start."""
    made = [kind(**case) for kind in (BatchNormalization, keras.layers.BatchNormalization)]
    for layer in made:
        layer.build(shape)
        random = np.random.default_rng(0)
        layer.set_weights([random.uniform(0.5, 1.5, x.shape) for x in layer.weights])
    return made


def results(layer, mode, images, graph=True):
    """Return the outputs, gradients and moving statistics, and the kinds of operations."""
    layer.trainable = mode != "frozen"
    weights = [x.value for x in (layer.gamma, layer.beta) if x is not None]

    def step(images):
        with tf.GradientTape() as tape:
            tape.watch([images, *weights])
            y = layer(images, training=mode != "inference")
            loss = tf.reduce_sum(tf.cast(y, "float32") ** 3)
        return [y, *tape.gradient(loss, [images, *weights])]

    images = tf.constant(images, layer.compute_dtype)
    kinds = set()
    if graph:
        step = tf.function(step)
        found = step.get_concrete_function(images).graph.get_operations()
        kinds = {operation.type for operation in found}
    outputs = [*step(images), layer.moving_mean, layer.moving_variance]
    return [keras.ops.convert_to_numpy(x).astype("float64") for x in outputs], kinds


def images(*shape):
    return np.random.default_rng(1).normal(2, 3, shape or (3, 5, 6, 4)).astype("float32")


def compare(ours, theirs, tolerance):
    for mine, expected in zip(ours, theirs, strict=True):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(mine, expected, rtol=0, atol=tolerance * max(scale, 1e-3))


@modes
@pytest.mark.parametrize("case", FUSED, ids=str)
def test_results_are_those_of_keras(case, mode):
    ours, theirs = pair(case)
    mine, kinds = results(ours, mode, images())
    assert "FusedBatchNormV3" in kinds
    assert "SquaredDifference" not in kinds
    compare(mine, results(theirs, mode, images())[0], 1e-5)


@modes
@pytest.mark.parametrize("case", LEFT, ids=str)
def test_other_cases_are_left_to_keras(case, mode):
    ours, theirs = pair(case)
    mine, kinds = results(ours, mode, images())
    assert "FusedBatchNormV3" not in kinds
    compare(mine, results(theirs, mode, images())[0], 0)


@modes
@pytest.mark.parametrize("graph", [True, False])
def test_bfloat16_is_normalised_as_by_keras(mode, graph):
    ours, theirs = pair({"dtype": "mixed_bfloat16"})
    mine, _ = results(ours, mode, images(), graph)
    assert ours(images(), training=False).dtype == "bfloat16"
    compare(mine, results(theirs, mode, images(), graph)[0], 0.02)


def test_rows_without_a_size_are_left_to_keras():
    ours, theirs = pair({}, (None, 4))
    mine, kinds = results(ours, "training", images(6, 4))
    assert "FusedBatchNormV3" not in kinds
    compare(mine, results(theirs, "training", images(6, 4))[0], 0)


def test_a_mask_is_left_to_keras():
    found = []
    for layer in pair({}):
        layer(images(), training=True, mask=np.arange(3 * 5 * 6).reshape(3, 5, 6) % 2 == 0)
        found.append(layer.moving_mean.numpy())
    np.testing.assert_array_equal(*found)


def test_one_pixel_has_no_variance():
    ours, theirs = pair({}, (None, 1, 1, 4))
    one = images(1, 1, 1, 4)
    mine, expected = (results(layer, "training", one)[0] for layer in (ours, theirs))
    assert not mine[1].any()  # the output is beta, whatever the input is
    compare(mine, expected, 1e-5)


def test_a_gpu_is_left_to_keras(monkeypatch):
    layer, _ = pair({})
    assert layer.fuses(keras.KerasTensor((None, 5, 6, 4)), True)
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind: ["gpu:0"])
    assert not layer.fuses(keras.KerasTensor((None, 5, 6, 4)), True)


def test_a_saved_layer_is_of_this_class(tmp_path):
    image = keras.Input((5, 6, 4))
    model = keras.Model(image, BatchNormalization(momentum=0.9)(image))
    model.save(tmp_path / "model.keras")
    layer = keras.saving.load_model(tmp_path / "model.keras").layers[1]
    assert type(layer) is BatchNormalization
    assert layer.momentum == 0.9
