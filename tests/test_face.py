"""Tests of the package's public names: import time, and errors for wrong arguments."""

import inspect
import json
import os
import subprocess
import sys

import fresh
import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from keras_ilsvrc import InputError, build, hypermodel, info, load_model
from keras_ilsvrc.nets.registry import SHARED_ARGUMENTS

TINY = {"input_shape": (64, 64, 1), "classes": 10, "width": 0.125}
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}
DIGITS = {"input_shape": (8, 8, 1), "classes": 10}
IMAGES = (load_digits().images[:32, ..., None] / 16).astype("float32")


def run(script, *arguments):
    """What a script says in a new process."""
    words, env = [sys.executable, "-c", script, *map(str, arguments)], {**os.environ, **QUIET}
    done = subprocess.run(words, capture_output=True, text=True, timeout=200, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def message(call, *arguments, **keywords):
    """The one line of the InputError that a call raises."""
    with pytest.raises(InputError) as caught:
        call(*arguments, **keywords)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Names what would open a connection; the audit hook sees every socket of the process.
OFFLINE = """
import sys
tried, outward = [], ("connect", "sendto", "getaddrinfo", "gethostbyname", "gethostbyaddr")

def refuse(event, arguments):
    if event.startswith("socket.") and event.endswith(outward):
        tried.append(event)
        raise OSError("no network")

sys.addaudithook(refuse)
"""


STATEMENTS = (
    "pass",
    "keras_ilsvrc.available('resnet*'), keras_ilsvrc.info('alexnet[activation=tanh]')",
    "refused(keras_ilsvrc.build, 'resnet5')",
    "refused(keras_ilsvrc.hypermodel, 'resnet5')",
    "refused(keras_ilsvrc.load_model, 'nowhere.keras')",
    "refused(keras_ilsvrc.build, 'vgg16', weights='nowhere.pth')",
    "refused(keras_ilsvrc.build, 'resnet50', weights='torchvision')",
    "keras_ilsvrc.info('vgg16').sources",
    "command('--help')",
    "command('--version')",
    "command('recipes', '*_digits')",
    "command('list'), command('weights', 'list'), command('weights', '--help')",
    "command('info', 'vgg19')",
    "command('info', 'vgg19', '--json')",
    "command('info', 'vgg19', '--space')",
    "refused(keras_ilsvrc.hypermodel, 'vgg19', space={'depth': 3})",
    "command('predict', '--help')",
)


def test_listing_nets_and_refusing_names_import_no_keras_and_use_no_network():
    said = run(f"""{OFFLINE}
import sys
import keras_ilsvrc

def refused(call, name, **arguments):
    try:
        call(name, **arguments)
    except keras_ilsvrc.InputError:
        return
    raise AssertionError(name)

def command(*words):
    from keras_ilsvrc.cli import main
    sys.argv = ["keras-ilsvrc", *words]
    try:
        main()
    except SystemExit as end:
        assert end.code in (0, None), end.code

for statement in {STATEMENTS}:
    exec(statement)
    imported = {{"keras", "tensorflow", "jax", "torch", "numpy"}} & set(sys.modules)
    assert not imported, (statement, imported)
print(tried)
""")
    assert said.splitlines()[-1] == "[]"


def test_shared_arguments_are_those_of_build():
    net, *shared, variations = inspect.signature(build).parameters.values()
    assert (net.kind, variations.kind) == (net.POSITIONAL_ONLY, net.VAR_KEYWORD)
    assert tuple(parameter.name for parameter in shared) == SHARED_ARGUMENTS


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Models of every custom layer, saved: file to what the model makes of real images."""
    folder = tmp_path_factory.mktemp("saved")
    images = keras.ops.image.resize(IMAGES, (64, 64))
    expected = {}
    for net, arguments, given in (
        ("alexnet", {**TINY, "lrn": "tower"}, images),  # GroupedConv2D, LocalResponseNormalization
        ("resnet_cifar", {**DIGITS, "depth": 8}, IMAGES),  # ResidualUnit
    ):
        model = build(net, **arguments)
        path = folder / f"{net}.keras"
        model.save(path)
        expected[path] = keras.ops.convert_to_numpy(model(given))
    np.save(folder / "images.npy", IMAGES)
    return expected


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A compiled model whose parts are ours, saved."""
    from keras_ilsvrc.training.constraints import FilterRMS
    from keras_ilsvrc.training.optimizers import SGD
    from keras_ilsvrc.training.schedules import WarmUp

    image = keras.Input((8, 8, 1))
    maps = keras.layers.Conv2D(2, 3, kernel_constraint=FilterRMS(0.5))(image)
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(maps))
    model.compile(SGD(WarmUp(0.1, 8), 0.9, l2=0.25), "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    path = tmp_path_factory.mktemp("compiled") / "compiled.keras"
    model.save(path)
    return path


@pytest.mark.parametrize(
    ("imports", "load"),
    [
        ("import keras_ilsvrc", "keras_ilsvrc.load_model"),
        ("import keras, keras_ilsvrc.layers", "keras.saving.load_model"),
    ],
)
def test_a_saved_model_is_the_same_in_a_fresh_process_without_a_network(
    saved, compiled, imports, load
):
    """A compiled one has all its parts there."""
    script = f"""{OFFLINE}
import json
from pathlib import Path
{imports}
models = [{load}(path) for path in sys.argv[2:]]
import keras_ilsvrc.weights.download, keras_ilsvrc.weights.readers
keras_ilsvrc.build("resnet20_cifar")
import keras, numpy as np
found = []
for model, path in zip(models, sys.argv[2:]):
    images = np.load(Path(path).parent / "images.npy")
    images = keras.ops.image.resize(images, model.input_shape[1:3])
    found.append(keras.ops.convert_to_numpy(model(images)).tolist())
model = keras_ilsvrc.load_model(sys.argv[1])
config = model.optimizer.get_config()["learning_rate"]
parts = [model.optimizer.l2, config["class_name"], model.layers[1].kernel_constraint.most]
print(json.dumps([tried, found, parts]))
"""
    tried, found, parts = json.loads(fresh.said(script, compiled, *saved).splitlines()[-1])
    assert tried == []
    for outputs, expected in zip(found, saved.values(), strict=True):
        assert np.ptp(expected, axis=0).max() > 1e-3  # images make a difference
        np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-7)
    assert parts == [0.25, "WarmUp", 0.5]


def test_a_compiled_model_is_loaded_without_its_optimizer_if_asked(compiled):
    assert not load_model(compiled, compile=False).compiled


DAMAGES = {
    "empty": lambda content: b"",
    "a tenth": lambda content: content[: len(content) // 10],
    "a half": lambda content: content[: len(content) // 2],
    "all but the end": lambda content: content[:-30],
    "a page": lambda content: b"<html>not found</html>",
    "an archive without a model": lambda content: b"PK\5\6" + bytes(18),
    "a byte changed": lambda content: content[:-5000] + b"?" + content[-4999:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_model_is_one_line_that_names_the_file(saved, tmp_path, damage):
    path = tmp_path / "model.keras"
    path.write_bytes(DAMAGES[damage](next(iter(saved)).read_bytes()))
    assert message(load_model, path).startswith(f"{path}: ")


def test_a_missing_model_names_its_neighbour(saved):
    path = next(iter(saved))
    path.with_name("alexnett.csv").write_text("")
    said = message(load_model, path.with_name("alexnett.keras"))
    assert said.startswith(f"{path.with_name('alexnett.keras')}: no such model file")
    assert said.endswith("did you mean 'alexnet.keras' or 'resnet_cifar.keras'?")


def test_a_notebook_shows_a_net_as_a_short_table():
    page = info("alexnet[activation=tanh]")._repr_html_()
    assert "alexnet[activation=tanh]" in page
    assert "Krizhevsky" in page
    assert page.count("<tr>") <= 6
    assert (
        "<th>published error</th><td>top-1 40.7 %, top-5 18.2 %</td>"
        in info("alexnet")._repr_html_()
    )


@pytest.mark.parametrize("name", ["model.h5", "model.weights.h5", "model", "model.keras.zip"])
def test_a_model_of_another_suffix_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"model")
    said = message(load_model, tmp_path / name)
    assert said.startswith(f"{tmp_path / name}: ")
    assert ".keras" in said.removeprefix(f"{tmp_path / name}: ")


@pytest.mark.parametrize(
    ("net", "arguments"),
    [
        ("alexnet", {**TINY, "activation": "tanh"}),
        ("resnet_cifar", {**DIGITS, "depth": 8, "width": 0.5}),
    ],
)
def test_a_varied_net_predicts_and_fits_under_its_own_name(net, arguments):
    model = build(net, **arguments)
    assert model.name.startswith(net)
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    images = keras.ops.image.resize(IMAGES, model.input_shape[1:3])
    probabilities = model.predict(images, verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    loss = model.fit(images, np.arange(32) % 10, batch_size=32, verbose=0).history["loss"]
    assert np.isfinite(loss).all()


NOWHERE = "nowhere/vgg16.weights.h5"


@pytest.mark.parametrize(
    ("net", "arguments", "fragments"),
    [
        ("resnet5", {}, ["'resnet5'", "'resnet50'"]),
        ("alexnet[activation=than]", {}, ["activation is 'than'", "tanh"]),
        ("alexnet", {"activatoin": "tanh"}, ["'activatoin'", "'activation'"]),
        ("vgg16", {"input_shapes": (32, 32, 3)}, ["'input_shapes'", "'input_shape'"]),
        ("alexnet", {"width": 0.05}, ["width"]),  # 13 filters cannot be halved
        ("alexnet", {"activation": "gelu"}, ["activation is 'gelu'", "relu, tanh, sigmoid"]),
        ("alexnet", {"dropout": 1.0}, ["dropout is 1.0", "below 1"]),
        ("alexnet", {"width": 0}, ["width is 0", "at least 0.01"]),
        ("resnet50", {"shortcut": "D"}, ["shortcut is 'D'", "B, A, C, none"]),
        ("resnet_cifar", {}, ["depth is missing", "whole number"]),
        ("resnet_cifar", {"depth": 21}, ["depth is 21", "6n + 2"]),
        ("vgg16", {"classes": 0}, ["classes is 0", "at least 1"]),
        ("vgg16", {"include_top": False, "pooling": "sum"}, ["pooling is 'sum'", "'avg'", "'max'"]),
        ("vgg16", {"input_shape": (31, 64, 3)}, ["(31, 64, 3)", "too small for vgg16", "32x32"]),
        ("alexnet", {"input_shape": (32, 32, 3)}, ["too small for alexnet", "64x64"]),
        ("resnet20_cifar", {"input_shape": (2, 2, 1)}, ["too small for resnet20_cifar", "4x4"]),
        ("vgg16", {"input_shape": (64, 64)}, ["(64, 64)", "(height, width, channels)"]),
        ("vgg16", {"input_shape": (None, None, 3)}, ["fully connected", "include_top=False"]),
        ("vgg16", {"input_tensor": IMAGES}, ["input_tensor is a ndarray", "keras.Input"]),
        ("googlenet", {"auxiliary": True, "include_top": False}, ["auxiliary needs include_top"]),
        ("vgg16", {"weights": "imagenett"}, ["'imagenett'", "'imagenet'"]),
        ("vgg16", {"weights": NOWHERE}, [f"{NOWHERE}: no such weights file"]),
    ],
)
def test_what_cannot_be_built_is_one_line_that_says_what_can(net, arguments, fragments):
    said = message(build, net, **arguments)
    for fragment in fragments:
        assert fragment in said


def test_channels_first_is_refused_with_the_call_that_mends_it():
    keras.config.set_image_data_format("channels_first")
    try:
        said = message(build, "resnet20_cifar")
    finally:
        keras.config.set_image_data_format("channels_last")
    assert "set_image_data_format('channels_last')" in said
    build("resnet20_cifar")


@pytest.mark.parametrize("name", ["resnet21_cifar", "resnet5"])
def test_a_hypermodel_of_an_unknown_net_names_the_nearest_at_once(name):
    said = message(hypermodel, name)
    assert repr(name) in said
    assert "did you mean 'resnet" in said
