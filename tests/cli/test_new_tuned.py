"""Tests of the `new` command with trained weights: the recipe fine-tunes them without changes."""

import json
import tomllib
from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np
import pytest
from commands import refused, said
from foreign import NET, write_nin
from rich.console import Console
from test_new import folder_of

import keras_ilsvrc
from keras_ilsvrc.nets.pretrained import Found
from keras_ilsvrc.recipe import load
from keras_ilsvrc.runs import choices, new
from keras_ilsvrc.runs.choices import TUNED, WAYS, Facts, Plan, plan_of
from keras_ilsvrc.runs.tuning import Tuning, size_of, tuning_of
from keras_ilsvrc.weights import download


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with photographs, a file of weights of `NET`, and others that do not fit."""
    path = tmp_path_factory.mktemp("tuned")
    folder_of(path / "photos", {"cats": 12, "dogs": 30})
    values = write_nin(path / "net.safetensors")
    np.savez(path / "own.npz", **values)
    np.savez(path / "odd.npz", x=np.zeros(3))
    (path / "page.pth").write_text("<!doctype html><title>404</title>")
    return path


def test_a_recipe_that_fine_tunes_is_written_and_trains(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    out = tmp_path / "a.toml"
    shown = said("new", "photos", "--net", NET, "--weights", "net.safetensors", "--out", out)
    assert "at 32 pixels" in shown
    assert "from the pytorchcv weights" in shown
    assert "all others from those in net.safetensors.\n" in out.read_text()
    recipe, table = load(out), tomllib.loads(out.read_text())
    assert table["initial"] == {"weights": str(place / "net.safetensors"), "skip": ["head"]}
    assert (recipe.freeze, recipe.first.freeze) == ("cccp4", "cccp5")
    first = recipe.first_table()["schedule"]
    assert first["learning_rate"] == pytest.approx(10 * recipe.schedule.learning_rate)
    assert first["epochs"] == recipe.schedule.epochs / 4
    rows = keras_ilsvrc.info(NET).sources["pytorchcv"].preprocessing
    assert table["data"]["eval_ops"][2:] == table["data"]["train_ops"][3:] == [*map(dict, rows)]
    changes = [f"--set={key}=0.5" for key in ("schedule.epochs", "first.schedule.epochs")]
    changes += ["--set=schedule.warm_up=[0.25, 0.001]", "--set=report=false"]
    monkeypatch.chdir(tmp_path)
    result = json.loads(said("train", out, "--out", "run", "--json", *changes))
    assert result["images"] == 8
    first, last = (keras_ilsvrc.load_run(tmp_path / x).model for x in ("run/first", "run"))
    values, moved = write_nin(tmp_path / "again.safetensors"), set()
    for old, now in zip(first.weights, last.weights, strict=True):
        moved |= {old.path} if (old.numpy() != now.numpy()).any() else set()
        assert "cccp6" in old.path or (old.numpy() == values[old.path]).all()
    layers = ("conv3", "cccp5", "cccp6")
    assert moved == {f"{layer}/{word}" for layer in layers for word in ("kernel", "bias")}


def test_published_weights_are_downloaded_before_the_speed_is_measured(
    place, tmp_path, monkeypatch
):
    steps = []

    def fetch(source, sha256=None):
        steps.append(source.name)
        return place / "net.safetensors"

    monkeypatch.setattr(download, "fetch", fetch)
    monkeypatch.setattr(choices, "_seconds", lambda model: 1e-3)
    monkeypatch.setattr(Plan, "learning_rate", 0.0011)
    monkeypatch.setattr(Console, "status", lambda _, text: steps.append(text) or nullcontext())
    monkeypatch.chdir(place)
    said("new", "photos", "--net", NET, "--weights", "pytorchcv", "--out", tmp_path / "a.toml")
    assert steps.index("pytorchcv") < steps.index(f"measuring the speed of {NET}")
    lines = (tmp_path / "a.toml").read_text().splitlines()
    assert "learning_rate = 0.011" in lines  # ten times 0.0011 is 0.011000000000000001


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("photos", "--net", "resnet20_cifar", "--weights", "net.safetensors"), "nin_cifar10"),
        (
            ("photos", "--net", NET, "--weights", "odd.npz"),
            "odd.npz: its tensor names, for example x, match no known weights",
        ),
        (("photos", "--net", NET, "--weights", "page.pth"), "page.pth"),
        (
            ("photos", "--net", NET, "--weights", "own.npz"),
            "not published weights, so their preprocessing is unknown",
        ),
        (("photos", "--net", NET, "--weights", "nosuch.pth"), "nosuch.pth: no such weights file"),
        (("photos", "--net", NET, "--weights", "timm"), "known for nin_cifar10: caffe, pytorchcv"),
        (
            ("--from", "quickstart", "--weights", "net.safetensors"),
            "--weights needs a folder of images",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_before_a_recipe_is_written(
    place, tmp_path, monkeypatch, words, part
):
    monkeypatch.chdir(place)
    line = refused("new", *words, "--out", tmp_path / "a.toml")
    assert part in line
    assert not [*tmp_path.iterdir()]


def found(net, source, classes=1000):
    return Found(Path("x"), {}, source=keras_ilsvrc.info(net).sources[source], classes=classes)


def test_weights_whose_preprocessing_is_unknown_are_refused(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setattr(new, "find", lambda net, path: found("vgg16", "keras_onnx", None))
    words = ("photos", "--net", "vgg16", "--weights", "net.safetensors")
    line = refused("new", *words, "--out", tmp_path / "a.toml")
    assert "net.safetensors: keras_onnx weights, so their preprocessing is unknown" in line
    assert "skip = [the new layers]} and the ops of the original net in it" in line
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("images", "freeze"), [(1000, "conv3_3"), (5000, "conv3_1"), (20_000, "conv2_1"), (10**6, None)]
)
def test_the_fewer_images_the_more_is_frozen(monkeypatch, images, freeze):
    monkeypatch.setattr(choices, "_seconds", lambda model: 1e-3)
    net = "resnet20_cifar"
    plan = plan_of(net, Facts(images, (), 5, 1.0, 300), weights=found(net, "pytorchcv", 10))
    assert (plan.tuning.skip, plan.tuning.freeze) == (["head"], freeze)
    assert (plan.size, plan.tuning.first_freeze) == (32, "conv4_3")
    assert [row["op"] for row in plan.eval_rows] == ["resize_shorter", "centre_crop", "normalise"]


def test_images_are_preprocessed_as_in_the_training_of_the_weights():
    source = found("alexnet", "caffe").source
    tuning = Tuning(source, ["head"], None, "fc7", 2)
    plan = Plan(size_of(source), 16, 20, 1.0, WAYS[True], tuning)
    assert plan.size == 227
    assert plan.eval_rows == source.preprocessing
    assert plan.train_rows == [row for row in source.preprocessing if row["op"] == "normalise"]


@pytest.mark.parametrize(
    ("net", "source", "classes", "expected"),
    [
        ("googlenet", "caffe", 1000, (["head"], "inception_4d", "inception_5b")),
        ("vgg16_bn", "torchvision", None, (["fc6", "fc7", "fc8"], "conv4_2", "conv5_3")),
    ],
)
def test_units_are_modules_and_layers_that_the_file_lacks_are_new(net, source, classes, expected):
    size = 64 if "vgg" in net else 224
    with keras.StatelessScope(initialize_variables=False):
        model = keras_ilsvrc.build(net, input_shape=(size, size, 3), classes=5)
    tuning = tuning_of(model, found(net, source, classes), 0.75, 0.1)
    assert (tuning.skip, tuning.freeze, tuning.first_freeze) == expected
    assert tuning.first_epochs == 2


def test_amounts_of_fine_tuning_are_in_order():
    assert [row.images for row in TUNED] == sorted(row.images for row in TUNED)
    shares = [row.frozen for row in TUNED]
    assert shares == sorted(shares, reverse=True)
