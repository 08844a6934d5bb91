"""Tests of sizes and classes for which a net cannot be built, and of the one-line errors."""

import importlib

import keras
import pytest

from keras_ilsvrc import InputError, available, build, info

slow = pytest.mark.slow
DEPTHS = {"resnet_cifar": 8, "resnet_v2_cifar": 11}
# Nets whose minimum is that of a variation.
NEEDIEST = {"cnds8": {"auxiliary": True}}
# The first net of each form, for every module and minimum.
ALIKE = {}
for net in map(info, available()):
    key, form = (net.builder.split(":")[0], net.minimum), (net.builder, net.arguments.get("form"))
    ALIKE.setdefault(key, {}).setdefault(form, net.name)
FORMS = [name for names in ALIKE.values() for name in names.values()]


def arguments_of(name):
    return {"depth": DEPTHS[name]} if name in DEPTHS else {}


def one_line(arguments, net, **more):
    """What `build` says to them."""
    with pytest.raises(InputError) as raised:
        build(net, **arguments, **more)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    "name",
    [name if name in FORMS else pytest.param(name, marks=slow) for name in available()],
)
def test_every_net_builds_at_its_minimum(name, unallocated):
    row = info(name, **arguments_of(name))
    shape = (row.minimum, row.minimum, row.input_shape[2])
    model = unallocated(name, input_shape=shape, **arguments_of(name))
    assert model.input_shape == (None, *shape)
    assert min(size for layer in model.layers for size in layer.output.shape[1:]) >= 1


@pytest.mark.parametrize("name", available())
def test_one_pixel_less_than_the_minimum_names_it(name):
    row = info(name, **arguments_of(name))
    least, channels = row.minimum, row.input_shape[2]
    for shape in ((least - 1, least, channels), (least, least - 1, channels)):
        message = one_line(arguments_of(name), name, input_shape=shape)
        assert f"at least {least}x{least}" in message


def graph(name, height, width, **arguments):
    """The model that the net's own function, which nothing guards, makes."""
    row = info(name, **arguments_of(name), **arguments)
    module, function = row.builder.split(":")
    builder = getattr(importlib.import_module(f"keras_ilsvrc.nets.{module}"), function)
    with keras.StatelessScope(initialize_variables=False):
        image = keras.Input((height, width, row.input_shape[2]))
        return keras.Model(image, builder(image, row.classes, **row.arguments))


def builds(name, height, width):
    """Whether that model has maps of at least one pixel."""
    try:
        model = graph(name, height, width, **NEEDIEST.get(name, {}))
    except ValueError:
        return False
    return min(size for layer in model.layers for size in layer.output.shape[1:]) >= 1


def is_smallest(name):
    """Whether the minimum of a net is the smallest size that can be built."""
    least = info(name).minimum
    return not builds(name, least - 1, least) and not builds(name, least, least - 1)


@pytest.mark.parametrize(("module", "least"), ALIKE)
def test_minimum_is_the_smallest_size_or_where_borders_are_padded_the_product_of_the_strides(
    module, least, unallocated
):
    names = ALIKE[module, least].values()
    if any(map(is_smallest, names)):
        return
    for name in names:
        for maps in (1, 64):
            shape = (maps * least, maps * least, info(name).input_shape[2])
            options = {"input_shape": shape, "include_top": False, **arguments_of(name)}
            assert unallocated(name, **options).output_shape[1:3] == (maps, maps)


@pytest.mark.parametrize(
    "name",
    [x if n % 3 == 0 else pytest.param(x, marks=slow) for n, x in enumerate(FORMS)],
)
def test_sizes_above_the_minimum_can_be_built(name):
    least, few = info(name).minimum, ("google", "incep", "bn", "resnet", "plain")
    for size in range(least, least + 18, 5 if name.startswith(few) else 1):
        assert builds(name, size, least), size


def any_size():
    """One net of every form with each of its heads."""
    for name in FORMS:
        heads = (("auxiliary", True), ("head", "dense"), ("head", "dense_dropout"))
        yield name, {}
        yield from ((name, {key: x}) for key, x in heads if key in info(name).variations)


@pytest.mark.parametrize(("name", "head"), list(any_size()))
def test_nets_need_a_size_where_a_fully_connected_layer_depends_on_it(name, head):
    row = info(name, **head)
    if not row.needs_size:
        graph(name, None, None, **head)
        return
    with pytest.raises(ValueError, match="None"):
        graph(name, None, None, **head)
    least, channels = row.minimum, row.input_shape[2]
    for shape in ((None, None, channels), (least, None, channels)):
        message = one_line(head, name, input_shape=shape)
        assert "fully connected layers, which need a height and a width" in message


def test_bn_inception_takes_images_of_any_size(unallocated):
    """Of 15 rows Caffe's pool would make 7, its convolutions of stride 2 make 8."""
    for size in (48, 66, 71, 123):
        assert builds("bn_inception", size, 32), size
    model = unallocated("bn_inception", input_shape=(None, None, 3))
    assert model.output_shape == (None, 1000)


# The smallest images whose maps an auxiliary classifier can take.
AUXILIARY = {"googlenet": 79, "googlenet_bn": 79, "inception_v3": 299}


@pytest.mark.parametrize("name", AUXILIARY)
def test_auxiliary_names_the_smallest_image(name, unallocated):
    least = AUXILIARY[name]
    model = unallocated(name, auxiliary=True, input_shape=(least, least, 3))
    assert min(size for layer in model.layers for size in layer.output.shape[1:]) >= 1
    for shape in ((least - 1, least, 3), (least, least - 1, 3)):
        message = one_line({"auxiliary": True, "input_shape": shape}, name)
        assert f"use images of at least {least}x{least}, or leave out auxiliary" in message


@pytest.mark.parametrize(
    ("net", "arguments", "fragments"),
    [
        ("vgg16", {"auxiliary": True}, ["vgg16 has no argument 'auxiliary'"]),
        ("bn_inception", {"auxiliary": True}, ["bn_inception has no argument 'auxiliary'"]),
        ("caffenet", {"groups": 1}, ["caffenet has no argument 'groups'"]),
        ("zfnet", {"form": "b"}, ["zfnet has no argument 'form'"]),
        ("resnet50", {"depth": 101}, ["resnet50 has no argument 'depth'"]),
        ("resnet18", {"shortcuts": "A"}, ["no argument 'shortcuts'", "did you mean 'shortcut'"]),
        ("plain18", {"shortcut": "A"}, ["plain18 has no argument 'shortcut'"]),
        ("plain20_cifar", {"gate_bias": 0}, ["plain20_cifar has no argument 'gate_bias'"]),
        ("googlenet", {"module": "b"}, ["module is 'b'; expected one of reduced, naive, serial"]),
        ("googlenet", {"auxiliary": 1}, ["auxiliary is 1; expected one of False, True"]),
        ("googlenet", {"width": 0}, ["width is 0; expected a number of at least 0.01"]),
        ("nin_cifar10", {"head": "fc"}, ["expected one of average, dense, dense_dropout"]),
        ("vgg16_bn", {"batch_norm": "no"}, ["batch_norm is 'no'; expected one of True, False"]),
        (
            "resnet20_cifar",
            {"shortcut": "D"},
            [
                "shortcut is 'D'; expected one of A, B, C, none, constant_0.5, constant_0.5_0.5",
                ", exclusive_gating, shortcut_gating, dropout",
            ],
        ),
        (
            "resnet50_v2",
            {"order": "v2"},
            ["expected one of full_preact, original, bn_after_add, relu_before_add, relu_preact"],
        ),
        (
            "resnet20_cifar",
            {"gate_bias": -3.0},
            ["gate_bias is -3.0, but shortcut 'A' has no gate", "'exclusive_gating' or"],
        ),
        (
            "resnet20_cifar",
            {"gate_bias": 0, "shortcut": "constant_0.5"},
            ["gate_bias is 0, but shortcut 'constant_0.5' has no gate"],
        ),
        (
            "resnet20_cifar",
            {"gate_bias": -11, "shortcut": "exclusive_gating"},
            ["gate_bias is -11; expected a number of at least -10 and below 0.5"],
        ),
        ("googlenet", {"auxiliary_bn": True}, ["pass auxiliary=True too"]),
        ("cnds8", {"auxiliary_bn": True}, ["pass auxiliary=True too"]),
        ("googlenet", {"auxiliary": True, "include_top": False}, ["auxiliary needs include_top"]),
        ("resnet_cifar", {}, ["depth is missing; pass a whole number of at least 8"]),
        ("resnet_v2_cifar", {}, ["depth is missing; pass a whole number of at least 11"]),
        ("resnet_cifar", {"depth": 21}, ["depth is 21; expected 6n + 2", "example 8, 14 or 20"]),
        ("resnet_cifar", {"depth": 2}, ["depth is 2; expected a whole number of at least 8"]),
        ("resnet_cifar", {"depth": 20.0}, ["depth is 20.0; expected a whole number"]),
        ("resnet_v2_cifar", {"depth": 165}, ["depth is 165; expected 9n + 2", "11, 20 or 29"]),
        ("resnet_v2_cifar", {"depth": 8}, ["depth is 8; expected a whole number of at least 11"]),
        ("cnds8", {"auxiliary": True, "input_shape": (30, 31, 3)}, ["at least 31x31"]),
    ],
)
def test_refusals_say_what_is_allowed_in_one_line(net, arguments, fragments):
    message = one_line(arguments, net)
    for fragment in fragments:
        assert fragment in message
