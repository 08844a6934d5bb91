# ruff: noqa: F811 (a fixture is imported, and then an argument)
"""Tests of recipe tables with variants, and of the recipe keys for training."""

import re
from pathlib import Path

import pytest
from test_load import message, write  # noqa: F401

from keras_ilsvrc import recipe as recipes
from keras_ilsvrc.recipe import schema
from keras_ilsvrc.recipe.ops import Table

STEPS = 'name = "steps"\nsteps = 1800\nlearning_rate = [[0, 0.01], [45, 0.1], [900, 0.01]]'
SCHEDULES = {
    "plateau": ("learning_rate = 0.1", "factor = 0.1", "patience = 5", "times = 3"),
    "polynomial": ("learning_rate = 0.1", "power = 0.5", "warm_up = [400, 0.01]"),
    "exponential": ("learning_rate = 0.1", "factor = 0.94", "every = 10"),
    "cosine": ("learning_rate = 0.1", "warm_up = [400, 0.01]"),
}


VALIDATED = ["data.validation=validation"]


def schedule(name, *rows):
    return "\n".join((f'name = "{name}"', "steps = 1800", *rows))


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_has_keys_of_its_own(write, name):
    recipe = recipes.load(write(STEPS, schedule(name, *SCHEDULES[name])), VALIDATED)
    assert (recipe.schedule.name, recipe.schedule.learning_rate) == (name, 0.1)
    path = write(STEPS, schedule(name, *SCHEDULES[name], "gamma = 1"))
    assert "schedule.gamma: unknown key" in message(path, VALIDATED)


@pytest.mark.parametrize(
    ("new", "parts"),
    [
        (
            schedule("stairs", "learning_rate = 0.1"),
            ["schedule.name: unknown value 'stairs'", "steps"],
        ),
        ("steps = 1800", ["schedule: {'steps': 1800} should be a table with a key name"]),
        (schedule("plateau", "learning_rate = 0.1"), ["schedule.factor: missing"]),
        (
            schedule("plateau", *SCHEDULES["plateau"], "warm_up = [400, 0.01]"),
            ["schedule.warm_up", "the plateau schedule has no warm-up"],
        ),
        (f"{STEPS}\nwarm_up = [400]", ["schedule.warm_up", "[steps, first rate]"]),
        (f"{STEPS}\nwarm_up = [0.5, 0.1]", ["schedule.warm_up", "[steps, first rate]"]),
        (f"{STEPS}\nwarm_up = [1800, 0.1]", ["schedule.warm_up", "than the 1,800 steps of"]),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(write, new, parts):
    said = message(write(STEPS, new))
    for part in parts:
        assert part in said


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("precision=float8", "precision: 'float8'"),
        ("accumulate=0", "accumulate: 0"),
        ("loss.label_smoothing=1.0", "loss.label_smoothing: 1.0"),
        ("optimizer.average=1.0", "optimizer.average: 1.0"),
        ("optimizer.clip_norm=0.0", "optimizer.clip_norm: 0.0"),
        ("optimizer.rates.bias=-1.0", "optimizer.rates.bias: -1.0"),
        ("optimizer.rho=0.9", "optimizer.rho: unknown key of sgd; it is a key of rmsprop"),
        ("optimizer.name=rmsprop", "optimizer.rho: missing"),
        ("optimizer.name=adam", "optimizer.momentum: unknown key of adam; it is a key of sgd"),
        ("schedule.epochs=2", "schedule.epochs: 2: expected either steps or epochs, not both"),
        (
            "keep=best",
            "--set keep=best: keep: needs data.validation; set it to the name of a split",
        ),
        ("early_stopping.patience=2", "early_stopping: needs data.validation"),
        ("keep=first", "keep: 'first' should be 'best' or 'last'"),
        ("loss.class_weights=even", "loss.class_weights: 'even' should be 'balanced'"),
        ("data.mixup=0.0", "data.mixup: 0.0 should be greater than 0"),
    ],
)
def test_a_training_that_cannot_be_is_refused(write, override, part):
    assert part in message(write(), [override])


def test_a_warm_up_is_shorter_than_the_training(write):
    """Otherwise, the rate would rise to the 0 at which a cosine ends."""
    path = write(STEPS, 'name = "cosine"\nepochs = 667\nlearning_rate = 0.1\nwarm_up = [33, 0.0]')
    said = "the warm-up is not shorter than the 5 epochs of the schedule; shorten it"
    assert f"schedule.warm_up: [33, 0.0]: {said}" in message(path, ["schedule.epochs=5"])
    assert f": first.schedule.warm_up: [33.0, 0.0]: {said}" in message(
        path, ["first.schedule.epochs=5"]
    )
    assert recipes.load(path, ["schedule.epochs=34"]).schedule.warm_up == [33, 0.0]


EPOCHS = """\
name = "steps"
epochs = 2.5
warm_up = [0.1, 0.01]
learning_rate = [[0, 0.1], [1.5, 0.01], [1.51, 0.001]]"""


def test_lengths_in_epochs_become_steps(write):
    """In epochs of 45 steps, whatever part of a step is left is a step."""
    found = recipes.load(write(STEPS, EPOCHS)).schedule.in_steps(45)
    assert (found.steps, found.epochs, found.warm_up) == (113, None, [5, 0.01])
    assert found.learning_rate == [[0, 0.1], [68, 0.001]]
    every = 'name = "exponential"\nepochs = 30\nlearning_rate = 0.1\nfactor = 0.5\nevery = 0.1'
    found = recipes.load(write(STEPS, every)).schedule.in_steps(30)
    assert (found.steps, found.every) == (900, 3)  # 0.1 * 30 is not 3 in binary


def test_lengths_in_steps_are_whole_and_stay_as_they_are(write):
    schedule = recipes.load(write()).schedule
    assert schedule.in_steps(7) == schedule
    every = 'name = "exponential"\nsteps = 30\nlearning_rate = 0.1\nfactor = 0.5\nevery = 0.5'
    assert "schedule.every: 0.5: expected a whole number of steps" in message(write(STEPS, every))
    path = write(STEPS, every.replace("0.5", "1").replace("factor = 1", "factor = 0.5"))
    assert "\nevery = 1\n" in recipes.load(path).toml()


def test_every_key_is_in_the_table_of_its_page():
    page = (Path(__file__).parents[2] / "docs/recipes.md").read_text(encoding="utf-8")
    section = page.split("## The keys of a recipe")[1].split("\n## ")[0]
    tables = [x for x in vars(schema).values() if isinstance(x, type) and issubclass(x, Table)]
    keys = {key for table in tables for key in table.model_fields}
    assert {key for key in keys if not re.search(rf"`[^`]*\b{key}\b[^`]*`", section)} == set()


def test_saved_recipes_keep_the_order_of_their_keys():
    """A run is resumed only if its recipe is the same, byte for byte."""
    saved = recipes.load(recipes.find("quickstart")).toml()
    keys = re.findall(r"^(?:\[+([\w.]+)\]+|(\w+) =)", saved, re.MULTILINE)
    schedule = [key for _, key in keys[keys.index(("schedule", "")) + 1 :] if key][:3]
    assert schedule == ["steps", "name", "learning_rate"]
