"""Tests of the claims of the lecture that need no training: each is computed with `account`."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_ilsvrc.accounting import account
from keras_ilsvrc.layers import GroupedConv2D


def made(graph, shape):
    """The account of a function of an image."""
    image = keras.Input(shape)
    with keras.StatelessScope(initialize_variables=False):
        model = keras.Model(image, graph(image))
    return account(model)


def convolutions(kernel, number, maps=8, size=32):
    """So many convolutions of one width one after another."""

    def graph(x):
        for _ in range(number):
            x = layers.Conv2D(maps, kernel, padding="same", use_bias=False)(x)
        return x

    return made(graph, (size, size, maps))


def part(rows, prefix, number="macs"):
    return sum(getattr(row, number) for row in rows.rows if row.name.startswith(prefix))


def weighted(rows):
    return [row for row in rows.rows if row.units]


def test_e1_conv1_of_alexnet_has_290400_neurons_and_a_hundred_million_connections(told):
    row = told("alexnet").row("conv1")
    assert (row.size, row.units) == ((55, 55, 96), 290_400)
    assert row.parameters == 96 * 364 == 34_944
    assert (row.macs, row.connections) == (105_415_200, 105_705_600)


def test_e2_alexnet_has_650_thousand_neurons_and_60_million_parameters(told):
    rows = told("alexnet")
    assert (rows.units, rows.parameters) == (659_272, 60_965_224)


def test_e2_alexnet_as_published_has_724_million_connections_not_630(told):
    assert told("alexnet").macs == 724_406_816


def before_alexnet(image):
    """computerhistory/AlexNet-Source-Code, layers/layers-120.cfg: conv2 sees the image too.

    LRN is left out, and an average stands for the blur of 9x9 with fixed weights: neither counts.
    """
    options = {"padding": "same", "activation": "relu"}
    small = layers.AveragePooling2D(9, 1, "same", name="blur0")(image)[:, ::4, ::4]
    small = layers.ZeroPadding2D(((0, 1), (0, 1)))(small)
    x = layers.ZeroPadding2D(((0, 3), (0, 3)))(image)
    x = layers.MaxPooling2D(3, 2)(layers.Conv2D(64, 11, 4, name="conv1")(x))
    from_image = layers.Conv2D(256, 5, 2, use_bias=False, name="conv2_image")(small)
    x = layers.Add()([GroupedConv2D(256, 5, padding="same", groups=2, name="conv2")(x), from_image])
    x = layers.MaxPooling2D(3, 2)(x)
    x = layers.Conv2D(384, 3, **options)(x)
    x = GroupedConv2D(384, 3, groups=2, **options)(x)
    x = layers.MaxPooling2D(3, 2)(GroupedConv2D(256, 3, groups=2, **options)(x))
    x = layers.Dense(4096)(layers.Flatten()(x))
    return layers.Dense(1000)(layers.Dense(4096)(x))


def test_e2_the_630_million_are_of_the_net_with_64_maps_before_it():
    rows = made(before_alexnet, (224, 224, 3))
    assert rows.macs == 628_615_616
    assert rows.parameters == 60_870_376
    assert rows.row("conv2_image").size == (27, 27, 256)
    # One sum of two convolutions is one neuron.
    assert rows.units - rows.row("conv2_image").units == 562_472


def test_e3_windows_of_conv1_are_4_apart_and_the_55th_ends_at_227(told):
    row = told("alexnet").row("conv1")
    assert (row.start[0] + 1, row.start[0] + row.field[0]) == (1, 11)  # counted from 1
    assert row.stride == (4, 4)
    assert row.start[0] + 54 * row.stride[0] + row.field[0] == 227
    assert row.size[0] == 55


def test_e4_the_first_window_of_zfnet_is_7x7_and_its_stride_is_2(told):
    row = told("zfnet").row("conv1")
    assert (row.field, row.stride, row.size) == ((7, 7), (2, 2), (110, 110, 96))
    seen = row.start[0] + 109 * row.stride[0] + row.field[0]
    assert (row.start[0], seen) == (-1, 224)  # 224 fits: one row of padding is before it


def test_e5_twice_the_filters_cost_four_times_the_operations(told):
    once, twice = told("alexnet"), told("alexnet", width=2.0)
    inner = ["conv2", "conv3", "conv4", "conv5", "fc6", "fc7"]
    assert {twice.row(name).macs / once.row(name).macs for name in inner} == {4}
    ends = ["conv1", "fc8"]  # images keep their maps, and so do the classes
    assert {twice.row(name).macs / once.row(name).macs for name in ends} == {2}


@pytest.mark.parametrize(("number", "kernel", "saved"), [(2, 5, 28), (3, 7, 45)])
def test_e6_stacked_3x3_see_what_a_large_kernel_sees_with_fewer_weights(number, kernel, saved):
    stacked, large = convolutions(3, number), convolutions(kernel, 1)
    assert stacked.rows[-1].field == large.rows[-1].field == (kernel, kernel)
    assert (stacked.parameters, large.parameters) == (number * 9 * 8 * 8, kernel**2 * 8 * 8)
    assert round(100 * (1 - stacked.parameters / large.parameters)) == saved
    assert stacked.macs / large.macs == stacked.parameters / large.parameters


@pytest.mark.parametrize(("n", "saved"), [(3, 33), (7, 71)])
def test_e7_a_row_and_a_column_see_a_square_with_2n_of_its_n_squared_weights(n, saved):
    def row_and_column(x):
        x = layers.Conv2D(8, (1, n), padding="same", use_bias=False)(x)
        return layers.Conv2D(8, (n, 1), padding="same", use_bias=False)(x)

    two, square = made(row_and_column, (32, 32, 8)), convolutions(n, 1)
    assert two.rows[-1].field == square.rows[-1].field == (n, n)
    assert (two.parameters, square.parameters) == (2 * n * 64, n * n * 64)
    assert round(100 * (1 - two.macs / square.macs)) == saved


def perceptron(*stack):
    x = image = keras.Input((6, 5, 8))
    for layer in stack:
        x = layer(x)
    return keras.Model(image, x)


def test_e8_a_1x1_convolution_is_a_dense_layer_at_every_pixel_and_mlpconv_a_small_mlp():
    swept = perceptron(layers.Conv2D(7, 1, activation="relu"), layers.Conv2D(3, 1))
    dense = perceptron(layers.Dense(7, activation="relu"), layers.Dense(3))
    for ours, theirs in zip(swept.weights, dense.weights):
        theirs.assign(ops.reshape(ours, theirs.shape))
    image = np.random.default_rng(0).normal(size=(2, 6, 5, 8)).astype("float32")
    difference = abs(ops.convert_to_numpy(swept(image)) - ops.convert_to_numpy(dense(image)))
    assert difference.max() < 1e-6
    numbers = [(row.units, row.macs, row.field) for row in account(swept).rows]
    assert numbers == [(row.units, row.macs, row.field) for row in account(dense).rows]
    assert account(swept).rows[-1].field == (1, 1)


def test_e9_reductions_make_the_wide_branches_affordable_and_more_so_with_depth(told):
    naive, reduced = told("googlenet", module="naive"), told("googlenet")
    assert part(naive, "inception_3a") == 303_464_448
    assert part(reduced, "inception_3a") == 128_049_152
    ratios = [part(naive, f"inception_{m}") / part(reduced, f"inception_{m}") for m in MODULES]
    assert ratios[0] == min(ratios)
    assert ratios[0] < ratios[MODULES.index("4a")] < ratios[MODULES.index("5a")]


MODULES = ["3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]


def test_e10_googlenet_has_nine_modules_and_22_weighted_layers(told):
    rows = told("googlenet")
    modules = [row.name for row in rows.rows if row.kind == "Concatenate"]
    assert modules == [f"inception_{module}" for module in MODULES]
    # The longest way: reduction and convolution in each module, and what is not in a module.
    outside = [row for row in weighted(rows) if not row.name.startswith("inception")]
    longest = {f"inception_{module}_{step}" for module in MODULES for step in ("3x3_reduce", "3x3")}
    assert longest <= {row.name for row in weighted(rows)}
    assert len(outside) + len(longest) == 22


@pytest.mark.parametrize("module", MODULES)
def test_e10_5x5_gets_fewer_maps_than_3x3_since_a_map_costs_more(module, told):
    three, five = (told("googlenet").row(f"inception_{module}_{side}") for side in ("3x3", "5x5"))
    assert five.size[-1] < three.size[-1]
    sources = [
        told("googlenet").row(f"inception_{module}_{side}_reduce") for side in ("3x3", "5x5")
    ]
    by_map = [
        row.macs / row.size[-1] / source.size[-1] for row, source in zip((three, five), sources)
    ]
    assert by_map[1] / by_map[0] == 25 / 9


def test_e11_googlenet_has_an_eighth_of_the_parameters_of_alexnet_not_a_twelfth(told):
    alexnet, googlenet = told("alexnet"), told("googlenet")
    assert round(alexnet.parameters / googlenet.parameters, 2) == 8.71
    without = googlenet.parameters - googlenet.row("logits").parameters
    assert round(alexnet.parameters / without, 1) == 10.2


def test_e12_to_convolve_and_then_pool_costs_four_times_to_pool_and_then_convolve():
    def convolution(x):
        return layers.Conv2D(16, 3, padding="same")(x)

    pool = layers.MaxPooling2D(2)
    first = made(lambda x: pool(convolution(x)), (36, 36, 8))
    last = made(lambda x: convolution(pool(x)), (36, 36, 8))
    assert first.rows[-1].size == last.rows[-1].size == (18, 18, 16)
    assert first.macs == 4 * last.macs


def test_e13_fc6_holds_most_of_the_parameters_of_vgg(told):
    vgg16 = told("vgg16")
    assert (vgg16.row("fc6").parameters, vgg16.parameters) == (102_764_544, 138_357_544)
    assert vgg16.row("fc6").parameters > 0.74 * vgg16.parameters


def test_e13_depth_changes_the_parameters_of_vgg_little(told):
    shallow, deep = told("vgg11"), told("vgg19")
    assert deep.parameters < 1.09 * shallow.parameters
    assert deep.macs > 2.5 * shallow.macs


def test_e14_identity_shortcuts_and_option_a_add_no_parameters(told):
    plain, option_a = told("plain34"), told("resnet34", shortcut="A")
    assert (plain.parameters, plain.macs) == (option_a.parameters, option_a.macs)
    units = told("resnet34"), told("plain34")  # option B, where nothing changes
    assert {unit.row("conv3_2").parameters for unit in units} == {2 * 9 * 128**2 + 4 * 128}


def test_e15_a_bottleneck_at_256_costs_what_two_3x3_at_64_cost(told):
    bottleneck, basic = told("resnet50").row("conv2_2"), told("resnet34").row("conv2_2")
    assert (bottleneck.size[-1], basic.size[-1]) == (256, 64)
    assert bottleneck.macs == 56 * 56 * (256 * 64 + 9 * 64 * 64 + 64 * 256) == 218_365_952
    assert basic.macs == 56 * 56 * 2 * 9 * 64 * 64 == 231_211_008
    assert 0.94 < bottleneck.macs / basic.macs < 1


def test_e16_resnet152_is_deeper_than_vgg19_and_cheaper(told):
    resnet, vgg = told("resnet152", opened=True), told("vgg19")
    on_the_way = [row for row in weighted(resnet) if "shortcut" not in row.name]
    assert (len(on_the_way), len(weighted(vgg))) == (152, 19)
    assert [round(rows.macs / 1e9, 1) for rows in (resnet, vgg)] == [11.3, 19.6]


def test_e17_global_average_pooling_saves_the_parameters_of_the_head(told):
    nin, alexnet = told("nin"), told("alexnet")
    average = [row for row in nin.rows if row.kind == "GlobalAveragePooling2D"]
    assert [row.parameters for row in average] == [0]
    assert not [row for row in nin.rows if row.kind == "Dense"]
    head = sum(alexnet.row(name).parameters for name in ("fc6", "fc7", "fc8"))
    assert head == 58_631_144
    assert head > 0.96 * alexnet.parameters
    assert nin.parameters == 7_595_176 < alexnet.parameters - head + 6_000_000


def test_e18_half_of_alexnet_at_128_images_fits_into_3_gb(told):
    rows = told("alexnet")
    weights = 3 * 4 * rows.parameters  # themselves, their momentum and their gradients
    outputs = 2 * 128 * rows.memory  # themselves and their gradients
    assert (weights + outputs) / 2 < 3e9
    # So would the whole, were it not for what the convolutions need to compute.
    assert 2e9 < weights + outputs < 3e9
