"""Tests of the parameters and sizes of every net: compared with tests/paper."""

import pytest
from papers import PAPER

from keras_ilsvrc import available, info
from keras_ilsvrc.nets.resnet_facts import ORDERS

PUBLISHED = [name for name in available() if info(name).parameters]
# Building one of these takes ten seconds; the same rules at 110 and 164 layers are always tested.
DEEPEST = ["resnet1202_cifar", "resnet1001_v2_cifar"]
BUILT = [name for name in PUBLISHED if name not in DEEPEST]
WITH_AUXILIARY = [name for name in BUILT if "auxiliary" in info(name).variations]


def each_net_with(key):
    """Run a test for every net whose table in tests/paper has a key."""
    return pytest.mark.parametrize("name", [x for x in BUILT if key in PAPER.get(x, {})])


def test_every_net_has_a_table_of_its_paper_with_its_depth_or_its_layers(paper):
    assert sorted(paper) == sorted(PUBLISHED)
    for name, table in paper.items():
        assert {"weight_layers", "parameters_of"} & set(table), name


@pytest.mark.parametrize("name", BUILT)
def test_trainable_parameters_are_the_papers(name, facts, paper):
    assert facts(name).parameters == paper[name]["parameters"]


def test_the_registry_says_the_papers_parameters(paper):
    told = {name: info(name).parameters for name in PUBLISHED}
    assert told == {name: table["parameters"] for name, table in paper.items()}


@pytest.mark.parametrize("name", BUILT)
def test_sizes_are_the_papers(name, facts, paper):
    sizes, found = paper[name]["sizes"], facts(name).sizes
    assert {layer: found[layer] for layer in sizes} == sizes
    assert found["image"] == paper[name]["input"]


def test_alexnet_has_the_same_sizes_for_crops_of_227(facts, paper):
    sizes = paper["alexnet"]["sizes_227"]
    built = facts("alexnet", input_shape=(227, 227, 3))
    assert {layer: built.sizes[layer] for layer in sizes} == sizes
    assert built.parameters == paper["alexnet"]["parameters"]


@each_net_with("millions")
def test_parameters_round_to_what_the_paper_prints(name, facts, paper):
    printed = paper[name]["millions"]
    digits = len(printed.partition(".")[2])
    assert f"{facts(name).parameters / 1e6:.{digits}f}" == printed


@each_net_with("weight_layers")
def test_weight_layers_are_the_depth_in_the_name(name, facts, paper):
    assert facts(name).weight_layers == paper[name]["weight_layers"]


@each_net_with("units")
def test_units_of_each_stage_are_the_papers(name, facts, paper):
    assert facts(name).units == paper[name]["units"]


@pytest.mark.slow
@pytest.mark.parametrize("name", DEEPEST)
def test_net_of_a_thousand_layers_is_the_papers(name, facts, paper):
    for test in (
        test_trainable_parameters_are_the_papers,
        test_sizes_are_the_papers,
        test_weight_layers_are_the_depth_in_the_name,
        test_units_of_each_stage_are_the_papers,
    ):
        test(name, facts, paper)
    if "millions" in paper[name]:
        test_parameters_round_to_what_the_paper_prints(name, facts, paper)
    else:  # the paper counts kernels only
        assert facts(name).kernels == paper[name]["kernels_of_convolutions"]


@each_net_with("parameters_of")
def test_parameters_of_every_layer_or_module(name, facts, paper):
    expected = paper[name]["parameters_of"]
    auxiliary = {"auxiliary": True} if any(key.startswith("aux") for key in expected) else {}
    sums = dict.fromkeys(expected, 0)
    for layer, parameters in facts(name, **auxiliary).parameters_of.items():
        if parameters:  # conv2_reduce_bn is of conv2_reduce, not of conv2
            keys = [key for key in expected if f"{layer}_".startswith(f"{key}_")]
            sums[max(keys, key=len)] += parameters
    assert sums == expected


@pytest.mark.parametrize("name", WITH_AUXILIARY)
def test_auxiliary_classifiers_add_their_parameters_and_change_no_size(name, facts, paper):
    table, built = paper[name], facts(name, auxiliary=True)
    assert built.parameters == table["parameters_with_auxiliary"]
    assert {layer: built.sizes[layer] for layer in table["sizes"]} == table["sizes"]
    of_branch = table.get("sizes_of_auxiliary", {})
    if name.startswith("googlenet"):  # section 5 of the paper
        of_branch = {"aux1_pool": [4, 4, 512], "aux2_pool": [4, 4, 528], "aux1_fc": [1024]}
    assert {layer: built.sizes[layer] for layer in of_branch} == of_branch


def test_branch_of_cnds_for_the_classes_of_places(facts, paper):
    main = facts("cnds8", classes=205).parameters
    assert main == paper["cnds8"]["parameters_of_places"]
    both = facts("cnds8", classes=205, auxiliary=True).parameters
    assert both - main == paper["cnds8"]["parameters_of_branch_of_places"]


def test_inception_v3_without_gamma_is_the_released_tensorflow_net(facts, paper):
    found = facts("inception_v3")
    assert found.parameters - found.gammas == paper["inception_v3"]["without_gamma"]


@pytest.mark.parametrize("option", ["A", "B", "C"])
@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_shortcut_options(name, option, facts, paper):
    assert facts(name, shortcut=option).parameters == paper[name]["shortcut"][option]


@pytest.mark.parametrize("option", ["A", "B"])
@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
def test_shortcut_options_on_cifar(depth, option, facts, paper):
    name = f"resnet{depth}_cifar"
    assert facts(name, shortcut=option).parameters == paper[name]["shortcut"][option]


@pytest.mark.parametrize("name", available("plain*"))
def test_option_a_adds_no_parameters(name, facts):
    residual = name.replace("plain", "resnet")
    assert facts(name).parameters == facts(residual, shortcut="A").parameters


@pytest.mark.slow  # test_variations counts them at 20 layers
@pytest.mark.parametrize("order", ORDERS)
def test_orders_of_figure_4_have_the_same_parameters_with_option_a(order, facts):
    assert facts("resnet110_cifar", order=order).parameters == 1_727_962


SLOW_ORDERS = ("bn_after_add", "relu_before_add", "relu_preact")


@pytest.mark.parametrize(
    "order", [pytest.param(x, marks=[pytest.mark.slow] * (x in SLOW_ORDERS)) for x in ORDERS]
)
def test_full_preactivation_lacks_the_bn_of_projections(order, facts, paper):
    """Gamma and beta of 64, 128 and 256 maps."""
    table = paper["resnet164_v2_cifar"]
    expected = table["parameters" if order == "full_preact" else "other_orders"]
    assert facts("resnet164_v2_cifar", order=order).parameters == expected
    assert table["other_orders"] - table["parameters"] == 2 * (64 + 128 + 256)


@pytest.mark.slow
def test_full_preactivation_lacks_the_bn_of_projections_at_1001_layers(facts, paper):
    table = paper["resnet1001_v2_cifar"]
    assert facts("resnet1001_v2_cifar", order="original").parameters == table["other_orders"]
    assert facts("resnet1001_v2_cifar").parameters == table["parameters"]
    assert table["other_orders"] - table["parameters"] == 2 * (64 + 128 + 256)


def test_a_hundred_classes_are_a_wider_linear_layer(facts, paper):
    """CIFAR-100 in table 4 of arXiv:1603.05027."""
    table = paper["resnet164_v2_cifar"]
    found = facts("resnet164_v2_cifar", classes=100).parameters
    assert found == table["parameters_of_100_classes"]
    deepest = paper["resnet1001_v2_cifar"]
    assert deepest["parameters_of_100_classes"] - deepest["parameters"] == 90 * (256 + 1)


@pytest.mark.parametrize("name", ["resnet50", "resnet101"])
def test_full_preactivation_is_the_net_of_2016(name, facts, paper):
    assert facts(name, order="full_preact").parameters == paper[name]["full_preact"]
    assert paper[name]["full_preact"] == paper[f"{name}_v2"]["parameters"]


@pytest.mark.slow
def test_the_deepest_net_of_table_6(facts):
    assert facts("resnet_cifar", depth=1202).parameters == 19_421_274


def longest_path(model, counted):
    """How many of the counted layers stand one behind another."""
    depths = {}
    for layer in model.layers:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        above = [depths.get(tensor._keras_history.operation, 0) for tensor in inputs]
        depths[layer] = max(above, default=0) + counted(layer)
    return max(depths.values())


@pytest.mark.parametrize(
    ("name", "deep"),
    [
        ("googlenet", 22),
        ("googlenet_bn", 22),
        ("bn_inception", 22 + 9 + 3),  # one more layer in nine modules, and a tenth module
    ],
)
def test_inceptions_are_as_deep_as_the_paper_says(name, deep, unallocated):
    model = unallocated(name)
    assert longest_path(model, lambda layer: hasattr(layer, "kernel")) == deep
    pools = ("pool1", "pool2", "pool3", "pool4", "average")
    seen = longest_path(model, lambda layer: hasattr(layer, "kernel") or layer.name in pools)
    assert seen == deep + sum(name in pools for name in (layer.name for layer in model.layers))
