"""Tests that all functions that take the name of a net accept the names that `build` accepts."""

import json
import math
import re

import pytest
import tensorflow as tf
from typer.testing import CliRunner

from keras_ilsvrc import InputError, build, hypermodel, info
from keras_ilsvrc.cli import app
from keras_ilsvrc.recipe import find, load
from keras_ilsvrc.runs.experiment import set_up

pytestmark = pytest.mark.tensorflow

TAKEN = (
    "resnet_cifar[depth=8]",
    "resnet20_cifar[shortcut=B,width=0.5]",
    "resnet20_cifar[order=original]",  # the published net, spelled out
    "googlenet[auxiliary=True]",
    "alexnet[activation=tanh,pool=2/2]",
)
REFUSED = ("resnet5", "alexnet[activation=than]", "alexnet[activatoin=tanh]", "resnet5[depth=8]")


def said(*words):
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    return json.loads(result.stdout)


def trained(name):
    """Runs `train` with a net of this name, but for the training."""
    return said("train", "quickstart", "--set", f"net='{name}'", "--out", "nowhere")


TAKERS = {
    "hypermodel": lambda name: hypermodel(name).name,
    "info": lambda name: said("info", name, "--json")["name"],
    "compare": lambda name: said("compare", name, "--json")[0]["net"],
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_name_that_build_takes_is_taken_everywhere(name, unallocated):
    row, model = info(name), unallocated(name)
    assert model.name == row.model_name
    for taker, take in TAKERS.items():
        assert take(name) == row.name, taker
    count = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    for words in (("info", name, "--account"), ("compare", name)):
        found = said(*words, "--json")
        assert (found if words[0] == "info" else found[0])["parameters"] == count, words


def test_a_table_is_printed_under_any_name_of_the_net():
    rows = said("table", "resnet20_cifar[order=original]", "--json")
    assert rows == said("table", "resnet20_cifar", "--json")
    with pytest.raises(InputError, match=r"prints no table of resnet20_cifar\[width=0.5\]"):
        said("table", "resnet20_cifar[width=0.5]")


def test_a_recipe_takes_a_varied_name():
    recipe = load(find("quickstart"), ["net='resnet_cifar[depth=8,width=0.5]'"])
    stage = set_up(recipe, tf.distribute.get_strategy())
    assert stage.net == info("resnet_cifar", depth=8, width=0.5)
    assert stage.model.name == stage.net.model_name
    assert stage.model.get_layer("conv4_1").output.shape == (None, 2, 2, 32)


def test_an_unknown_name_is_refused_everywhere_in_the_same_words():
    takers = [
        hypermodel,
        build,
        *(lambda *x, y=y: said(y, *x) for y in ("info", "table", "compare")),
    ]
    takers += [lambda name: said("info", name, "--account"), trained]
    for name in REFUSED:
        with pytest.raises(InputError) as raised:
            info(name)
        for take in takers:
            with pytest.raises(InputError, match=re.escape(str(raised.value))):
                take(name)
