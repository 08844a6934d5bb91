"""Tests of every recipe of the package: its expected error, its net, and one training step."""

import os
import re
import subprocess
import sys
import zipfile
from math import ceil
from pathlib import Path
from shutil import copy, copytree, ignore_patterns
from typing import get_args

import numpy as np
import pytest
from cases import each_of

from keras_ilsvrc import recipe as recipes
from keras_ilsvrc.nets import NETS, info
from keras_ilsvrc.recipe.schema import Protocol
from keras_ilsvrc.training.strategy import mirrored

ROOT = Path(__file__).parent.parent.parent
FILES = sorted((ROOT / "recipes").glob("*.toml"))
RECIPES = {path.stem: recipes.load(path) for path in FILES}
# Height, width and channels of the images of a data set; of those that vary, one image's.
IMAGES = {
    "digits": (8, 8, 1),
    "idx:/usr/share/datasets/fashion-mnist": (28, 28, 1),
    "tfds:cifar10": (32, 32, 3),
    "tfds:cifar100": (32, 32, 3),
    "tfds:imagenet2012": (288, 300, 3),
    "tfds:imagenette/320px-v2": (320, 330, 3),
    "tfds:mnist": (28, 28, 1),
}
CLASSES = {"tfds:imagenet2012": 1000, "tfds:cifar100": 100}
RULES = ("paper", "he", "glorot")  # for initial values
# What takes a step in a second or two, and differs enough to be seen whenever the tests run. A run
# of a smaller net of the quickstart is in many other tests.
QUICK = {"lenet5", "lenet5_fashion_mnist", "nin_cifar10_digits"}
every = each_of("name", RECIPES)


def size_behind(rows, size):
    """Height and width, as far as ops leave no doubt."""
    for row in rows:
        if row.op == "resize" or row.op.endswith("_crop"):
            size = row.size, row.size
        elif row.op == "pad":
            size = size[0] + 2 * row.size, size[1] + 2 * row.size
        elif row.op in ("resize_shorter", "scale_jitter"):
            size = None, None
    return size


@every
def test_is_found_by_its_name_and_trains_a_net_that_exists(name):
    recipe = RECIPES[name]
    assert recipes.find(name).read_bytes() == (ROOT / f"recipes/{name}.toml").read_bytes()
    assert info(recipe.net, **recipe.build.variations)
    assert (recipe.build.classes or info(recipe.net).classes) == CLASSES.get(
        recipe.data.dataset, 10
    )


@every
def test_says_what_it_should_reach_or_that_nobody_measured_it(name):
    text = (ROOT / f"recipes/{name}.toml").read_text(encoding="utf-8")
    assert (RECIPES[name].expect is None) == ("\n# not measured" in text)


@every
def test_ops_end_in_what_the_net_takes(name):
    recipe = RECIPES[name]
    shape = tuple(recipe.build.input_shape or info(recipe.net).input_shape)
    height, width, channels = IMAGES[recipe.data.dataset]
    assert channels == shape[2]
    for rows in (recipe.data.train_ops, recipe.data.eval_ops):
        assert size_behind(rows, (height, width)) == shape[:2]


@every
def test_rates_change_before_the_last_step(name):
    schedule = RECIPES[name].schedule
    starts = [schedule.warm_up[0] if schedule.warm_up else 0]
    if schedule.name == "steps":
        starts += [start for start, _ in schedule.learning_rate]
    elif schedule.name == "exponential":
        starts.append(schedule.every)
    assert max(starts) < schedule.steps


@every
def test_steps_are_what_the_comments_compute(name):
    text = (ROOT / f"recipes/{name}.toml").read_text(encoding="utf-8")
    pattern = r"^(?:steps|every) = ([\d_]+) +#.*?([\d/]+) \* ([\d,]+) / (\d+)$"
    for found, epochs, images, batch in re.findall(pattern, text, re.MULTILINE):
        over, _, under = epochs.partition("/")
        images = int(images.replace(",", ""))
        assert int(batch) == RECIPES[name].data.batch_size
        assert int(found) == ceil(images * int(over) / int(under or 1) / int(batch))


@each_of("name", [x for x in RECIPES if x in NETS and NETS[x].protocol])
def test_the_recipe_of_a_net_expects_its_published_errors(name):
    net, expect = NETS[name], RECIPES[name].expect
    assert info(RECIPES[name].net, **RECIPES[name].build.variations).published
    assert (expect.top1_error, expect.top5_error) == (net.top1_error, net.top5_error)
    assert expect.protocol == net.protocol or net.protocol not in get_args(Protocol)


@every
def test_starts_by_a_rule_or_from_the_run_of_a_recipe(name):
    start = RECIPES[name].initial
    whole = isinstance(start, str)
    if start not in RULES:
        run = RECIPES[(start if whole else start.weights).removeprefix("runs/")]
        assert (run.net == RECIPES[name].net) == whole
        assert whole or start.rest in RULES


def made(recipe, count=4):
    """A source of random images of a recipe's data set."""
    from keras_ilsvrc.data.source import Source
    from keras_ilsvrc.data.split import Split

    rng = np.random.default_rng(0)
    shape, classes = IMAGES[recipe.data.dataset], CLASSES.get(recipe.data.dataset, 10)
    pixels = rng.integers(0, 256, (count, *shape), "uint8")
    labels = rng.integers(0, classes, count).astype("int32")
    splits = dict.fromkeys(
        ("train", "validation", "test"), Split(labels, pixels, channels=shape[2])
    )
    return Source(recipe.data.dataset, splits, tuple(map(str, range(classes))))


def shallow(name):
    """Overrides that make nets for CIFAR of more than 56 layers ones of a unit a stage."""
    row = info(RECIPES[name].net, **RECIPES[name].build.variations)
    if row.builder != "resnet:resnet_cifar" or row.arguments["depth"] <= 56:
        return []
    unit = row.arguments["unit"]
    net, depth = {"basic": ("resnet_cifar", 8), "bottleneck": ("resnet_v2_cifar", 11)}[unit]
    kept = {key: row.arguments[key] for key in ("shortcut", "gate_bias", "order")}
    return [f"net={net}", f"build.depth={depth}", *(f"build.{k}={v}" for k, v in kept.items())]


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=[] if x in QUICK else pytest.mark.slow) for x in RECIPES]
)
def test_builds_and_takes_a_step(name, monkeypatch):
    from keras_ilsvrc.data.pipeline import training_batches
    from keras_ilsvrc.runs import experiment as stages
    from keras_ilsvrc.runs.update import make_update

    overrides = [*shallow(name), "data.batch_size=2"]
    recipe = recipes.load(ROOT / f"recipes/{name}.toml", overrides)
    monkeypatch.setattr(stages, "open_source", lambda *args, **keywords: made(recipe))
    stage = stages.set_up(recipe, mirrored(1))
    rows = stages.op_rows(recipe.data.train_ops)
    batches = training_batches(stage.train, rows, stage.statistics, 2, 0)
    with stage.strategy.scope():
        update = make_update(stage)
    before = [np.array(weight) for weight in stage.model.trainable_weights]
    iterator = iter(stage.strategy.distribute_datasets_from_function(lambda context: batches))
    (result,) = update.take(iterator, 0, 1)
    assert result.finite
    after = [np.array(weight) for weight in stage.model.trainable_weights]
    assert any((new != old).any() for new, old in zip(after, before))


def test_a_wheel_brings_the_recipes(tmp_path):
    for part in ("keras_ilsvrc", "recipes"):
        copytree(ROOT / part, tmp_path / part, ignore=ignore_patterns("__pycache__"))
    for file in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        copy(ROOT / file, tmp_path)
    build = "from setuptools.build_meta import build_wheel; build_wheel('wheel')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    assert {x.name for x in (installed / "keras_ilsvrc/recipes").glob("*.toml")} == {
        path.name for path in FILES
    }
    find = "from keras_ilsvrc.recipe import find; print(find('alexnet'))"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    found = subprocess.run(
        [sys.executable, "-c", find],
        cwd=installed,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.strip() == str(installed / "keras_ilsvrc/recipes/alexnet.toml")
