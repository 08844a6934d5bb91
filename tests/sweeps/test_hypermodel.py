"""Tests of `hypermodel`: its defaults give the net of `build`, and keras-tuner accepts it."""

import copy
import pickle

import keras
import keras_tuner
import pytest

from keras_ilsvrc import InputError, available, build, hypermodel, info
from keras_ilsvrc.nets import siblings
from keras_ilsvrc.nets.build import initial_values
from keras_ilsvrc.sweeps import hypermodel as module

SMALL = {"input_shape": (8, 8, 1), "classes": 3}
DEPTHS = {"resnet_cifar": 8, "resnet_v2_cifar": 11}
NAMES = [f"{name}[depth={DEPTHS[name]}]" if name in DEPTHS else name for name in available()]
TRAINED = {*("learning_rate", "momentum", "l2", "optimizer", "schedule", "initial", "augmentation")}
TINY = {"depth": 8, "width": 0.25, "input_shape": (8, 8, 1), "classes": 10}


def built_from(made, monkeypatch, space=None):
    """The net that a hypermodel asks `build` for, resolved, and the hyperparameters it offers."""
    asked, space = [], keras_tuner.HyperParameters() if space is None else space
    with monkeypatch.context() as patch:
        patch.setattr(
            module, "build", lambda net, **arguments: asked.append(info(net, **arguments))
        )
        patch.setattr(module, "_compile", lambda model, values: None)
        made.build(space)
    (net,) = asked
    return net, {each.name: each for each in space.space}


def test_at_its_defaults_every_hypermodel_is_the_net(monkeypatch):
    failures = []
    for name in [*NAMES, "resnet20_cifar[shortcut=B]", "alexnet[activation=tanh]"]:
        net, space = built_from(hypermodel(name), monkeypatch)
        expected = info(name)
        failures += [] if net == expected else [(name, net.name)]
        trained = space.keys() - expected.space.keys() | (space.keys() & {"initial"})
        failures += [] if trained == TRAINED else [(name, space.keys())]
    assert not failures


def test_the_depth_of_a_net_of_any_depth_is_searched(monkeypatch):
    for name, layers in (("resnet_cifar", 6), ("resnet_v2_cifar", 9)):
        net, space = built_from(hypermodel(name), monkeypatch)
        assert net.name == f"{name}[depth=20]"
        assert {(depth - 2) % layers for depth in space["depth"].values} == {0}
    with pytest.raises(InputError, match="depth is missing"):
        hypermodel("resnet_cifar", ["learning_rate"])


def test_what_a_net_declares_to_vary_can_be_varied():
    failures = []
    for name in NAMES:
        net = info(name)
        for key in net.space.keys() - {"initial"}:
            of_family = key in net.arguments or key == "depth"
            failures += [] if key in net.variations or of_family else [(name, key)]
        offered = "paper" in net.space.get("initial", ())
        # The paper's values are searched where they are not what `build` gives.
        differs = initial_values(net) not in (None, {"kernel": ("he",), "bias": {}})
        failures += [] if offered == differs else [(name, "initial")]
    assert not failures


def test_variations_may_be_arguments(monkeypatch):
    for name, arguments in (
        ("resnet_cifar", {"depth": 8}),
        ("resnet20_cifar", {"shortcut": "C", "width": 0.5}),
        ("vgg16[batch_norm=True]", {}),
    ):
        net, _ = built_from(hypermodel(name, **arguments), monkeypatch)
        assert net == info(name, **arguments)


def test_nets_of_one_family_that_differ_in_depth_are_siblings():
    failures = []
    for name in NAMES:
        depth = info(name).arguments.get("depth")
        family = siblings(name, "depth")
        failures += [] if family.get(depth, name) == name else [(name, family)]
        failures += [] if depth is None or depth in family else [(name, family)]
        for other, sister in family.items():
            rows = [
                {**info(each).arguments, "depth": other, "paper": info(each).paper}
                for each in (name, sister)
            ]
            failures += [] if rows[0] == rows[1] else [(name, sister)]
    assert not failures
    assert set(siblings("resnet50", "depth")) == {18, 34, 50, 101, 152}
    assert siblings("resnet50_v1_5", "depth")[101] == "resnet101_v1_5"
    assert siblings("resnet50_v2", "depth")[200] == "resnet200_v2"
    assert set(siblings("resnet164_v2_cifar", "depth")) == {164, 1001}
    assert siblings("resnet20_cifar[shortcut=B]", "depth")[32] == "resnet32_cifar[shortcut=B]"
    assert siblings("resnet_cifar[depth=8]", "depth") == {8: "resnet_cifar[depth=8]"}
    assert siblings("vgg16", "depth") == siblings("resnet_cifar", "depth") == {}
    assert siblings("vgg16", "configuration")["B-5x5"] == "vgg13_5x5"
    assert siblings("zfnet", "form") == {"a": "zfnet", "b": "zfnet_512"}


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
    failed = keras_tuner.errors.FailedTrialError
    with pytest.raises(failed, match="depth is 21; expected one of 20, 32, 44, 56, 110, 1202"):
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
    made = hypermodel("resnet20_cifar", {"depth": [20, 32]}, max_model_size=1e6)
    again = pickle.loads(pickle.dumps(made))
    assert (again.given, again.searched) == (made.given, made.searched)
    assert again.searched["depth"].searched == [20, 32]


def test_without_a_top_it_is_not_compiled():
    space = keras_tuner.HyperParameters()
    model = hypermodel("resnet20_cifar", include_top=False, input_shape=(8, 8, 1)).build(space)
    assert not model.compiled
    assert [each.name for each in space.space] == ["depth", "shortcut", "order", "width"]
    assert model.output_shape == (None, 2, 2, 64)


@pytest.mark.parametrize(
    ("name", "arguments", "fragment"),
    [
        ("resnet21_cifar", {}, "did you mean 'resnet"),
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


@pytest.mark.parametrize("limit", ["max_model_size", "max_operations"])
def test_models_above_a_limit_are_refused_before_they_are_built(limit, monkeypatch):
    small = {"input_shape": (8, 8, 1), "classes": 10, limit: 1000}
    made = hypermodel("resnet20_cifar", **small)
    allocated = []
    monkeypatch.setattr(module, "_set_initial", lambda *_: allocated.append(1))
    with pytest.raises(keras_tuner.errors.FailedTrialError, match=rf"the model has .*; {limit} is"):
        made.build(keras_tuner.HyperParameters())
    assert allocated == []
    with pytest.raises(InputError, match=f"{limit} is 0; expected a number of at least 1"):
        hypermodel("resnet20_cifar", **{limit: 0})
    with pytest.raises(InputError, match=f"{limit} needs images of a known size"):
        hypermodel("resnet20_cifar", input_shape=(None, None, 3), **{limit: 1})


def test_limits_are_inclusive():
    made = hypermodel("resnet_cifar", max_model_size=75_002, **{**TINY, "width": 1.0})
    model = made.build(keras_tuner.HyperParameters())
    assert sum(weight.numpy().size for weight in model.trainable_weights) == 75_002


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adamw", "adam"])
def test_each_training_value_is_set(optimizer):
    values = {"optimizer": optimizer, "learning_rate": 0.02, "momentum": 0.7, "l2": 0.003}
    model = hypermodel("resnet_cifar", values, **TINY).build(keras_tuner.HyperParameters())
    config = model.optimizer.get_config()
    assert type(model.optimizer).__name__.lower() == {"adam": "adamw"}.get(optimizer, optimizer)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02)
    assert 0.7 in (config.get("momentum"), config.get("beta_1"))
    assert config.get("l2", config.get("weight_decay")) == (0 if optimizer == "adam" else 0.003)


def test_the_papers_initial_values_are_set():
    made = hypermodel("zfnet", {"initial": "paper"}, input_shape=(47, 47, 3), classes=2)
    model = made.build(keras_tuner.HyperParameters())
    kernel = keras.ops.convert_to_numpy(model.get_layer("conv3").kernel)
    assert kernel.std() == pytest.approx(0.01, rel=0.05)


def test_auxiliary_classifiers_have_the_weight_of_the_paper(monkeypatch):
    found = []
    monkeypatch.setattr(
        "keras_ilsvrc.training.keras_fit.compile_model", lambda *given: found.append(given[2])
    )
    made = hypermodel("cnds8", auxiliary=True, input_shape=(32, 32, 3), classes=2)
    made.build(keras_tuner.HyperParameters())
    assert found == [{"predictions": 1.0, "aux": 0.3}]
