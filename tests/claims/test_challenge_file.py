"""Tests of `challenge.toml` in this package, and of its recipes."""

import pytest

from keras_ilsvrc.claims.challenge_file import RECIPES, Contest, folder
from keras_ilsvrc.nets import NETS
from keras_ilsvrc.recipe import load

FORMS = ("small", "full", "quick")
TEN = ["AlexNet", "ZFNet", "NIN", "VGG-16", "GoogLeNet", "BN-Inception"]
TEN += ["plain-34", "ResNet-18", "ResNet-34", "ResNet-50"]
TWICE = ["AlexNet", "VGG-11", "GoogLeNet", "ResNet-18"]


@pytest.fixture(params=FORMS)
def contest(request):
    return Contest(request.param)


def test_ten_nets_compete_and_four_have_two_recipes(contest):
    entries = contest.entries
    assert [name for name, entry in entries.items() if entry.competes] == TEN
    assert [name for name, entry in entries.items() if len(entry.rates) == 2] == TWICE


def test_every_net_has_images_that_it_can_take(contest):
    for (name, _), recipe in contest.recipes.items():
        height, width, _ = recipe.build.input_shape
        assert height == width == contest.size(name) >= contest.form.size
        assert height >= NETS[recipe.net].minimum
        assert [op.size for op in recipe.data.eval_ops[:2]] == [height * 9 // 8, height]


def test_the_budget_and_the_images_are_the_same_for_all(contest):
    recipes = contest.recipes.values()
    assert len({recipe.schedule.epochs for recipe in recipes}) == 1
    assert len({recipe.data.batch_size for recipe in recipes}) == 1
    shown = {
        str([(op.op, getattr(op, "size", 0) / r.build.input_shape[0]) for op in r.data.train_ops])
        for r in recipes
    }
    assert len(shown) == 1


def test_nin_alone_has_other_initial_values_because_its_last_relu_would_die():
    initial = {name: recipe.initial for (name, _), recipe in Contest().recipes.items()}
    assert initial.pop("NIN") == "glorot"
    assert initial.pop("VGG-16").rest == "he"
    assert set(initial.values()) == {"he"}


def test_only_googlenet_departs_in_its_size():
    contest = Contest()
    sizes = {name: contest.size(name) for name in contest.entries}
    assert {name: size for name, size in sizes.items() if size != 64} == {"GoogLeNet": 80}
    departures = contest.departures()
    assert departures["GoogLeNet"] == ["80x80 pixels, because the net needs at least 79"]
    assert departures["all"][0] == "images of 64x64 pixels, 10 epochs"


def test_entries_with_batch_normalisation_have_the_higher_rate():
    rates = {name: entry.rates["era"] for name, entry in Contest().entries.items()}
    higher = {"BN-Inception", "plain-34", "ResNet-18", "ResNet-34", "ResNet-50"}
    assert {name for name, rate in rates.items() if rate > 0.03} == higher


def test_each_recipe_is_whole_and_says_what_it_is():
    for form in ("", "_digits"):
        era, today = (load(folder() / f"{name}{form}.toml") for name in RECIPES)
        assert era.departs
        assert (era.optimizer.name, era.schedule.name) == ("sgd", "steps")
        assert (today.optimizer.name, today.schedule.name) == ("adamw", "cosine")
        assert (today.loss.label_smoothing, today.data.mixup) == (0.1, 0.2)
        same = {"mixup"}
        assert era.data.model_dump(exclude=same) == today.data.model_dump(exclude=same)
