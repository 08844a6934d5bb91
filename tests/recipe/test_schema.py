# ruff: noqa: F811 (a fixture is imported, and then an argument)
"""The tables that a key of theirs chooses among, and the keys of training."""

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
}


def schedule(name, *rows):
    return "\n".join((f'name = "{name}"', "steps = 1800", *rows))


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_has_keys_of_its_own(write, name):
    recipe = recipes.load(write(STEPS, schedule(name, *SCHEDULES[name])))
    assert (recipe.schedule.name, recipe.schedule.learning_rate) == (name, 0.1)
    path = write(STEPS, schedule(name, *SCHEDULES[name][:-1], "gamma = 1"))
    assert "unknown key schedule.gamma" in message(path)


@pytest.mark.parametrize(
    ("new", "parts"),
    [
        (schedule("stairs", "learning_rate = 0.1"), ["schedule.name is 'stairs'", "steps"]),
        ("steps = 1800", ["schedule: expected a table with a key name"]),
        (schedule("plateau", "learning_rate = 0.1"), ["schedule.factor is missing"]),
        (
            schedule("plateau", *SCHEDULES["plateau"], "warm_up = [400, 0.01]"),
            ["schedule.warm_up", "the plateau schedule has no warm-up"],
        ),
        (f"{STEPS}\nwarm_up = [400]", ["schedule.warm_up", "[steps, first rate]"]),
        (f"{STEPS}\nwarm_up = [0.5, 0.1]", ["schedule.warm_up", "[steps, first rate]"]),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(write, new, parts):
    said = message(write(STEPS, new))
    for part in parts:
        assert part in said


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("precision=float8", "precision is 'float8'"),
        ("accumulate=0", "accumulate is 0"),
        ("loss.label_smoothing=1.0", "loss.label_smoothing is 1.0"),
        ("optimizer.average=1.0", "optimizer.average is 1.0"),
        ("optimizer.clip_norm=0.0", "optimizer.clip_norm is 0.0"),
        ("optimizer.rates.bias=-1.0", "optimizer.rates.bias is -1.0"),
        ("optimizer.rho=0.9", "unknown key optimizer.rho of sgd; it is a key of rmsprop"),
        ("optimizer.name=rmsprop", "optimizer.rho is missing"),
    ],
)
def test_a_training_that_cannot_be_is_refused(write, override, part):
    assert part in message(write(), [override])


def test_every_key_is_in_the_table_of_its_page():
    page = (Path(__file__).parents[2] / "docs/training.md").read_text(encoding="utf-8")
    section = page.split("## A recipe")[1].split("\n## ")[0]
    tables = [x for x in vars(schema).values() if isinstance(x, type) and issubclass(x, Table)]
    keys = {key for table in tables for key in table.model_fields}
    assert {key for key in keys if not re.search(rf"`[^`]*\b{key}\b[^`]*`", section)} == set()


def test_saved_recipes_keep_the_order_of_their_keys():
    """A run is resumed only if its recipe is the same, byte for byte."""
    saved = recipes.load(recipes.find("quickstart")).toml()
    keys = re.findall(r"^(?:\[+([\w.]+)\]+|(\w+) =)", saved, re.MULTILINE)
    schedule = [key for _, key in keys[keys.index(("schedule", "")) + 1 :] if key][:3]
    assert schedule == ["steps", "name", "learning_rate"]
