"""Tests of the differences between published versions of related nets: borders and biases."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_ilsvrc import build, info
from keras_ilsvrc.layers.graph import leaves


def image(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def numpy(x):
    return ops.convert_to_numpy(x)


@pytest.mark.parametrize(
    ("name", "biased"),
    [
        ("resnet50", {"logits"}),
        ("resnet50_v1_5", {"logits"}),
        ("resnet50_v2", {"logits"}),
        ("resnet50_keras", {"conv1", "conv_1", "conv_2", "conv_3", "conv_shortcut", "logits"}),
        ("resnet50_v2_keras", {"conv1", "conv_3", "conv_shortcut", "logits"}),
        ("bn_inception", {"logits"}),
        ("inception_v3", {"aux_logits", "logits"}),
        ("googlenet_bn", {"aux1_fc", "aux2_fc", "aux1_logits", "aux2_logits", "logits"}),
    ],
)
def test_biases_beside_batch_norm(name, biased, facts):
    heads = {"auxiliary": True} if "auxiliary" in info(name).variations else {}
    assert facts(name, **heads).biased == biased


def test_torchvisions_vgg_keeps_every_bias(facts):
    assert len(facts("vgg11_bn").biased) == 11


@pytest.mark.parametrize("size", [66, pytest.param(64, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("resnet18_v1_5", "conv1_relu"),
        ("resnet50_v2", "conv1_relu"),
        ("resnet50_v2_keras", "conv1"),  # signed: the zeros can win
    ],
)
def test_pool1_is_padded_by_one(name, before, size):
    model = build(name, input_shape=(size, size, 3), width=0.1, include_top=False)
    tensors = [model.get_layer(key).output for key in (before, "pool1")]
    x, result = (numpy(y) for y in keras.Model(model.input, tensors)(image(2, size, size, 3)))
    assert (x.min() < 0) == (before == "conv1")
    zeros = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(zeros, (3, 3), (1, 2))[:, ::2, ::2]
    np.testing.assert_array_equal(result, windows.max((-2, -1)))


@pytest.mark.parametrize("name", ["caffenet", "zfnet", "nin", "cnds8"])
def test_pools_of_caffe_take_a_last_window_that_is_cut(name):
    """Where a size is even, three pixels wide windows of stride 2 do not end at its edge."""
    size = {"caffenet": 71, "zfnet": 52, "nin": 55, "cnds8": 36}[name]
    model = build(name, input_shape=(size, size, 3), include_top=False)
    pools = [layer for layer in model.layers if isinstance(layer, layers.MaxPooling2D)]
    cut = 0
    for pool in pools:
        source = pool.input._keras_history.operation
        source = source.input if isinstance(source, layers.ZeroPadding2D) else pool.input
        maps, kernel = source.shape[1], pool.pool_size[0]
        x = abs(image(1, *source.shape[1:]))
        result = numpy(keras.Model(source, pool.output)(x))
        rows = -(-(maps - kernel) // 2) + 1
        assert result.shape[1:3] == (rows, rows)
        corner = x[:, 2 * (rows - 1) :, 2 * (rows - 1) :].max((1, 2))
        np.testing.assert_array_equal(result[:, -1, -1], corner)
        cut += 2 * (rows - 1) + kernel > maps
    assert cut


@pytest.mark.parametrize(
    ("shortcut", "gate_bias"),
    [
        ("exclusive_gating", {}),
        ("shortcut_gating", {"gate_bias": -3.0}),
        ("exclusive_gating", {"gate_bias": 0}),
    ],
)
def test_gates_start_at_their_bias(shortcut, gate_bias):
    model = build("resnet_cifar", depth=8, shortcut=shortcut, **gate_bias)
    gates = [layer for layer in leaves(model) if layer.name == "gate"]
    assert len(gates) == 3
    for gate in gates:
        np.testing.assert_array_equal(numpy(gate.bias), gate_bias.get("gate_bias", -6.0))
