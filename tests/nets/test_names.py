"""Tests of layer names, which are part of the API: in weight files and in `get_layer`."""

import pytest

TAIL = "pool5 flatten fc6 drop6 fc7 drop7 fc8 predictions"
# The order is that of the figure: which nets pool before they normalise, where dropout stands.
COLUMNS = {
    "alexnet": "image conv1_pad conv1 norm1 pool1 conv2 norm2 pool2 conv3 conv4 conv5 " + TAIL,
    "caffenet": "image conv1 pool1 norm1 conv2 pool2 norm2 conv3 conv4 conv5 " + TAIL,
    "alexnet_owt": "image conv1_pad conv1 pool1 conv2 pool2 conv3 conv4 conv5 pool5 flatten "
    "drop6 fc6 drop7 fc7 fc8 predictions",
    "zfnet": "image conv1_pad conv1 pool1 norm1 conv2 pool2 norm2 conv3 conv4 conv5 " + TAIL,
    "zfnet512_onnx": "image conv1 norm1 pool1 conv2 norm2 pool2 conv3 conv4 conv5 " + TAIL,
    "nin": "image conv1 cccp1 cccp2 pool0 conv2 cccp3 cccp4 pool2 conv3 cccp5 cccp6 pool3 drop3 "
    "conv4 cccp7 cccp8 average predictions",
    "nin_cifar10": "image conv1 cccp1 cccp2 pool1 drop1 conv2 cccp3 cccp4 pool2 drop2 "
    "conv3 cccp5 cccp6 average predictions",
    "nin_cifar10[head=dense]": "image conv1 cccp1 cccp2 pool1 drop1 conv2 cccp3 cccp4 pool2 drop2 "
    "conv3 cccp5 cccp6 flatten logits predictions",
    "nin_cifar10[head=dense_dropout]": "image conv1 cccp1 cccp2 pool1 drop1 conv2 cccp3 cccp4 "
    "pool2 drop2 conv3 cccp5 cccp6 flatten drop3 logits predictions",
    "nin_cifar10[layers=linear]": "image conv1 pool1 drop1 conv2 pool2 drop2 conv3 cccp6 average "
    "predictions",
    "vgg11_bn": "image conv1_1 conv1_1_bn conv1_1_relu pool1 conv2_1 conv2_1_bn conv2_1_relu pool2 "
    "conv3_1 conv3_1_bn conv3_1_relu conv3_2 conv3_2_bn conv3_2_relu pool3 "
    "conv4_1 conv4_1_bn conv4_1_relu conv4_2 conv4_2_bn conv4_2_relu pool4 "
    "conv5_1 conv5_1_bn conv5_1_relu conv5_2 conv5_2_bn conv5_2_relu " + TAIL,
    "vgg13_5x5": "image conv1_1 pool1 conv2_1 pool2 conv3_1 pool3 conv4_1 pool4 conv5_1 " + TAIL,
    "vgg19": "image conv1_1 conv1_2 pool1 conv2_1 conv2_2 pool2 "
    "conv3_1 conv3_2 conv3_3 conv3_4 pool3 conv4_1 conv4_2 conv4_3 conv4_4 pool4 "
    "conv5_1 conv5_2 conv5_3 conv5_4 " + TAIL,
    "cnds8": "image conv1_pad conv1 pool1 conv2 pool2 conv3_1 conv3_2 pool3 conv4_1 conv4_2 pool4 "
    "conv5_1 conv5_2 pool5_pad " + TAIL,
}
# What stands in a module, and before the modules, or after them; each convolution of a net with
# batch normalisation has a _bn and a _relu behind it.
MODULES = {
    ("googlenet", "inception_4a"): "1x1 3x3_reduce 3x3 5x5_reduce 5x5 pool pool_proj",
    ("googlenet[module=naive]", "inception_4a"): "1x1 3x3 5x5 pool",
    ("googlenet[module=serial]", "inception_4a"): "3x3_1 3x3_2",
    ("googlenet_bn", "inception_4a"): "1x1 3x3_reduce 3x3 5x5_reduce 5x5 pool pool_proj",
    ("bn_inception", "inception_3a"): "1x1 3x3_reduce 3x3 double_3x3_reduce double_3x3_1 "
    "double_3x3_2 pool pool_proj",
    ("bn_inception", "inception_3c"): "3x3_reduce 3x3 double_3x3_reduce double_3x3_1 "
    "double_3x3_2 pool",
    ("inception_v3", "mixed_5b"): "1x1 5x5_reduce 5x5 double_3x3_reduce double_3x3_1 "
    "double_3x3_2 pool pool_proj",
    ("inception_v3", "mixed_6a"): "3x3 double_3x3_reduce double_3x3_1 double_3x3_2 pool",
    ("inception_v3", "mixed_6b"): "1x1 7x7_reduce 1x7 7x1 double_7x7_reduce double_7x1_1 "
    "double_1x7_1 double_7x1_2 double_1x7_2 pool pool_proj",
    ("inception_v3", "mixed_7a"): "3x3_reduce 3x3 7x7x3_reduce 7x7x3_1x7 7x7x3_7x1 7x7x3_3x3 pool",
    ("inception_v3", "mixed_7b"): "1x1 3x3_reduce 3x3_1x3 3x3_3x1 double_3x3_reduce double_3x3 "
    "double_3x3_1x3 double_3x3_3x1 pool pool_proj",
}
TRUNKS = {
    "googlenet": (
        "conv1_pad conv1 pool1 norm1 conv2_reduce conv2 norm2 pool2 pool3 pool4 average drop",
        "3a 3b 4a 4b 4c 4d 4e 5a 5b",
    ),
    "googlenet_bn": (
        "conv1_pad conv1 conv1_bn conv1_relu pool1 conv2_reduce conv2_reduce_bn conv2_reduce_relu "
        "conv2 conv2_bn conv2_relu pool2 pool3 pool4 average drop",
        "3a 3b 4a 4b 4c 4d 4e 5a 5b",
    ),
    "bn_inception": (
        "conv1_pad conv1 conv1_bn conv1_relu pool1 conv2_reduce conv2_reduce_bn conv2_reduce_relu "
        "conv2 conv2_bn conv2_relu pool2 average",
        "3a 3b 3c 4a 4b 4c 4d 4e 5a 5b",
    ),
    "inception_v3": (
        "conv1a conv1a_bn conv1a_relu conv2a conv2a_bn conv2a_relu conv2b conv2b_bn conv2b_relu "
        "pool3a conv3b conv3b_bn conv3b_relu conv4a conv4a_bn conv4a_relu pool5a average drop",
        "5b 5c 5d 6a 6b 6c 6d 6e 7a 7b 7c",
    ),
}
AUXILIARY = {
    ("googlenet", "aux1"): "pool conv flatten fc drop logits",
    ("googlenet", "aux2"): "pool conv flatten fc drop logits",
    ("googlenet_bn", "aux2"): "pool conv conv_bn conv_relu flatten fc drop logits",
    ("inception_v3", "aux"): "pool conv1 conv1_bn conv1_relu conv2 conv2_bn conv2_relu average "
    "logits",
    ("cnds8", "aux"): "pool conv flatten fc6 drop6 fc7 drop7 logits",
}
UNITS = {
    ("resnet18", "conv2_1"): "conv_1 bn_1 relu_1 conv_2 bn_2 add relu_out",
    ("resnet50", "conv2_1"): "conv_1 bn_1 relu_1 conv_2 bn_2 relu_2 conv_3 bn_3 conv_shortcut "
    "bn_shortcut add relu_out",
    ("resnet50_keras", "conv3_1"): "conv_1 bn_1 relu_1 conv_2 bn_2 relu_2 conv_3 bn_3 "
    "conv_shortcut bn_shortcut add relu_out",
    # The stem's BN and ReLU are those of the first unit.
    ("resnet50_v2", "conv2_1"): "conv_1 bn_2 relu_2 conv_2 bn_3 relu_3 conv_3 conv_shortcut add",
    ("resnet50_v2", "conv2_2"): "bn_1 relu_1 conv_1 bn_2 relu_2 conv_2 bn_3 relu_3 conv_3 add",
    ("resnet50_v2", "conv3_1"): "bn_1 relu_1 conv_1 bn_2 relu_2 conv_2 bn_3 relu_3 conv_3 "
    "conv_shortcut add",
    # Keras' stem has none.
    ("resnet50_v2_keras", "conv2_1"): "bn_1 relu_1 conv_1 bn_2 relu_2 conv_2 bn_3 relu_3 conv_3 "
    "conv_shortcut add",
    ("resnet50_v2_keras", "conv2_3"): "bn_1 relu_1 conv_1 bn_2 relu_2 conv_2 bn_3 relu_3 conv_3 "
    "add",
    ("resnet20_cifar[shortcut=exclusive_gating]", "conv3_1"): "conv_1 bn_1 relu_1 conv_2 bn_2 gate "
    "gate_closed shortcut_scaled residual_scaled add relu_out",
    ("resnet20_cifar[shortcut=constant_0.5]", "conv3_1"): "conv_1 bn_1 relu_1 conv_2 bn_2 "
    "shortcut_scaled add relu_out",
}
STEM = "image conv1_pad conv1 conv1_bn conv1_relu "
AROUND_UNITS = {
    "resnet50": (STEM + "pool1", "average logits predictions"),
    "resnet50_v1_5": (STEM + "pool1_pad pool1", "average logits predictions"),
    "resnet50_keras": (STEM + "pool1_pad pool1", "average logits predictions"),
    "resnet50_v2": (STEM + "pool1_pad pool1", "last_bn last_relu average logits predictions"),
    "resnet50_v2_keras": (
        "image conv1_pad conv1 pool1_pad pool1",
        "last_bn last_relu average logits predictions",
    ),
}


def names(found):
    """All layers in their order: `sizes` of what is counted of a net has one of each."""
    return list(found.sizes)


@pytest.mark.parametrize("name", COLUMNS)
def test_names_of_a_column(name, facts):
    assert names(facts(name)) == COLUMNS[name].split()


@pytest.mark.parametrize(("name", "module"), MODULES)
def test_names_in_a_module(name, module, facts):
    cells = MODULES[name, module].split()
    expected = {f"{module}_{cell}" for cell in cells}
    if "_" in name:  # with batch normalisation
        convolutions = [cell for cell in cells if cell != "pool"]
        expected |= {f"{module}_{cell}_{end}" for cell in convolutions for end in ("bn", "relu")}
    found = {layer for layer in names(facts(name)) if layer.startswith(f"{module}_")}
    assert {layer for layer in found if not layer.endswith("_pad")} == expected


@pytest.mark.parametrize("name", TRUNKS)
def test_names_around_the_modules(name, facts):
    trunk, rows = TRUNKS[name]
    prefix = "mixed" if name == "inception_v3" else "inception"
    modules = [f"{prefix}_{row}" for row in rows.split()]
    found = names(facts(name))
    assert [layer for layer in found if layer in modules] == modules
    rest = [layer for layer in found if not layer.startswith(prefix)]
    assert rest == ["image", *trunk.split(), "logits", "predictions"]


@pytest.mark.parametrize(("name", "head"), AUXILIARY)
def test_names_of_auxiliary_classifiers(name, head, facts):
    found = [layer for layer in names(facts(name, auxiliary=True)) if layer.startswith(head)]
    assert found == [*(f"{head}_{layer}" for layer in AUXILIARY[name, head].split()), head]


@pytest.mark.parametrize(("name", "unit"), UNITS)
def test_names_in_a_unit(name, unit, facts):
    inner = {layer for layer in facts(name).inside[unit] if not layer.endswith("_pad")}
    assert inner == set(UNITS[name, unit].split())


@pytest.mark.parametrize("name", AROUND_UNITS)
def test_names_around_the_units(name, facts):
    units = [
        f"conv{stage}_{number}"
        for stage, count in ((2, 3), (3, 4), (4, 6), (5, 3))
        for number in range(1, count + 1)
    ]
    before, after = AROUND_UNITS[name]
    assert names(facts(name)) == [*before.split(), *units, *after.split()]


def test_full_preactivation_ends_in_one_more_activation(facts):
    """arXiv:1603.05027, appendix."""
    found = facts("resnet20_cifar", order="full_preact")
    assert names(found)[-5:] == ["last_bn", "last_relu", "average", "logits", "predictions"]
    assert found.inside["conv2_1"][0] == "conv_1"  # behind the stem's BN and ReLU
    assert names(facts("resnet20_v2_cifar")) == names(found)
    assert facts("resnet20_v2_cifar").inside == found.inside
