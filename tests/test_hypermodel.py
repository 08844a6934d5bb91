"""`hypermodel` at its defaults is `build`; it keeps keras-tuner's contract."""

import copy
import pickle

import keras_tuner
import pytest

from keras_ilsvrc import InputError, available, build, hypermodel, info, sweep
from keras_ilsvrc.nets import depths

SMALL = {"input_shape": (8, 8, 1), "classes": 3}
DEPTHS = {"resnet_cifar": 8, "resnet_v2_cifar": 11}
NAMES = [f"{name}[depth={DEPTHS[name]}]" if name in DEPTHS else name for name in available()]
TRAINED = {"learning_rate", "momentum", "l2"}


def built_from(made, monkeypatch, space=None):
    """The net that a hypermodel asks `build` for, resolved, and the hyperparameters it offers."""
    asked, space = [], keras_tuner.HyperParameters() if space is None else space
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "build", lambda net, **arguments: asked.append(info(net, **arguments)))
        patch.setattr(
            "keras_ilsvrc.training.keras_fit.compile_model", lambda model, optimizer: None
        )
        made.build(space)
    (net,) = asked
    return net, {each.name: each for each in space.space}


def test_at_its_defaults_every_hypermodel_is_the_net(monkeypatch):
    failures = []
    for name in [*NAMES, "resnet20_cifar[shortcut=B]", "alexnet[activation=tanh]"]:
        net, space = built_from(hypermodel(name), monkeypatch)
        expected = info(name)
        failures += [] if net == expected else [(name, net.name)]
        failures += [] if space.keys() - {"depth"} == TRAINED else [(name, space.keys())]
    assert not failures


def test_variations_may_be_arguments(monkeypatch):
    for name, arguments in (
        ("resnet_cifar", {"depth": 8}),
        ("resnet20_cifar", {"shortcut": "C", "width": 0.5}),
        ("vgg16[batch_norm=True]", {}),
    ):
        net, _ = built_from(hypermodel(name, **arguments), monkeypatch)
        assert net == info(name, **arguments)


def test_nets_of_one_family_that_differ_in_depth_are_each_others_sisters():
    failures = []
    for name in NAMES:
        depth = info(name).arguments.get("depth")
        family = depths(name)
        failures += [] if family.get(depth, name) == name else [(name, family)]
        failures += [] if depth is None or depth in family else [(name, family)]
        for other, sister in family.items():
            rows = [
                {**info(each).arguments, "depth": other, "paper": info(each).paper}
                for each in (name, sister)
            ]
            failures += [] if rows[0] == rows[1] else [(name, sister)]
    assert not failures
    assert set(depths("resnet50")) == {18, 34, 50, 101, 152}
    assert depths("resnet50_v1_5")[101] == "resnet101_v1_5"
    assert depths("resnet50_v2")[200] == "resnet200_v2"
    assert set(depths("resnet164_v2_cifar")) == {164, 1001}
    assert depths("resnet20_cifar[shortcut=B]")[32] == "resnet32_cifar[shortcut=B]"
    assert depths("resnet_cifar", depth=8) == {8: "resnet_cifar[depth=8]"}
    assert depths("vgg16") == depths("resnet_cifar") == {}


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("resnet20_cifar", [20, 32, 44, 56, 110]),
        ("resnet1202_cifar", [20, 32, 44, 56, 110, 1202]),
        ("resnet164_v2_cifar", [164]),
        ("plain34", [18, 34]),
    ],
)
def test_nets_of_a_thousand_layers_are_offered_where_they_are_named(name, offered, monkeypatch):
    _, space = built_from(hypermodel(name), monkeypatch)
    assert (
        space["depth"].values if "depth" in space else [info(name).arguments["depth"]]
    ) == offered


def test_a_depth_of_the_users_own_space_is_built(monkeypatch):
    for asked, depth, name in (
        ("resnet20_cifar", 1202, "resnet1202_cifar"),
        ("resnet20_cifar", 32, "resnet32_cifar"),
        ("resnet164_v2_cifar", 1001, "resnet1001_v2_cifar"),
    ):
        space = keras_tuner.HyperParameters()
        space.Fixed("depth", depth)
        assert built_from(hypermodel(asked), monkeypatch, space)[0].name == name
    space = keras_tuner.HyperParameters()
    space.Fixed("depth", 21)
    with pytest.raises(InputError, match="depth is 21; expected one of 20, 32, 44, 56, 110, 1202"):
        hypermodel("resnet20_cifar").build(space)


@pytest.mark.parametrize("name", ["resnet20_cifar", "resnet20_v2_cifar", "lenet5_modern"])
def test_what_is_built_is_what_build_gives(name):
    shape = {"input_shape": (32, 32, 1)} if name.startswith("lenet") else {"input_shape": (8, 8, 1)}
    model = hypermodel(name, classes=3, **shape).build(keras_tuner.HyperParameters())
    expected = build(name, classes=3, **shape)
    assert model.name == expected.name
    assert [x.name for x in model.layers] == [x.name for x in expected.layers]
    assert [(w.path, w.shape) for w in model.weights] == [
        (w.path, w.shape) for w in expected.weights
    ]
    assert (model.loss, type(model.optimizer).__name__) == (
        "sparse_categorical_crossentropy",
        "SGD",
    )
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)


def test_it_is_a_hypermodel_that_can_be_copied(monkeypatch):
    made = hypermodel("resnet20_cifar", shortcut="B")
    made.tunable = False
    assert isinstance(made, keras_tuner.HyperModel)
    assert made.name == "resnet20_cifar[shortcut=B]"
    for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert (type(again), again.name, again.tunable) == (type(made), made.name, False)
        net, space = built_from(again, monkeypatch)
        assert (net.name, space) == (made.name, {})


def test_without_a_top_it_is_not_compiled():
    space = keras_tuner.HyperParameters()
    model = hypermodel("resnet20_cifar", include_top=False, input_shape=(8, 8, 1)).build(space)
    assert not model.compiled
    assert [each.name for each in space.space] == ["depth"]
    assert model.output_shape == (None, 2, 2, 64)


@pytest.mark.parametrize(
    ("name", "arguments", "fragment"),
    [
        ("resnet21_cifar", {}, "did you mean 'resnet"),
        ("resnet_cifar", {}, "depth is missing"),
        ("vgg16", {"input_shapes": (32, 32, 3)}, "did you mean 'input_shape'"),
        ("alexnet", {"activatoin": "tanh"}, "did you mean 'activation'"),
        ("alexnet[activation=than]", {}, "activation is 'than'"),
        ("resnet20_cifar", {"depth": 32}, "has no argument 'depth'"),
        ("vgg16", {"classes": 0}, "classes is 0"),
        ("vgg16", {"include_top": False, "pooling": "sum"}, "pooling is 'sum'"),
        ("vgg16", {"include_top": "no"}, "include_top is 'no'; expected True or False"),
        ("vgg16", {"input_shape": (8, 8, 3)}, "too small for vgg16"),
        ("vgg16", {"input_shape": "small"}, "input_shape is 'small'"),
        ("vgg16", {"weights": "imagenett"}, "weights is 'imagenett'"),
        ("vgg16", {"classifier_activation": None}, "classifier_activation is None"),
        ("vgg16", {"classifier_activation": "sigmoid"}, "classifier_activation is 'sigmoid'"),
    ],
)
def test_arguments_are_checked_when_it_is_made(name, arguments, fragment):
    with pytest.raises(InputError) as raised:
        hypermodel(name, **arguments)
    assert fragment in str(raised.value)
    assert "\n" not in str(raised.value)
