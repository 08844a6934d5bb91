"""Parameters and sizes of every net, against tests/paper and arithmetic on the papers' tables."""

import functools
import math
from typing import NamedTuple

import keras
import pytest

from keras_ilsvrc import available, build, info
from keras_ilsvrc.layers import ResidualUnit
from keras_ilsvrc.nets.residual_families import ORDERS
from keras_ilsvrc.nets.variations import Choice

PUBLISHED = [name for name in available() if name != "resnet_cifar"]
RESIDUAL = [name for name in PUBLISHED if name.startswith(("plain", "resnet"))]
BY_STAGE = ["alexnet", *available("vgg*"), *RESIDUAL]  # all weight layers one after another


class Facts(NamedTuple):
    parameters: int
    parameters_of: dict[str, int]
    sizes: dict[str, list[int]]
    units: list[int]
    weight_layers: int


def count(weights):
    return sum(math.prod(weight.shape) for weight in weights)


def facts(name, **arguments):
    """What is counted of a net; a variation that says what is published varies nothing."""
    published = {key: value.default for key, value in info(name, **arguments).variations.items()}
    return build_facts(name, **{k: v for k, v in arguments.items() if v != published.get(k)})


@functools.cache
def build_facts(name, **arguments):
    """Built once, and without allocating the weights."""
    with keras.StatelessScope(initialize_variables=False):
        model = build(name, **arguments)
    units = [layer for layer in model.layers if isinstance(layer, ResidualUnit)]
    stages = [unit.name.split("_")[0] for unit in units]
    inner = [layer for unit in units for layer in unit.body.layers]
    return Facts(
        count(model.trainable_weights),
        {layer.name: count(layer.trainable_weights) for layer in model.layers},
        {layer.name: list(layer.output.shape[1:]) for layer in model.layers},
        [stages.count(stage) for stage in dict.fromkeys(stages)],
        sum(
            hasattr(layer, "kernel") and layer.name != "conv_shortcut"
            for layer in [*model.layers, *inner]
        ),
    )


def test_every_net_has_a_table_of_its_paper(paper):
    assert sorted(paper) == sorted(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_trainable_parameters_are_the_papers(name, paper):
    assert facts(name).parameters == paper[name]["parameters"]
    assert info(name).parameters == paper[name]["parameters"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_the_papers(name, paper):
    sizes = paper[name]["sizes"]
    assert {layer: facts(name).sizes[layer] for layer in sizes} == sizes
    assert facts(name).sizes["image"] == paper[name]["input"]


def test_alexnet_has_the_same_sizes_for_crops_of_227(paper):
    sizes = paper["alexnet"]["sizes_227"]
    built = build_facts("alexnet", input_shape=(227, 227, 3))
    assert {layer: built.sizes[layer] for layer in sizes} == sizes
    assert built.parameters == paper["alexnet"]["parameters"]


@pytest.mark.parametrize(
    "name", [name for name in PUBLISHED if name.startswith("vgg") or name.endswith("_cifar")]
)
def test_parameters_round_to_what_the_paper_prints(name, paper):
    printed = paper[name]["millions"]
    digits = len(printed.partition(".")[2])
    assert f"{facts(name).parameters / 1e6:.{digits}f}" == printed


@pytest.mark.parametrize("name", BY_STAGE)
def test_weight_layers_are_the_depth_in_the_name(name, paper):
    assert facts(name).weight_layers == paper[name]["weight_layers"]


@pytest.mark.parametrize("name", RESIDUAL)
def test_units_of_each_stage_are_the_papers(name, paper):
    assert facts(name).units == paper[name]["units"]


def test_alexnet_layer_by_layer(paper):
    counts = paper["alexnet"]["parameters_of"]
    assert {layer: n for layer, n in facts("alexnet").parameters_of.items() if n} == counts


def test_googlenet_module_by_module(paper):
    sums = dict.fromkeys(paper["googlenet"]["parameters_of"], 0)
    for layer, parameters in facts("googlenet", auxiliary=True).parameters_of.items():
        if parameters:
            parts = layer.split("_")
            module = "_".join(parts[:2]) if parts[0] == "inception" else parts[0]
            sums["conv2_reduce" if layer == "conv2_reduce" else module] += parameters
    assert sums == paper["googlenet"]["parameters_of"]


def test_googlenet_with_auxiliary_classifiers(paper):
    table = paper["googlenet"]
    built = facts("googlenet", auxiliary=True)
    assert built.parameters == table["parameters_with_auxiliary"]
    assert built.sizes["aux1_pool"] == [4, 4, 512]  # section 5
    assert built.sizes["aux2_pool"] == [4, 4, 528]
    assert {name: built.sizes[name] for name in table["sizes"]} == table["sizes"]


@pytest.mark.parametrize("option", ["A", "B", "C"])
@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_shortcut_options(name, option, paper):
    assert facts(name, shortcut=option).parameters == paper[name]["shortcut"][option]


@pytest.mark.parametrize("option", ["A", "B"])
@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
def test_shortcut_options_on_cifar(depth, option, paper):
    name = f"resnet{depth}_cifar"
    assert facts(name, shortcut=option).parameters == paper[name]["shortcut"][option]


@pytest.mark.parametrize("name", [name for name in RESIDUAL if name.startswith("plain")])
def test_option_a_adds_no_parameters(name):
    residual = name.replace("plain", "resnet")
    assert facts(name).parameters == facts(residual, shortcut="A").parameters


@pytest.mark.parametrize("order", ORDERS)
def test_orders_of_figure_4_have_the_same_parameters_with_option_a(order):
    assert facts("resnet110_cifar", order=order).parameters == 1_727_962


@pytest.mark.parametrize("name", ["resnet50", "resnet101"])
def test_full_preactivation_is_the_net_of_2016(name, paper):
    assert facts(name, order="full_preact").parameters == paper[name]["full_preact"]


# fmt: off
ALEXNET = 60_965_224
RESNET18, PLAIN18, RESNET20 = 11_689_512, 11_515_688, 269_722

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
# The other tower's maps: 48 for conv2, 192 for conv4 and conv5.
ALEXNET_ONE_TOWER = ALEXNET + 5 * 5 * 48 * 256 + 3 * 3 * 192 * 384 + 3 * 3 * 192 * 256
# Gamma and beta of every filter come, its bias goes.
VGG_FILTERS = {"vgg11": 64 + 128 + 2 * 256 + 4 * 512, "vgg19": 2 * 64 + 2 * 128 + 4 * 256 + 8 * 512}
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

VARIED = [
    ("alexnet", {"activation": "tanh"}, ALEXNET),
    ("alexnet", {"activation": "sigmoid"}, ALEXNET),
    ("alexnet", {"pool": "2/2"}, ALEXNET),  # 55, 27, 13, 6: the same sizes
    ("alexnet", {"pool_kind": "average"}, ALEXNET),
    ("alexnet", {"lrn": "tower"}, ALEXNET),
    ("alexnet", {"lrn": "none"}, ALEXNET),
    ("alexnet", {"dropout": 0.25}, ALEXNET),
    ("alexnet", {"groups": 1}, 62_378_344),
    ("alexnet", {"groups": 1}, ALEXNET_ONE_TOWER),
    ("alexnet", {"conv1": "7/2"}, ALEXNET_CONV1),
    ("alexnet", {"width": 0.5}, ALEXNET_HALF),
    ("vgg11", {"batch_norm": True}, 132_863_336 + 2 * VGG_FILTERS["vgg11"] - VGG_FILTERS["vgg11"]),
    ("vgg19", {"batch_norm": True}, 143_667_240 + 2 * VGG_FILTERS["vgg19"] - VGG_FILTERS["vgg19"]),
    ("googlenet", {"auxiliary": True}, 13_378_280),
    ("plain18", {"batch_norm": False}, PLAIN18 - 2 * FILTERS_18 + FILTERS_18),
    ("plain18", {"width": 0.5}, PLAIN18_HALF),
    *(("plain18", {"order": order}, PLAIN18) for order in ORDERS),
    ("resnet18", {"shortcut": "A"}, PLAIN18),
    ("resnet18", {"shortcut": "C"}, 12_043_816),
    ("resnet18", {"shortcut": "none"}, PLAIN18),
    *(("resnet18", {"order": order}, RESNET18) for order in ORDERS[:4]),
    ("resnet18", {"order": "full_preact"}, RESNET18 - 2 * PROJECTED_18),  # none on projections
    ("resnet18", {"batch_norm": False}, RESNET18 - FILTERS_18 - PROJECTED_18),
    ("resnet18", {"width": 0.5}, RESNET18_HALF),
    ("resnet20_cifar", {"shortcut": "B"}, 272_474),
    ("resnet20_cifar", {"shortcut": "C"}, RESNET20_C),
    ("resnet20_cifar", {"shortcut": "none"}, RESNET20),
    *(("resnet20_cifar", {"order": order}, RESNET20) for order in ORDERS),
    ("resnet20_cifar", {"batch_norm": False}, RESNET20 - FILTERS_20),
    ("resnet20_cifar", {"width": 0.5}, RESNET20_HALF),
    ("plain20_cifar", {"width": 0.5}, RESNET20_HALF),
    ("resnet_cifar", {"depth": 8}, RESNET20 - 2 * SIX_LAYERS),
    ("resnet_cifar", {"depth": 26}, RESNET20 + SIX_LAYERS),
    ("resnet_cifar", {"depth": 110}, 1_727_962),
]
# fmt: on


@pytest.mark.parametrize(
    ("name", "variation", "parameters"), VARIED, ids=[f"{n}-{v}" for n, v, _ in VARIED]
)
def test_parameters_of_variations(name, variation, parameters):
    assert facts(name, **variation).parameters == parameters


def test_every_value_of_every_variation_is_counted():
    declared = set()
    for name in available():
        row = info(name, **({"depth": 20} if name == "resnet_cifar" else {}))
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


@pytest.mark.slow
def test_the_deepest_net_of_table_6():
    assert facts("resnet_cifar", depth=1202).parameters == 19_421_274
