"""Tests of initial weights from another run, a file or a source, for all or some layers."""

import logging

import numpy as np
import pytest
from foreign import NET, write_nin
from small import short

from keras_ilsvrc import InputError, build
from keras_ilsvrc.nets import info
from keras_ilsvrc.runs.experiment import set_up
from keras_ilsvrc.runs.initial import set_initial
from keras_ilsvrc.training.initial import RULES, set_initial_values
from keras_ilsvrc.training.strategy import mirrored

pytestmark = pytest.mark.tensorflow
CIFAR = [f"net={NET}", 'build={classes=10, input_shape=[32, 32, 3], pool2="average"}']


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A file of pytorchcv's, and its values by the paths of our weights."""
    path = tmp_path_factory.mktemp("foreign") / "net.safetensors"
    return path, write_nin(path)


def started(*overrides, classes=10):
    """The initial weights of a recipe for `NET`, by path."""
    recipe, model = (
        short(*CIFAR, f"build.classes={classes}", *overrides),
        build(NET, classes=classes, pool2="average"),
    )
    set_initial(model, recipe, info(NET, pool2="average"))
    return {x.path: x.numpy() for x in model.weights}


def drawn(classes=10):
    model = build(NET, classes=classes)
    set_initial_values(model, RULES["he"], short().seed)
    return {x.path: x.numpy() for x in model.weights}


def check(found, expected, others=None, new=()):
    """Compare weights with the expected ones, and those of the layers `new` with others."""
    for path, value in found.items():
        wanted = others if path.split("/")[0] in new else expected
        np.testing.assert_array_equal(value, wanted[path])


def test_a_file_of_another_framework_is_loaded(file):
    path, values = file
    check(started(f"initial={path}"), values)


def test_all_but_the_skipped_layers_is_loaded_and_the_rest_drawn(file):
    path, values = file
    skip = f'initial={{weights="{path}", skip=["head", "cccp5", "conv1"]}}'
    check(started(skip), values, drawn(), ("cccp6", "cccp5", "conv1"))


def test_a_classifier_of_other_classes_is_left_out_and_this_is_said(file, caplog):
    path, values = file
    with caplog.at_level(logging.WARNING, "keras_ilsvrc"):
        found = started(f"initial={path}", classes=3)
    check(found, values, drawn(3), ("cccp6",))
    assert "weights that keep their initial values: cccp6/kernel, cccp6/bias" in caplog.text


def test_a_file_of_this_package_is_loaded_but_for_the_skipped_layers(tmp_path):
    model = build(NET)
    model.save_weights(tmp_path / "net.weights.h5")
    values = {x.path: x.numpy() for x in model.weights}
    skip = f'initial={{weights="{tmp_path}/net.weights.h5", skip=["head", "conv3"], rest="glorot"}}'
    found = started(skip, classes=3)
    check(found, values, found, ("cccp6", "conv3"))
    assert (found["conv3/kernel"] != values["conv3/kernel"]).all()


@pytest.mark.parametrize("word", [True, False])
def test_a_run_of_other_classes_lends_all_but_its_head(small_run, word, caplog):
    overrides = [
        f"initial={small_run}" if word else f'initial={{weights="{small_run}", skip=["head"]}}'
    ]
    model = build("resnet_cifar", depth=8, input_shape=(8, 8, 1), classes=3)
    recipe = short(*overrides, "build.classes=3")
    set_initial(model, recipe, set_up(short(), mirrored(1)).net)
    lender = build("resnet_cifar", depth=8, input_shape=(8, 8, 1))
    lender.load_weights(small_run / "final.weights.h5")
    for layer in model.layers:
        same = zip(layer.get_weights(), lender.get_layer(layer.name).get_weights(), strict=True)
        assert layer.name == "logits" or all((one == other).all() for one, other in same)
    assert f"{small_run}: " in caplog.text
    assert "weights that keep their initial values: logits/kernel" in caplog.text


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (['initial={weights="FILE", skip=["fc6"]}'], "initial.skip: .* has no layer 'fc6'"),
        (['initial={weights="FILE", layers=["fc6"]}'], "initial.layers: .* has no layer 'fc6'"),
        (
            ["initial=hee"],
            "initial is 'hee'; did you mean 'he'\\?; weights is 'hee', which is neither",
        ),
        (["initial=torchvision"], "initial: weights is 'torchvision', which is neither"),
        (["initial=nowhere.pth"], "initial: nowhere.pth: no such weights file"),
        (["initial=FILE", "build.head=dense"], "shapes|no tensor"),
    ],
)
def test_what_cannot_be_loaded_is_refused(file, overrides, message):
    path, _ = file
    recipe = short(*CIFAR, *(x.replace("FILE", str(path)) for x in overrides))
    net = info(NET, **recipe.build.variations)
    model = build(NET, **recipe.build.model_dump(exclude_none=True))
    before = model.get_weights()
    with pytest.raises(InputError, match=message):
        set_initial(model, recipe, net)
    if "FILE" in overrides[0] and "build" not in overrides[-1]:
        assert all((one == other).all() for one, other in zip(before, model.get_weights()))


def test_a_variation_that_the_weights_need_is_named(monkeypatch, file):
    from keras_ilsvrc.nets import pretrained

    found = pretrained.find(info(NET), file[0])
    needs = type(found)(
        **{
            **vars(found),
            "source": found.source.__class__(
                **{**vars(found.source), "options": {"head": "dense"}}
            ),
        }
    )
    monkeypatch.setattr(pretrained, "find", lambda *_: needs)
    message = r"build.head is .* need 'dense'; set build.head to 'dense'"
    with pytest.raises(InputError, match=message):
        started(f"initial={file[0]}")


def test_layers_and_skip_exclude_each_other():
    for table in ('weights="a"', 'weights="a", skip=["head"], layers=["conv1"]'):
        with pytest.raises(InputError, match="initial: expected either layers or skip"):
            short(f"initial={{{table}}}")
