"""Tests of drawings: which blocks and links they show, and that texts are legible."""

import re
import sys
from itertools import combinations

import keras
import pytest
from keras import layers

from keras_ilsvrc import InputError, available, build
from keras_ilsvrc.visualize import draw_model
from keras_ilsvrc.visualize.drawing.groups import fold_runs
from keras_ilsvrc.visualize.drawing.level import Level
from keras_ilsvrc.visualize.drawing.picture import small_text, width_of
from keras_ilsvrc.visualize.drawing.reading import blocks_of

QUICK = ("lenet5", "alexnet", "nin", "vgg16", "googlenet", "resnet18", "plain20_cifar")
DEEP = {name: {"depth": 20} for name in ("resnet_cifar", "plain_cifar", "resnet_v2_cifar")}


def net(name, **options):
    with keras.StatelessScope(initialize_variables=False):
        return build(name, **options)


def drawn(model, path, **options):
    """The texts of a drawing, read from the SVG file."""
    draw_model(model, path, **options)
    return re.findall(r">([^<>]+)</text>", path.read_text())


def picture(model, opened=False):
    blocks = fold_runs(blocks_of(model), opened)
    return Level(blocks, width_of(blocks, opened), opened).made


def overlapping(made):
    """The pairs of boxes that overlap, but for frames of open modules."""
    boxes = [box for box in made.boxes if not box.framed]
    return [
        (a.block.name, b.block.name)
        for a, b in combinations(boxes, 2)
        if abs(a.x - b.x) < (a.width + b.width) / 2 - 0.01
        and a.y + 0.01 < b.y + b.height
        and b.y + 0.01 < a.y + a.height
    ]


@pytest.fixture
def two_outputs():
    """A user's own model with two inputs, a nested model, a module by prefix and two outputs."""
    image, more = keras.Input((16, 16, 3), name="image"), keras.Input((4,), name="more")
    inner = keras.Input((16, 16, 3))
    nested = layers.Conv2D(8, 3, padding="same", name="inner_2")(
        layers.Conv2D(8, 3, padding="same", activation="relu", name="inner_1")(inner)
    )
    x = keras.Model(inner, nested, name="body")(image)
    wide = layers.Conv2D(4, 3, padding="same", name="block_3x3")(x)
    x = layers.Concatenate(name="block_out")([wide, layers.Conv2D(4, 1, name="block_1x1")(x)])
    x = layers.GlobalMaxPooling2D(name="top")(x)
    both = layers.Concatenate(name="join")([x, more])
    first = layers.Dense(3, activation="softmax", name="first")(both)
    return keras.Model([image, more], [first, layers.Dense(2, name="second")(x)], name="$own$")


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=[pytest.mark.slow] * (x not in QUICK)) for x in available()]
)
def test_every_net_is_drawn_with_the_names_of_its_layers(name, tmp_path):
    model = net(name, **DEEP.get(name, {}))
    for opened in (False, True):
        made = picture(model, opened)
        assert not overlapping(made)
        texts = drawn(model, tmp_path / "net.svg", opened=opened)
        shown = {small_text(box.block, box.within) for box in made.boxes if box.block.kind != "add"}
        assert len(shown) > 5
        frames = {box.block.name for box in made.boxes if box.framed}
        assert {x for x in shown if x.split("  ")[0] not in frames} <= set(texts) | frames
    volumes = " ".join(drawn(model, tmp_path / "net.svg", volumes=True))
    assert all(x.name in volumes for x in model.layers[-2:] if x.weights)


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_pictures_have_the_format_of_their_suffix(suffix, tmp_path):
    path = tmp_path / f"net.{suffix}"
    draw_model(net("lenet5"), path)
    assert path.read_bytes()[:4] in (b"\x89PNG", b"%PDF")
    assert [x.name for x in tmp_path.iterdir()] == [path.name]


def test_blocks_say_what_the_papers_say(tmp_path):
    texts = drawn(net("resnet18"), tmp_path / "net.svg")
    assert {"7x7 conv, 64, /2", "3x3 max pool, /2", "conv1  112x112x64", "× 2"} <= {*texts}
    assert "bn_1" not in " ".join(texts)


def test_towers_are_side_by_side():
    boxes = picture(net("alexnet")).boxes
    halves = {box.x: box.block for box in boxes if box.block.name == "conv2"}
    assert [x.lines for x in halves.values()] == [["5x5 conv, 128"]] * 2
    assert sum(halves) == pytest.approx(0, abs=0.01)
    by_name = {name: [b.block for b in boxes if b.block.name == name] for name in ("conv3", "fc8")}
    assert [len(x.inputs) for x in by_name["conv3"]] == [2, 2]
    assert [x.lines for x in by_name["fc8"]] == [["fc, 1000"]]


def test_modules_and_equal_units_are_collapsed():
    boxes = [x.block for x in picture(net("inception_v3")).boxes]
    modules = {x.name: x for x in boxes if x.name.startswith("mixed")}
    assert modules["mixed_5b"].lines == ["64 + 64 + 96 + 32 maps"]
    assert modules["mixed_6c … mixed_6d"].times == 2
    units = [x.block for x in picture(net("resnet110_cifar")).boxes if x.block.times > 1]
    assert [x.times for x in units] == [18, 17, 17]
    assert [x.shortcut for x in units] == ["solid"] * 3


def test_a_module_counts_the_maps_that_it_passes_on():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(24, 3, name="first")(image)
    new = layers.Conv2D(8, 1, name="dense_1x1")(x)
    model = keras.Model(image, layers.Concatenate(name="dense_concat")([x, new]))
    assert picture(model).boxes[-1].block.lines == ["24 + 8 maps"]


def test_shortcuts_are_arcs_dashed_where_the_shape_changes():
    arcs = [x for x in picture(net("resnet18"), opened=True).lines if x.lane is not None]
    assert [x.dashed for x in arcs] == [False, False, True, False, True, False, True, False]
    assert [x.block.lines for x in arcs if x.block] == [
        ["1x1 conv, 128, /2"],
        ["1x1 conv, 256, /2"],
        ["1x1 conv, 512, /2"],
    ]


def test_auxiliary_classifiers_are_beside_the_trunk():
    made = picture(net("googlenet", auxiliary=True))
    trunk = [box for box in made.boxes if not box.block.name.startswith("aux")]
    assert {round(box.x, 3) for box in trunk} == {0.0}
    aside = [box for box in made.boxes if box.block.name in ("aux1", "aux2")]
    assert all(box.x < 0 for box in aside)
    assert [x.block.lines[-1] for x in aside] == ["softmax"] * 2
    assert not overlapping(made)


def test_own_models_with_two_inputs_and_outputs_are_drawn(two_outputs, tmp_path):
    texts = drawn(two_outputs, tmp_path / "own.svg")
    assert {"$own$", "4 + 4 maps", "body  16x16x8", "block  16x16x8"} <= {*texts}
    assert {"first  3", "second  2", "more  4"} <= {*texts}
    assert not overlapping(picture(two_outputs))
    opened = drawn(two_outputs, tmp_path / "own.svg", opened=True)
    assert {"body/inner_1  16x16x8", "3x3  16x16x4", "block"} <= {*opened}
    assert not overlapping(picture(two_outputs, opened=True))


def test_stages_of_several_nets_begin_at_the_same_height(tmp_path):
    draw_model([net("plain20_cifar"), net("resnet20_cifar")], tmp_path / "both.svg")
    found = re.findall(r'y="([\d.]+)"[^>]*>3x3 conv, 32, /2<', (tmp_path / "both.svg").read_text())
    assert len(found) == 2
    assert found[0] == found[1]


def test_a_layer_alone_and_a_chain_need_no_layout_library(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "igraph", None)
    one = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="one")], name="tiny")
    assert "one  6x6x4" in drawn(one, tmp_path / "one.svg")
    draw_model(net("googlenet"), tmp_path / "net.svg")
    with pytest.raises(InputError, match=r"igraph: in a checkout .*'\.\[draw\]'"):
        draw_model(net("googlenet"), tmp_path / "net.svg", opened=True)


def test_bad_input_is_one_line(tmp_path):
    class Own(keras.Model):
        def call(self, x):
            return x

    model = net("lenet5")
    image = keras.Input((None, None, 3))
    unsized = keras.Model(image, layers.Conv2D(4, 3, name="free")(image), name="unsized")
    for bad, path, options, message in [
        (model, "net.gif", {}, r"net.gif; expected a file that ends in .svg, .png, .pdf"),
        (model, "none/net.svg", {}, "there is no folder"),
        (Own(name="own"), "net.svg", {}, "own is a Own; only built functional"),
        ("lenet5", "net.svg", {}, "model is a str; only built functional"),
        ([], "net.svg", {}, "models is empty"),
        (unsized, "net.svg", {"volumes": True}, "output of .* is .*, with an unknown size"),
    ]:
        with pytest.raises(InputError, match=message) as caught:
            draw_model(bad, tmp_path / path, **options)
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
    assert "free  ?x?x4" in drawn(unsized, tmp_path / "net.svg")
