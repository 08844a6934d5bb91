"""In what the published forms of related nets differ: borders, strides, biases, constants."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_ilsvrc import build
from keras_ilsvrc.layers import LocalResponseNormalization
from keras_ilsvrc.layers.graph import leaves

NORMS = {  # momentum and epsilon
    "vgg11_bn": (0.9, 1e-5),
    "googlenet_bn": (0.9, 1e-3),
    "bn_inception": (0.9, 1e-5),
    "inception_v3": (0.99, 1e-3),
    "inception_v3_tv": (0.9, 1e-3),
    "plain18": (0.9, 1e-5),
    "resnet18": (0.9, 1e-5),
    "resnet50_v1_5": (0.9, 1e-5),
    "resnet50_keras": (0.99, 1.001e-5),
    "resnet50_v2": (0.9, 1e-5),
    "resnet50_v2_keras": (0.99, 1.001e-5),
    "resnet20_cifar": (0.9, 1e-5),
    "resnet20_v2_cifar": (0.9, 1e-5),
}
WITHOUT_NORMS = ["alexnet", "caffenet", "alexnet_owt", "zfnet", "nin", "nin_cifar10", "vgg11"]
HEAD = {"drop6": 0.5, "drop7": 0.5}
DROPOUT = {
    "alexnet": HEAD,
    "caffenet": HEAD,
    "alexnet_owt": HEAD,
    "zfnet": HEAD,
    "zfnet512_onnx": HEAD,
    "nin": {"drop3": 0.5},
    "nin_cifar10": {"drop1": 0.5, "drop2": 0.5},
    "nin_cifar10[head=dense_dropout]": {"drop1": 0.5, "drop2": 0.5, "drop3": 0.5},
    "vgg11_bn": HEAD,
    "googlenet": {"drop": 0.4, "aux1_drop": 0.7, "aux2_drop": 0.7},
    "googlenet_bn": {"drop": 0.2, "aux1_drop": 0.7, "aux2_drop": 0.7},
    "bn_inception": {},
    "inception_v3": {"drop": 0.2},  # keeps 0.8
    "inception_v3_tv": {"drop": 0.5},
    "cnds8": {**HEAD, "aux_drop6": 0.5, "aux_drop7": 0.5},
    "resnet50": {},
    "resnet50_v2": {},
}
AUXILIARY = ("googlenet", "googlenet_bn", "inception_v3", "inception_v3_tv", "cnds8")
# n, k, alpha and beta; Caffe divides its alpha of 1e-4 by n.
LRN = {
    "alexnet": (5, 2.0, 1e-4, 0.75),
    "caffenet": (5, 1.0, 1e-4 / 5, 0.75),
    "alexnet_owt": None,
    "zfnet": (5, 2.0, 1e-4, 0.75),
    "zfnet512_onnx": (5, 2.0, 1e-4, 0.75),
    "vgg11_lrn": (5, 2.0, 1e-4, 0.75),
    "vgg11": None,
    "googlenet": (5, 2.0, 1e-4, 0.75),
    "googlenet_bn": None,
    "bn_inception": None,
    "cnds8": None,
}
# Zeros around the image on every side; a net without them begins its windows at the first pixel.
CONV1 = {
    "caffenet": None,
    "alexnet_owt": 2,
    "zfnet": 1,
    "zfnet_512": 1,
    "zfnet512_onnx": None,
    "nin": None,
    "cnds8": 1,
    "googlenet": 3,
    "googlenet_bn": 3,
    "bn_inception": 3,
    "resnet18": 3,
    "resnet50_v2_keras": 3,
}
# Which convolution of a bottleneck has the stride, and in which units of the first two stages.
STRIDES = {
    "resnet50": ("conv_1", ["conv3_1"]),
    "resnet50_v1_5": ("conv_2", ["conv3_1"]),
    "resnet50_keras": ("conv_1", ["conv3_1"]),
    "resnet50_v2": ("conv_2", ["conv3_1"]),
    "resnet50_v2_keras": ("conv_2", ["conv2_3", "conv3_4"]),
    "resnet164_v2_cifar": ("conv_1", ["conv3_1"]),
}


def options(name):
    """With all heads that a net can have."""
    return {"auxiliary": True} if name in AUXILIARY else {}


def image(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def numpy(x):
    return ops.convert_to_numpy(x)


@pytest.mark.parametrize("name", NORMS)
def test_constants_of_batch_norm(name, facts):
    assert facts(name).norms == {NORMS[name]}


@pytest.mark.parametrize("name", WITHOUT_NORMS)
def test_nets_before_batch_norm_have_none(name, facts):
    assert facts(name).norms == set()


@pytest.mark.parametrize("name", DROPOUT)
def test_rates_of_dropout(name, facts):
    assert facts(name, **options(name)).rates == DROPOUT[name]


@pytest.mark.parametrize("name", LRN)
def test_constants_of_lrn(name, unallocated):
    norms = [x for x in unallocated(name).layers if isinstance(x, LocalResponseNormalization)]
    found = {(norm.size, norm.k, norm.alpha, norm.beta) for norm in norms}
    assert found == ({LRN[name]} if LRN[name] else set())
    assert {norm.groups for norm in norms} <= {1}


@pytest.mark.parametrize("name", CONV1)
def test_zeros_around_the_image(name, unallocated):
    before = unallocated(name).get_layer("conv1").input._keras_history.operation
    zeros = CONV1[name]
    if zeros is None:
        assert isinstance(before, layers.InputLayer)
    else:
        assert before.padding == ((zeros, zeros), (zeros, zeros))


@pytest.mark.parametrize("name", STRIDES)
def test_place_of_strides(name, unallocated):
    where, strided = STRIDES[name]
    model = unallocated(name)
    units = [layer for layer in model.layers if layer.name.startswith(("conv2_", "conv3_"))]
    for unit in units:
        inner = {layer.name: layer for layer in unit.body.layers}
        found = {f"conv_{number}": inner[f"conv_{number}"].strides[0] for number in (1, 2, 3)}
        assert [inner[key].kernel_size[0] for key in found] == [1, 3, 1]
        stride = 2 if unit.name in strided else 1
        assert found == {key: stride if key == where else 1 for key in found}
        if name == "resnet50_v2_keras":  # a strided unit drops pixels and has no projection
            assert ("conv_shortcut" in inner) == unit.name.endswith("_1")
            stride = 1
        if "conv_shortcut" in inner:
            assert inner["conv_shortcut"].strides[0] == stride


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
    assert facts(name, **options(name)).biased == biased


def test_torchvisions_vgg_keeps_every_bias(facts):
    assert len(facts("vgg11_bn").biased) == 11


@pytest.mark.parametrize(("name", "maps"), [("nin", "cccp8"), ("nin_cifar10", "cccp6")])
def test_maps_of_the_classes_have_a_relu(name, maps, unallocated):
    """And their average is the logit, straight to the softmax."""
    model = unallocated(name)
    convolutions = [layer for layer in model.layers if hasattr(layer, "kernel")]
    assert {layer.activation.__name__ for layer in convolutions} == {"relu"}
    assert convolutions[-1].name == maps
    assert model.get_layer("average").input is model.get_layer(maps).output


def test_branch_of_cnds_convolves_without_relu():
    size = {"input_shape": (35, 35, 3), "classes": 3}
    model = build("cnds8", auxiliary=True, **size)
    maps = keras.Model(model.input, model.get_layer("aux_conv").output)(image(1, 35, 35, 3))
    assert numpy(maps).min() < 0 < numpy(maps).max()
    assert model.get_layer("aux_pool").input is model.get_layer("conv3_2").output
    weighted = [layer for layer in model.layers if hasattr(layer, "kernel")]
    linear = {layer.name for layer in weighted if layer.activation is keras.activations.linear}
    assert linear == {"aux_conv", "aux_logits", "fc8"}


@pytest.mark.parametrize("size", [64, 66])
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


@pytest.mark.parametrize("shortcut", ["exclusive_gating", "shortcut_gating"])
@pytest.mark.parametrize("gate_bias", [{}, {"gate_bias": -3.0}, {"gate_bias": 0}])
def test_gates_start_at_their_bias(shortcut, gate_bias):
    model = build("resnet_cifar", depth=8, shortcut=shortcut, **gate_bias)
    gates = [layer for layer in leaves(model) if layer.name == "gate"]
    assert len(gates) == 3
    for gate in gates:
        np.testing.assert_array_equal(numpy(gate.bias), gate_bias.get("gate_bias", -6.0))
