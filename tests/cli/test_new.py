"""Tests of the `new` command, from a folder of images to a recipe that loads."""

import dataclasses
import tomllib

import numpy as np
import pytest
from commands import refused, said
from PIL import Image

from keras_ilsvrc import InputError
from keras_ilsvrc.data.source import Shares
from keras_ilsvrc.data.sources import open_source
from keras_ilsvrc.recipe import find, load
from keras_ilsvrc.runs.choices import AMOUNTS, WAYS, Facts, Plan, facts_of, plan_of
from keras_ilsvrc.runs.experiment import set_up
from keras_ilsvrc.training.strategy import mirrored

RNG = np.random.default_rng(0)


def folder_of(path, counts, sizes=((50, 70), (45, 60), (90, 64))):
    """A folder of noise, one folder a class, whose shorter sides have the median 50."""
    for name, count in counts.items():
        (path / name).mkdir(parents=True)
        for number in range(count):
            pixels = RNG.integers(0, 255, (*sizes[number % len(sizes)], 3), "uint8")
            Image.fromarray(pixels).save(path / name / f"{number:03}.png")
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    place = tmp_path_factory.mktemp("new") / 'my "best" photos of Ümläute'
    return folder_of(place, {"cats": 12, "dogs": 30})


def test_new_writes_a_recipe_that_loads_and_names_the_command_that_trains_it(
    photos, tmp_path, monkeypatch
):
    monkeypatch.chdir(photos.parent)
    out = tmp_path / "my photos.toml"
    shown = said("new", photos.name, "--net", "resnet20_cifar", "--out", out).splitlines()
    command = f"keras-ilsvrc train '{out}' --out 'runs/my photos'"
    assert shown[-1] == f"next: {command}"
    text = out.read_text(encoding="utf-8")
    assert text.startswith(f"# {command}\n")
    assert text.count("change me") >= 5
    recipe = load(out)
    assert recipe.data.dataset == f"folder:{photos}"
    assert recipe.build.input_shape == [32, 32, 3]
    assert (recipe.build.classes, recipe.data.batch_size) == (2, 16)
    assert (recipe.keep, recipe.loss.class_weights) == ("best", "balanced")
    table = tomllib.loads(text)
    assert table["data"]["split"] == {"validation": 0.2, "test": 0.2, "seed": 0}
    steps = recipe.schedule.epochs * -(-round(42 * 0.6) // 16)
    assert 2000 <= steps < 2002


@pytest.fixture
def speed(monkeypatch):
    """Let the time of a training image depend on nothing but its pixels: a millisecond at 32."""
    monkeypatch.setattr(
        "keras_ilsvrc.runs.choices._seconds", lambda model: model.input_shape[1] ** 2 / 32**2 / 1e3
    )


@pytest.mark.usefixtures("speed")
def test_new_takes_the_splits_of_a_folder_as_they_are(tmp_path):
    for split, count in (("train", 16), ("validation", 3), ("test", 3)):
        folder_of(tmp_path / "photos" / split, {"cats": count, "dogs": count})
    out = tmp_path / "photos.toml"
    said("new", tmp_path / "photos", "--net", "resnet20_cifar", "--out", out)
    table = tomllib.loads(out.read_text())
    assert "split" not in table["data"]
    assert "class_weights" not in table["loss"]
    assert (table["data"]["validation"], table["data"]["test"]) == ("validation", "test")


def test_a_missing_validation_split_is_taken_from_the_training_images(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_ilsvrc.runs.choices._seconds", lambda model: 0.01)
    for split, count in (("train", 3), ("test", 16)):
        folder_of(tmp_path / "photos" / split, {"cats": count, "dogs": count})
    out = tmp_path / "photos.toml"
    words = ("--net", "resnet20_cifar", "--out", out, "--hours", "0.01")
    shown = said("new", tmp_path / "photos", *words)
    assert "more than --hours 0.01: a network needs at least 2,000 steps" in shown
    recipe = load(out)
    experiment = set_up(recipe, mirrored(1))
    assert f"on {len(experiment.train)} images" in shown
    assert (len(experiment.train), len(experiment.validation), len(experiment.test)) == (4, 2, 32)
    assert recipe.data.split.model_dump() == {"validation": 0.2, "test": 0.0, "seed": 0}


@pytest.mark.parametrize("count", [3, 4, 7, 13, 26])
def test_the_number_of_training_images_is_that_which_splitting_leaves(tmp_path, count):
    name = f"folder:{folder_of(tmp_path / 'x', {'cats': count, 'dogs': 3})}"
    facts = facts_of(open_source(name, split=Shares(0, 0)))
    assert facts.train == len(open_source(name).splits["train"])


def test_a_source_without_train_or_anything_to_test_on_is_refused():
    digits = open_source("digits", 1)
    for names in (("test",), ("train",)):
        splits = {name: digits.splits[name] for name in names}
        with pytest.raises(InputError, match=f"has the splits {names[0]}; expected train, and"):
            facts_of(dataclasses.replace(digits, splits=splits))


def test_new_copies_a_recipe_with_its_comments(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = said("new", "--from", "quickstart")
    assert shown == "next: keras-ilsvrc train quickstart.toml --out runs/quickstart\n"
    assert (tmp_path / "quickstart.toml").read_text() == find("quickstart").read_text()


def test_new_copies_the_recipe_of_a_detector(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = said("new", "--from", "raccoons_hog")
    assert shown == "next: keras-ilsvrc detect train raccoons_hog.toml --out runs/raccoons_hog\n"
    assert "'raccoons_hog'" in refused("new", "--from", "racoons_hog")


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        ((), ["expected either a folder of images, or --from"]),
        (("photos", "--from", "quickstart"), ["expected either a folder"]),
        (("photos", "--net", "resnet21"), ["'resnet21'", "did you mean"]),
        (("--from", "quikstart"), ["'quickstart'"]),
        (("--from", "quickstart", "--out", "old.toml"), ["old.toml: already exists"]),
        (("photos", "--out", "old.toml"), ["old.toml: already exists"]),
        (("--from", "quickstart", "--out", "new.txt"), ["new.txt", "ends in .toml"]),
        (("--from", "quickstart", "--out", "no/new.toml"), ["there is no folder no"]),
        (("photoes",), ["photoes", "'photos'"]),
        (("photos", "--net", "resnet18"), ["smaller than 13 pixels", "32", "resnet20_cifar"]),
        (("one",), ["one class"]),
        (("few",), ["class 'dogs' has 2 of the 3 images", "add images"]),
    ],
)
def test_what_cannot_be_written_is_one_line_and_no_file(tmp_path, monkeypatch, words, fragments):
    monkeypatch.chdir(tmp_path)
    folder_of(tmp_path / "photos", {"cats": 5, "dogs": 5}, [(12, 12)])
    folder_of(tmp_path / "one", {"cats": 8}, [(40, 40)])
    folder_of(tmp_path / "few", {"cats": 8, "dogs": 2}, [(40, 40)])
    (tmp_path / "old.toml").write_text("old")
    before = sorted(tmp_path.rglob("*"))
    line = refused("new", *words)
    for fragment in fragments:
        assert fragment in line
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "old.toml").read_text() == "old"


@pytest.mark.usefixtures("speed")
@pytest.mark.parametrize(
    ("net", "images", "shorter", "hours", "expected"),
    [
        ("resnet20_cifar", 100, 400, None, (32, 16, 286)),  # as published; 2,000 steps of 7
        ("resnet_cifar[depth=8]", 100, 20, None, (20, 16, 286)),  # not above the median
        ("resnet_cifar[depth=8]", 100_000, 400, None, (32, 128, 30)),
        ("resnet_cifar[depth=8]", 100_000, 400, 0.5, (32, 128, 18)),  # 1 ms for each image
        ("resnet_cifar[depth=8]", 100, 400, 0.01, (32, 16, 286)),  # never below 2,000 steps
    ],
)
def test_size_batch_and_epochs_follow_from_number_size_and_time(
    net, images, shorter, hours, expected
):
    plan = plan_of(net, Facts(images, (), 2, 1.0, shorter), hours)
    assert (plan.size, plan.batch_size, plan.epochs) == expected


@pytest.mark.usefixtures("speed")
def test_images_get_smaller_before_epochs_get_fewer():
    facts = Facts(1000, (), 2, 1.0, 400)
    sizes = [plan_of("nin", facts, hours).size for hours in (10, 0.2, 0.01)]
    assert sizes == [128, 96, 96]


@pytest.mark.usefixtures("speed")
def test_nets_without_batch_normalisation_get_adamw_and_a_low_rate():
    facts = Facts(1000, (), 2, 1.0, 32)
    without, with_bn = plan_of("nin_cifar10", facts), plan_of("resnet_cifar[depth=8]", facts)
    assert (without.way.optimizer["name"], with_bn.way.optimizer["name"]) == ("adamw", "sgd")
    assert without.learning_rate < with_bn.learning_rate / 100


def test_one_minute_is_not_plural():
    times = [Plan(32, 16, 60, minutes / 60, WAYS[True]).time for minutes in (0.1, 2, 120)]
    assert times == ["1 minute", "2 minutes", "2.0 hours"]


def test_amounts_are_in_order():
    assert [row.images for row in AMOUNTS] == sorted(row.images for row in AMOUNTS)
    with pytest.raises(InputError, match="no net is called"):
        plan_of("nonet", Facts(10, (), 2, 1.0, 32))
