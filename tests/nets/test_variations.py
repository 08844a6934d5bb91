"""Tests of the parameters of every variation: computed from the papers' tables."""

from itertools import pairwise

import pytest
from sums import (
    NIN,
    NIN_DENSE,
    NIN_LINEAR,
    VGG11_HALF,
    VGG_A,
    VGG_FILTERS,
    cnds8,
    googlenet,
    head,
    nin,
    three_by_three,
)

from keras_ilsvrc import available, info
from keras_ilsvrc.nets.resnet_facts import ORDERS
from keras_ilsvrc.nets.variations import Choice

# fmt: off
ALEXNET = 60_965_224
RESNET18, PLAIN18, RESNET20 = 11_689_512, 11_515_688, 269_722
# What multiplies option A in arXiv:1603.05027, table 1, without a gate.
SCALED = ("constant_0.5", "constant_0.5_0.5", "dropout")
GATED = ("exclusive_gating", "shortcut_gating")

# Half of 96, 256, 384, 384, 256 maps and of 4096 units; kernels of two towers see half the maps.
ALEXNET_HALF = (
    (11 * 11 * 3 * 48 + 48)
    + (5 * 5 * 24 * 128 + 128)
    + (3 * 3 * 128 * 192 + 192)
    + (3 * 3 * 96 * 192 + 192)
    + (3 * 3 * 96 * 128 + 128)
    + (6 * 6 * 128 * 2048 + 2048)
    + (2048 * 2048 + 2048)
    + (2048 * 1000 + 1000)
)
# 224 by 7/2 is 110, pools 54, 26, 12: fewer weights in conv1, four times as many in fc6.
ALEXNET_CONV1 = (
    ALEXNET
    - (11 * 11 * 3 * 96 + 96) + (7 * 7 * 3 * 96 + 96)
    - (6 * 6 * 256 * 4096) + (12 * 12 * 256 * 4096)
)
ZFNET = 62_357_608
# 224 by 11/4 is 54, pools 27, 6, 3: more weights in conv1, a quarter as many in fc6.
ZFNET_CONV1 = ZFNET + (11 * 11 - 7 * 7) * 3 * 96 - (6 * 6 - 3 * 3) * 256 * 4096
# Of 384, 384, 256 maps come 512, 1024, 512; conv4 and conv5 see one tower's half.
ALEXNET_512 = (
    ALEXNET
    - (9 * 256 * 384 + 384) - (9 * 192 * 384 + 384) - (9 * 192 * 256 + 256)
    + (9 * 256 * 512 + 512) + (9 * 256 * 1024 + 1024) + (9 * 512 * 512 + 512)
    + 6 * 6 * (512 - 256) * 4096
)
# The other tower's maps: 48 for conv2, 192 for conv4 and conv5.
ALEXNET_ONE_TOWER = ALEXNET + 5 * 5 * 48 * 256 + 3 * 3 * 192 * 384 + 3 * 3 * 192 * 256
# A bias gives way to gamma and beta in the 128 maps and the 1024 units of two classifiers.
AUXILIARY_BN = 13_378_280 + 2 * (128 + 1024)
CNDS8_AUXILIARY = 63_665_000 + 12_352_781 + 795 * (1024 + 1)

FILTERS_18 = 64 + 4 * (64 + 128 + 256 + 512)
PROJECTED_18 = 128 + 256 + 512
FILTERS_20 = 16 + 6 * (16 + 32 + 64)
# Stem, conv2_x, conv3_x to conv5_x, classifier; a BN has two parameters a map.
PLAIN18_HALF = (
    (7 * 7 * 3 * 32 + 2 * 32)
    + 4 * (9 * 32 * 32 + 2 * 32)
    + sum(9 * (w // 2) * w + 3 * 9 * w * w + 4 * 2 * w for w in (64, 128, 256))
    + (256 * 1000 + 1000)
)
RESNET18_HALF = PLAIN18_HALF + sum((w // 2) * w + 2 * w for w in (64, 128, 256))
RESNET20_HALF = (
    (9 * 3 * 8 + 2 * 8)
    + 6 * (9 * 8 * 8 + 2 * 8)
    + sum(9 * (w // 2) * w + 5 * 9 * w * w + 6 * 2 * w for w in (16, 32))
    + (32 * 10 + 10)
)
RESNET20_C = RESNET20 + (
    3 * (16 * 16 + 2 * 16)
    + (16 * 32 + 2 * 32) + 2 * (32 * 32 + 2 * 32)
    + (32 * 64 + 2 * 64) + 2 * (64 * 64 + 2 * 64)
)
SIX_LAYERS = 2 * sum(9 * w * w + 2 * w for w in (16, 32, 64))  # one unit more in each stage


def gates(units, stages):
    """A 1x1 convolution with bias a unit, from the maps that come in to those that go out."""
    firsts = sum(before * w + w for before, w in pairwise(stages))
    return firsts + sum((units - (k > 0)) * (w * w + w) for k, w in enumerate(stages))


GATES_18, GATES_20 = gates(2, (64, 128, 256, 512)), gates(3, (16, 32, 64))


def bottlenecks(depth, projections=True):
    """arXiv:1603.05027: 9n + 2 layers; BN stands before a layer, the stem's before the first."""
    total, maps = 9 * 3 * 16, 16
    for inner in (16, 32, 64):
        for number in range((depth - 2) // 9):
            total += 2 * maps + maps * inner + 2 * inner + 9 * inner * inner
            total += 2 * inner + inner * 4 * inner
            total += maps * 4 * inner if number == 0 and projections else 0
            maps = 4 * inner
    return total + 2 * maps + maps * 10 + 10


VARIED = [
    ("lenet5_modern", {"activation": "relu"}, 61_706),
    ("lenet5_modern", {"activation": "sigmoid"}, 61_706),
    ("alexnet", {"activation": "tanh"}, ALEXNET),
    ("alexnet", {"activation": "sigmoid"}, ALEXNET),
    ("alexnet", {"pool": "2/2"}, ALEXNET),  # 55, 27, 13, 6: the same sizes
    ("alexnet", {"pool_kind": "average"}, ALEXNET),
    ("alexnet", {"lrn": "tower"}, ALEXNET),
    ("alexnet", {"lrn": "none"}, ALEXNET),
    ("alexnet", {"lrn": "caffe"}, ALEXNET),
    ("alexnet", {"dropout": 0.25}, ALEXNET),
    ("alexnet", {"groups": 1}, 62_378_344),
    ("alexnet", {"groups": 1}, ALEXNET_ONE_TOWER),
    ("alexnet", {"conv1": "7/2"}, ALEXNET_CONV1),
    ("alexnet", {"conv3_5": "512-1024-512"}, ALEXNET_512),
    ("alexnet", {"width": 0.5}, ALEXNET_HALF),
    ("zfnet", {"conv1": "11/4"}, ZFNET_CONV1),
    ("zfnet", {"lrn": False}, ZFNET),
    ("zfnet", {"pool": "2/2"}, ZFNET + (7 * 7 - 6 * 6) * 256 * 4096),
    ("zfnet", {"dropout": 0.25}, ZFNET),
    ("nin_cifar10", {"head": "dense"}, NIN_DENSE),
    ("nin_cifar10", {"head": "dense_dropout"}, NIN_DENSE),
    ("nin_cifar10", {"pool2": "average"}, 966_986),
    ("nin_cifar10", {"layers": "linear"}, nin(*NIN_LINEAR)),
    ("nin_cifar10", {"width": 0.5}, nin(*((kernel, maps // 2) for kernel, maps in NIN))),
    ("vgg11", {"batch_norm": True}, 132_863_336 + 2 * VGG_FILTERS["vgg11"]),
    ("vgg19", {"batch_norm": True}, 143_667_240 + 2 * VGG_FILTERS["vgg19"]),
    ("vgg19_bn", {"batch_norm": False}, 143_667_240),
    ("vgg11", {"activation": "tanh"}, 132_863_336),
    ("vgg11", {"activation": "sigmoid"}, 132_863_336),
    ("vgg11", {"width": 0.5}, VGG11_HALF),
    ("vgg11_bn", {"width": 0.5}, VGG11_HALF + VGG_FILTERS["vgg11"]),
    ("googlenet", {"auxiliary": True}, 13_378_280),
    ("googlenet", {"auxiliary": True, "auxiliary_bn": True}, AUXILIARY_BN),
    ("googlenet", {"lrn": "caffe"}, 6_998_552),
    ("googlenet", {"module": "naive"}, googlenet("naive")),
    ("googlenet", {"module": "serial"}, googlenet("serial")),
    ("googlenet", {"module": "serial", "width": 0.5}, googlenet("serial", part=2)),
    ("googlenet", {"width": 0.5}, googlenet(part=2)),
    ("googlenet", {"width": 0.25}, googlenet(part=4)),
    ("googlenet_bn", {"auxiliary": True}, 13_004_888),
    ("inception_v3", {"auxiliary": True}, 27_161_264),
    ("cnds8", {"auxiliary": True}, CNDS8_AUXILIARY),
    ("cnds8", {"auxiliary": True, "auxiliary_bn": True}, CNDS8_AUXILIARY + 64 + 1024 + 1024),
    ("cnds8", {"width": 0.5}, cnds8(part=2)),
    ("plain18", {"batch_norm": False}, PLAIN18 - 2 * FILTERS_18 + FILTERS_18),
    ("plain18", {"width": 0.5}, PLAIN18_HALF),
    *(("plain18", {"order": order}, PLAIN18) for order in ORDERS),
    ("resnet18", {"shortcut": "A"}, PLAIN18),
    ("resnet18", {"shortcut": "C"}, 12_043_816),
    ("resnet18", {"shortcut": "none"}, PLAIN18),
    *(("resnet18", {"shortcut": scaled}, PLAIN18) for scaled in SCALED),
    *(("resnet18", {"shortcut": gated}, PLAIN18 + GATES_18) for gated in GATED),
    ("resnet18", {"shortcut": "shortcut_gating", "gate_bias": 0.0}, PLAIN18 + GATES_18),
    *(("resnet18", {"order": order}, RESNET18) for order in ORDERS[:4]),
    ("resnet18", {"order": "full_preact"}, RESNET18 - 2 * PROJECTED_18),  # none on projections
    ("resnet18", {"pool1": "half"}, RESNET18),
    ("resnet18", {"batch_norm": False}, RESNET18 - FILTERS_18 - PROJECTED_18),
    ("resnet18", {"width": 0.5}, RESNET18_HALF),
    ("resnet50_v1_5", {"order": "full_preact"}, 25_549_352),
    ("resnet50_v2", {"order": "original"}, 25_557_032),
    ("resnet20_cifar", {"shortcut": "B"}, 272_474),
    ("resnet20_cifar", {"shortcut": "C"}, RESNET20_C),
    ("resnet20_cifar", {"shortcut": "none"}, RESNET20),
    *(("resnet20_cifar", {"shortcut": scaled}, RESNET20) for scaled in SCALED),
    *(("resnet20_cifar", {"shortcut": gated}, RESNET20 + GATES_20) for gated in GATED),
    ("resnet20_cifar", {"shortcut": "exclusive_gating", "gate_bias": 0.0}, RESNET20 + GATES_20),
    *(("resnet20_cifar", {"order": order}, RESNET20) for order in ORDERS),
    ("resnet20_cifar", {"batch_norm": False}, RESNET20 - FILTERS_20),
    ("resnet20_cifar", {"width": 0.5}, RESNET20_HALF),
    ("plain20_cifar", {"width": 0.5}, RESNET20_HALF),
    ("resnet_cifar", {"depth": 8}, RESNET20 - 2 * SIX_LAYERS),
    ("resnet_cifar", {"depth": 26}, RESNET20 + SIX_LAYERS),
    ("resnet_cifar", {"depth": 110}, 1_727_962),
    ("resnet20_v2_cifar", {"order": "original"}, RESNET20),
    ("resnet_v2_cifar", {"depth": 11}, bottlenecks(11)),
    ("resnet_v2_cifar", {"depth": 11, "shortcut": "A"}, bottlenecks(11, projections=False)),
    ("resnet_v2_cifar", {"depth": 29}, bottlenecks(29)),
    ("resnet_v2_cifar", {"depth": 164}, bottlenecks(164)),
    ("resnet_v2_cifar", {"depth": 164}, 1_703_258),
]
# fmt: on


@pytest.mark.parametrize(
    ("name", "variation", "parameters"), VARIED, ids=[f"{n}-{v}" for n, v, _ in VARIED]
)
def test_parameters_of_variations(name, variation, parameters, facts):
    assert facts(name, **variation).parameters == parameters


def test_the_arithmetic_gives_the_published_nets():
    assert googlenet() == 6_998_552
    assert nin(*NIN) == 966_986
    assert three_by_three(VGG_A, 1) + head(7 * 7, 1) == 132_863_336
    assert cnds8() == 63_665_000
    assert bottlenecks(1001) == 10_327_706
    assert RESNET20 + (1202 - 20) // 6 * SIX_LAYERS == 19_421_274


def test_every_value_of_every_variation_is_counted():
    declared = set()
    for name in available():
        row = info(name)
        for key, variation in row.variations.items():
            values = variation.values if isinstance(variation, Choice) else ("a number",)
            declared |= {(row.builder, key, v) for v in values if v != variation.default}
    counted = set()
    for name, given, _ in VARIED:
        row = info(name, **given)
        for key, value in given.items():
            listed = isinstance(row.variations[key], Choice)
            counted.add((row.builder, key, value if listed else "a number"))
    assert declared - counted == set()


# Sets of nets that have as many parameters as each other: another form of the same weights, or
# option A, which adds none to a plain net.
EQUAL = [
    {"alexnet", "caffenet"},
    {"vgg11", "vgg11_lrn"},
    {"inception_v3", "inception_v3_tv"},
    *({f"resnet{depth}", f"resnet{depth}_v1_5"} for depth in (18, 34, 50, 101, 152)),
    *({f"plain{depth}_cifar", f"resnet{depth}_cifar"} for depth in (32, 44)),
    *(
        {f"plain{depth}_cifar", f"resnet{depth}_cifar", f"resnet{depth}_v2_cifar"}
        for depth in (20, 56, 110)
    ),
]


def test_nets_have_equal_counts_where_they_must_and_only_there(paper):
    found = {}
    for name, table in paper.items():
        found.setdefault(table["parameters"], set()).add(name)
    equal = [names for names in found.values() if len(names) > 1]
    assert sorted(map(sorted, equal)) == sorted(map(sorted, EQUAL))


# Only weights count: not what has none, nor what only multiplies or moves them.
KEEPING = [
    ("lenet5_modern", "activation", ("relu", "sigmoid")),
    ("alexnet", "activation", ("tanh", "sigmoid")),
    ("alexnet", "pool", ("2/2",)),
    ("alexnet", "pool_kind", ("average",)),
    ("alexnet", "lrn", ("tower", "none", "caffe")),
    ("vgg11", "activation", ("tanh", "sigmoid")),
    ("nin_cifar10", "pool2", ("average",)),
    ("googlenet", "lrn", ("caffe",)),
    ("resnet18", "pool1", ("half",)),
    ("alexnet", "dropout", (0.25,)),
    ("zfnet", "lrn", (False,)),
    ("zfnet", "dropout", (0.25,)),
    ("plain18", "order", ORDERS),
    ("resnet18", "order", ORDERS[:4]),  # full_preact has no BN on its projections
    ("resnet20_cifar", "order", ORDERS),
    ("resnet20_cifar", "shortcut", ("none", *SCALED)),
    ("resnet20_v2_cifar", "order", ("original",)),
]


def test_variations_keep_the_count_where_they_must_and_only_there():
    keeping = {(name, key, value) for name, key, values in KEEPING for value in values}
    found = {
        (name, key, value)
        for name, given, parameters in VARIED
        if parameters == info(name).parameters
        for key, value in given.items()
    }
    assert found == keeping


@pytest.mark.parametrize("fact", ["parameters", "top1_error", "top5_error", "protocol"])
def test_a_varied_net_has_none_of_the_published_figures(fact):
    assert getattr(info("alexnet"), fact) is not None
    assert getattr(info("alexnet", lrn="none"), fact) is None
