"""Tests of weights by source name or path: all weights, without the classifier, and errors."""

import dataclasses
import hashlib
import itertools
import json
import logging

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file
from typer.testing import CliRunner

import keras_ilsvrc
from keras_ilsvrc import InputError, build
from keras_ilsvrc.cli import app
from keras_ilsvrc.weights import recognise, sources
from keras_ilsvrc.weights.preprocessing import source_of

NET = "nin_cifar10"
SOURCE = keras_ilsvrc.info(NET).sources["pytorchcv"]
TINY = {"input_shape": (64, 64, 3), "width": 0.125}
FILES = ("net.safetensors", "net.weights.h5", "net.keras", "net.npz")


def values_of(model):
    return {weight.path: np.array(weight) for weight in model.weights}


def write(path, values):
    """Write a file as pytorchcv's for `NET`, in the format of safetensors."""
    tensors = {}
    for number, (name, one) in enumerate(values.items()):
        unit, word = number // 2, {"kernel": "weight"}.get(name.split("/")[1], "bias")
        layer = f"features.stage{unit // 3 + 1}.unit{unit % 3 + 1}.conv"
        layer = "output.final_conv.conv" if name.startswith("cccp6/") else layer
        axes = (3, 2, 0, 1) if one.ndim == 4 else None
        tensors[f"{layer}.{word}"] = np.ascontiguousarray(one.transpose(axes))
    save_file(tensors, path)


def write_other(path):
    """Write a file with the names and shapes of akamaster's ResNet-20, with zeros."""
    shapes = {"conv1.weight": (16, 3, 3, 3), "linear.weight": (10, 64), "linear.bias": (10,)}
    norms = ["bn1"]
    for stage, unit, place in itertools.product((1, 2, 3), (0, 1, 2), (1, 2)):
        maps = 8 * 2**stage
        before = maps // 2 if stage > 1 and (unit, place) == (0, 1) else maps
        shapes[f"layer{stage}.{unit}.conv{place}.weight"] = (maps, before, 3, 3)
        norms.append(f"layer{stage}.{unit}.bn{place}")
    for norm in norms:
        maps = shapes[f"{norm.replace('bn', 'conv')}.weight"][0]
        for word in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{word}"] = (maps,)
    save_file({name: np.zeros(shape, "float32") for name, shape in shapes.items()}, path)


def random_values(model, seed=0):
    draw = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(draw.uniform(-0.1, 0.1, weight.shape))
    return values_of(model)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The same weights of `NET` in four formats, and those of other nets."""
    folder = tmp_path_factory.mktemp("pretrained")
    model = build(NET)
    values = random_values(model)
    write(folder / "net.safetensors", values)
    np.savez(folder / "net.npz", **values)
    model.save_weights(folder / "net.weights.h5")
    model.save(folder / "net.keras")
    wide = {name: np.concatenate([one, one], -1) for name, one in values.items()}
    write(folder / "wide.safetensors", wide)
    write_other(folder / "other.safetensors")
    build(NET, include_top=False).save_weights(folder / "top.weights.h5")
    return folder


@pytest.fixture(scope="module")
def values(folder):
    return dict(np.load(folder / "net.npz"))


def same(model, values, but=()):
    """Return whether all weights of a model but some are those of a file."""
    found = {path: x for path, x in values_of(model).items() if not path.startswith(but)}
    assert found
    return all(np.array_equal(x, values[path]) for path, x in found.items())


def message(call, *arguments, **keywords):
    with pytest.raises(InputError) as caught:
        call(*arguments, **keywords)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def know(monkeypatch, **changes):
    """Have the pytorchcv row of `NET` changed, as the only source."""
    changed = dataclasses.replace(SOURCE, **changes)
    for module in (sources, recognise):
        monkeypatch.setattr(module, "SOURCES", (changed,))


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_recognised_and_loaded(folder, values, file, caplog):
    with caplog.at_level(logging.INFO, "keras_ilsvrc"):
        model = build(NET, weights=folder / file)
    assert same(model, values)
    known = file == "net.safetensors"
    assert source_of(model) == (SOURCE if known else None)
    line = f"has the layout of the pytorchcv weights of {NET}; their preprocessing is assumed"
    assert (f"{folder / file}: {line}" in caplog.text) == known
    assert f"{len(model.weights)} weights set" in caplog.text


@pytest.mark.parametrize("file", FILES)
def test_all_but_the_classifier_is_loaded_and_said(folder, values, file, caplog):
    model = build(NET, weights=folder / file, classes=5)
    assert same(model, values, "cccp6")
    assert model.output_shape == (None, 5)
    assert "weights that keep their initial values: cccp6/kernel, cccp6/bias" in caplog.text
    assert same(build(NET, weights=folder / file, include_top=False), values)


@pytest.mark.parametrize("file", FILES)
def test_another_class_count_is_refused_if_none_was_asked_for(folder, values, file, tmp_path):
    model = build(NET, classes=7)
    path = tmp_path / file
    if file == "net.safetensors":
        write(path, values_of(model))
    elif file == "net.npz":
        np.savez(path, **values_of(model))
    else:
        model.save_weights(path) if file.endswith("h5") else model.save(path)
    said = message(build, NET, weights=path)
    assert said.startswith(f"{path}: has a classifier of 7 classes, but {NET}")
    assert " has 10 classes; " in said
    assert "classes=7" in said
    assert same(build(NET, weights=path, classes=7), values_of(model))


def test_a_file_without_classifier_needs_a_word(folder, caplog):
    path = folder / "top.weights.h5"
    said = message(build, NET, weights=path)
    assert said.startswith(f"{path}: has no classifier")
    build(NET, weights=path, classes=10)
    assert "weights that keep their initial values: cccp6/kernel" in caplog.text


@pytest.mark.parametrize(
    ("net", "arguments", "head"),
    [
        ("alexnet", TINY, "fc8"),
        ("alexnet", {**TINY, "width": 0.25, "include_top": False}, None),
        ("googlenet", {"input_shape": (96, 96, 3), "width": 0.125, "auxiliary": True}, "logits"),
    ],
)
def test_a_net_takes_its_own_weights_for_other_classes(net, arguments, head, tmp_path):
    topped = arguments.get("include_top", True)
    path = tmp_path / "own.weights.h5"
    model = build(net, **arguments, **({"classes": 3} if topped else {}))
    model.save_weights(path)
    made = build(net, **arguments, weights=path, **({"classes": 4} if topped else {}))
    heads = (f"{head}/", "aux1_logits/", "aux2_logits/") if head else ()
    assert same(made, values_of(model), heads)


def test_a_source_is_loaded_by_its_name(folder, values, monkeypatch):
    asked = []

    def fetch(source, sha256):
        asked.append((source, sha256))
        return folder / "net.safetensors"

    monkeypatch.setattr("keras_ilsvrc.weights.download.fetch", fetch)
    model = build(NET, weights="pytorchcv", sha256="0" * 64)
    assert asked == [(SOURCE, "0" * 64)]
    assert (source_of(model), same(model, values)) == (SOURCE, True)


def test_what_a_source_needs_is_the_default_and_not_contradicted(folder, values, monkeypatch):
    know(monkeypatch, options={"pool2": "average"}, input_shape=(48, 40, 3))
    path = folder / "net.safetensors"
    model = build(NET, weights=path)
    assert model.name == f"{NET}.pool2-average"
    assert model.input_shape == (None, 48, 40, 3)
    assert build(NET, weights=path, input_shape=(32, 32, 3)).input_shape == (None, 32, 32, 3)
    assert build(f"{NET}[pool2=average]", weights=path).name == model.name
    for net, given in ((NET, {"pool2": "max"}), (f"{NET}[pool2=max]", {})):
        said = message(build, net, weights=path, **given)
        assert "pool2 is 'max', but the pytorchcv weights" in said
        assert "need 'average'" in said


BAD = {
    "lfs.pth": b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n",
    "page.pth": b"<!DOCTYPE html><html><body>404</body></html>",
    "empty.safetensors": b"",
    "notes.txt": b"weights",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_weight_file_is_one_line(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BAD[name])
    assert message(build, NET, weights=path).startswith(str(path))


@pytest.mark.parametrize("file", FILES)
def test_a_half_download_is_one_line(folder, tmp_path, file):
    content = (folder / file).read_bytes()
    (tmp_path / file).write_bytes(content[: len(content) // 2])
    assert message(build, NET, weights=tmp_path / file).startswith(str(tmp_path / file))


def test_a_file_without_permission_is_one_line(folder, monkeypatch):
    path = folder / "net.safetensors"

    def refuse(*arguments, **keywords):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("keras_ilsvrc.weights.readers.open", refuse, raising=False)
    said = message(build, NET, weights=path)
    assert said.startswith(str(path))
    assert "Permission denied" in said


@pytest.mark.parametrize(
    ("net", "arguments", "parts"),
    [
        (NET, {"weights": "other.safetensors"}, ["are those of resnet20_cifar (akamaster)"]),
        (NET, {"weights": "wide.safetensors"}, ["shapes differ", "(384,), expected (192,)"]),
        (NET, {"weights": "wide.safetensors", "classes": 20}, ["shapes differ"]),
        ("alexnet", {"weights": "net.npz"}, ["alexnet"]),
        ("alexnet", {"weights": "net.keras", **TINY}, ["do not fit the 16 of alexnet"]),
        ("lenet5_modern", {"weights": "net.safetensors"}, ["are those of nin_cifar10"]),
        (NET, {"weights": "."}, ["is a folder"]),
        (NET, {"weights": "none.pth"}, ["no such weights file"]),
        (NET, {"weights": "net.npz", "sha256": "0" * 64}, ["SHA-256"]),
        (NET, {"weights": "net.npz", "sha256": "12"}, ["sha256 is '12'"]),
    ],
)
def test_a_file_that_does_not_fit_is_one_line_that_names_it(folder, net, arguments, parts):
    path = folder / arguments["weights"]
    said = message(build, net, **{**arguments, "weights": path})
    for part in parts:
        assert part in said
    assert str(path) in said or "sha256" in said


@pytest.mark.parametrize(
    ("net", "weights", "parts"),
    [
        ("resnet50", "torchvision", ["known for resnet50:", "resnet50_v1_5", "path of a file"]),
        (NET, "imagenet", [f"known for {NET}: caffe, pytorchcv"]),
        ("vgg16", "torchvison", ["neither a file nor the name of weights", "'torchvision'"]),
        ("lenet5_modern", "keras", ["for lenet5_modern", "resnet50_keras"]),
    ],
)
def test_a_source_that_is_not_known_is_one_line_with_those_that_are(net, weights, parts):
    said = message(build, net, weights=weights)
    for part in [f"weights is {weights!r}", *parts]:
        assert part in said


def test_a_file_predicts_with_its_own_preprocessing(folder, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), "uint8")
    Image.fromarray(pixels).save(tmp_path / "photo.png")

    def predict(*words):
        command = ["predict", "--net", NET, "--json", *words, str(tmp_path / "photo.png")]
        return CliRunner().invoke(app, list(map(str, command)))

    path = folder / "net.safetensors"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    result = predict("--weights", path, "--sha256", digest)
    assert result.exit_code == 0, result.exception
    model = build(NET, weights=path)
    probabilities = model.predict(keras_ilsvrc.preprocess(pixels, model), verbose=0)[0]
    (best, *_) = json.loads(result.stdout)[0]["classes"]
    assert best["class"] == str(probabilities.argmax())
    assert best["probability"] == pytest.approx(probabilities.max(), rel=1e-4)
    bare = folder / "net.weights.h5"
    assert "the preprocessing for this file is unknown" in str(predict("--weights", bare).exception)
    assert predict("--weights", bare, "--preprocess", "none").exit_code == 0
