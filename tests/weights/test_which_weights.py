"""Tests of recognising weights in files, and of tensors that may be left out."""

import logging
from pathlib import Path

import caffe_nets
import numpy as np
import originals
import pytest
from caffe_referee import shapes_of
from commands import refused, said
from safetensors.numpy import save_file
from test_pretrained import NET, TINY, know, message, same, values_of, write

from keras_ilsvrc import build, info
from keras_ilsvrc.nets.pretrained import find, find_source
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.weights import readers
from keras_ilsvrc.weights.load import assign
from keras_ilsvrc.weights.recognise import recognise
from keras_ilsvrc.weights.sources import SOURCES, sources_of
from keras_ilsvrc.weights.tensors import Stored, Tensors

BLOBS = shapes_of(caffe_nets.alexnet(1000), 227)
CAFFE = {f"{layer}/{n}": shape for layer, found in BLOBS.items() for n, shape in enumerate(found)}
RESNET = {one.name: one.shape for one in originals.resnet(50)}
VGG = {one.name: one.shape for one in originals.vgg(16)}


def cifar(depth):
    found = originals.cifar(depth, option_a=True)
    return {x.name.removeprefix("module."): np.zeros(x.shape, "float32") for x in found}


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A function that makes a file which seems to have tensors of given shapes."""

    def make(name, shapes):
        path = tmp_path / name
        path.write_bytes(b"weights")
        kind = np.dtype("float32")
        stored = {
            key: Stored(shape, kind, lambda shape=shape: np.zeros(shape, kind))
            for key, shape in shapes.items()
        }
        made = Tensors(path, path.suffix[1:], stored)
        monkeypatch.setattr(readers, "read", lambda path, sha256=None: made)
        return path

    return make


@pytest.fixture(scope="module")
def values():
    """Random values for `NET`."""
    random = np.random.default_rng(0)
    return {
        path: random.uniform(-1, 1, one.shape).astype("float32")
        for path, one in values_of(build(NET)).items()
    }


@pytest.mark.parametrize("options", [{"classes": 5}, {"include_top": False}, {}])
def test_a_deeper_net_is_refused(options, tmp_path):
    path = tmp_path / "deeper.safetensors"
    save_file(cifar(26), path)
    line = message(build, "resnet20_cifar", weights=path, **options)
    assert "no weight for layer1.3." in line
    if not options:
        words = ("--net", "resnet20_cifar", "--out", tmp_path / "x.weights.h5")
        assert "no weight for layer1.3." in refused("weights", "convert", path, *words)


@pytest.mark.parametrize("options", [{"classes": 5}, {"include_top": False}, {}])
def test_a_layer_too_many_is_refused(options, values, tmp_path):
    path = tmp_path / "extra.npz"
    np.savez(path, **values, **{"zzz/kernel": np.zeros((3, 3), "float32")})
    assert "no weight for zzz/kernel" in message(build, NET, weights=path, **options)


def test_a_file_that_fits_no_source_is_not_loaded():
    model, state = build("resnet20_cifar"), cifar(20)
    before = values_of(model)
    with pytest.raises(InputError, match=r"resnet20_cifar: other weights are nearer"):
        assign(model, state, "akamaster", misfit="other weights are nearer")
    assert same(model, before)
    line = "the tensors are those of resnet20_cifar with other options, input_shape or top layers"
    with pytest.raises(InputError, match=line):
        assign(build("resnet20_cifar", shortcut="B"), state, "akamaster")


def test_the_file_name_tells_nets_with_the_same_tensors_apart(file, caplog):
    path = file("bvlc_reference_caffenet.caffemodel", CAFFE)
    assert recognise(readers.read(path))[0].source.net == "caffenet"
    shown = said("weights", "inspect", path)
    assert "keras_ilsvrc.build('caffenet'" in shown
    assert find(info("caffenet"), path).source.name == "caffe"
    path = file("bvlc_alexnet.caffemodel", CAFFE)
    line = message(find, info("caffenet"), path)
    assert "is the caffe file of alexnet" in line
    assert "build alexnet" in line
    path = file("mine.caffemodel", CAFFE)
    shown = said("weights", "inspect", path)
    assert "fits alexnet as caffe, 1,000 classes\nfits caffenet as caffe, 1,000" in shown
    assert "build(" not in shown
    assert "which of the 2 networks the file is for" in shown
    assert find(info("caffenet"), path).source.net == "caffenet"
    (warning,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert "fits several nets: alexnet, caffenet" in warning.getMessage()


@pytest.mark.parametrize(
    ("net", "shapes", "name", "source"),
    [
        ("resnet50_v1_5", RESNET, "resnet50-0676ba61.pth", "torchvision"),
        ("resnet50_v1_5", RESNET, "resnet50-11ad3fa6.pth", "torchvision_v2"),
        ("vgg16", VGG, "vgg16_features-amdegroot-88682ab5.pth", "amdegroot"),
    ],
)
def test_the_file_name_tells_sources_apart(net, shapes, name, source, file, caplog):
    caplog.set_level(logging.INFO, "keras_ilsvrc")
    found = find(info(net), file(name, shapes))
    assert (found.source.name, found.source.file) == (source, name)
    assert f"{name}: {source} weights of {net}" in caplog.text
    find(info(net), file("mine.pth", shapes))
    line = f"has the layout of the torchvision weights of {net}; their preprocessing is assumed"
    assert f"mine.pth: {line}" in caplog.text


def test_the_sha256_tells_whose_a_file_is(values, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "keras_ilsvrc")
    path = tmp_path / "mine.safetensors"
    write(path, values)
    know(monkeypatch, sha256=files.sha256(path))
    find(info(NET), path)
    assert f"{path}: pytorchcv weights of {NET}" in caplog.text


@pytest.mark.parametrize("word", ["weight", "bias"])
def test_a_classifier_is_set_whole_or_not_at_all(word, values, tmp_path):
    whole, path = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    write(whole, values)
    half = dict(readers.read(whole))
    name = f"output.final_conv.conv.{word}"
    half = {key: np.array(one) for key, one in half.items() if key != name}
    save_file(half, path)
    assert recognise(half, NET)[0].classes == 10
    ours = "cccp6/" + {"weight": "kernel"}.get(word, word)
    assert f"no tensor for {ours}" in message(build, NET, weights=path, classes=10)
    model = build(NET)
    before = values_of(model)
    report = assign(model, half, "pytorchcv", head=False)
    assert (len(report.kept), len(report.left_out)) == (2, 1)
    assert all(np.array_equal(before[key], values_of(model)[key]) for key in report.kept)
    assert same(build(NET, weights=path, classes=5), values, "cccp6")


def test_dense_layers_without_a_classifier_are_loaded(tmp_path):
    path, whole = tmp_path / "headless.npz", values_of(build("alexnet", **TINY))
    np.savez(path, **{key: one for key, one in whole.items() if not key.startswith("fc8")})
    assert same(build("alexnet", **TINY, weights=path, classes=4), whole, "fc8")
    assert "has no classifier" in message(build, "alexnet", **TINY, weights=path)
    np.savez(path, **{key: one for key, one in whole.items() if not key.startswith("fc")})
    for options in ({}, {"classes": 4}):
        line = message(build, "alexnet", **TINY, **options, weights=path)
        assert "has no fully connected layers" in line


@pytest.mark.tensorflow
def test_a_net_predicts_the_classes_of_its_file(tmp_path):
    from keras_ilsvrc.runs.loaded import load_net

    path = tmp_path / "seven.weights.h5"
    build(NET, classes=7).save_weights(path)
    loaded = load_net(NET, path, "none")
    assert loaded.classes == tuple("0123456")
    build(NET, include_top=False).save_weights(path)
    line = message(load_net, NET, path, "none")
    assert line == f"{path}: contains no classifier, which predictions need; pass a file with one"


def test_weights_that_can_be_downloaded_are_recommended():
    for net in {source.net for source in SOURCES}:
        found = sources_of(net)
        known = [source for source in found.values() if source.dataset == "ImageNet"]
        if known:
            best = next((source for source in known if source.downloadable), known[0])
            assert found["imagenet"] == best
    zipped = [source for source in SOURCES if source.name == "pytorchcv"]
    assert all(x.url.endswith(f"/{x.file}.zip") and not x.downloadable for x in zipped)


def test_the_name_of_a_source_is_not_that_of_a_folder(tmp_path, monkeypatch):
    from keras_ilsvrc.runs import initial

    monkeypatch.chdir(tmp_path)
    Path("caffe").mkdir()
    Path("pytorchcv").write_bytes(b"weights")
    for name in ("caffe", "pytorchcv"):
        assert find_source(NET, name).name == name
    assert find_source(NET, "./pytorchcv") is None
    assert "is a folder" in message(find_source, NET, "./caffe")
    Path("bad").mkdir()
    assert message(find_source, NET, "bad") == "bad is a folder; expected a weights file"
    line = message(initial._load, build(NET), "caffe", None, info(NET), set())
    assert "cannot be downloaded by name" in line


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"weights": 3}, "weights is 3; expected the name of published weights or the path"),
        ({"weights": True}, "weights is True"),
        ({"weights": ""}, "weights is ''"),
        ({"sha256": "0" * 64}, "sha256 is given without weights"),
        ({"weights": "caffe", "sha256": 5}, "sha256 is 5; expected 64"),
    ],
)
def test_weights_that_cannot_be_are_one_line(arguments, part):
    assert part in message(build, NET, **arguments)


def test_only_named_layers_are_lent_by_a_deeper_run(tmp_path, monkeypatch):
    from keras_ilsvrc.runs import initial

    model, deeper = (build("resnet_cifar", depth=depth, width=0.25) for depth in (8, 14))
    monkeypatch.setattr(initial.RunFiles, "check_finished", lambda run: run)
    monkeypatch.setattr(initial, "trained_model", lambda run: deeper)
    given = model, str(tmp_path), None, info("resnet_cifar", depth=8)
    skip = {weight.path for weight in model.weights} - {"conv1/kernel"}
    initial._load(*given, skip, some=True)
    assert np.array_equal(*(x.get_layer("conv1").kernel for x in (model, deeper)))
    assert "no weight for conv2_2/conv_1/kernel" in message(initial._load, *given, set())
