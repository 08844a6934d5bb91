"""Tests of loading recipes, and of the one-line errors for bad recipes."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cases import each_of

from keras_ilsvrc import InputError
from keras_ilsvrc import recipe as recipes
from keras_ilsvrc.recipe.ops import Table
from keras_ilsvrc.recipe.schema import CHOICES, TABLES

GOOD = """\
net = "resnet20_cifar"
seed = 0
initial = "paper"
baseline = "svm"
[build]
input_shape = [8, 8, 1]
classes = 10
[data]
dataset = "digits"
train = "train"
test = "test"
batch_size = 32
train_ops = [{op = "subtract_pixel_mean"}, {op = "pad", size = 1}, {op = "random_crop", size = 8}]
eval_ops = [{op = "subtract_pixel_mean"}]
[batch_norm]
statistics = "synchronized"
[loss]
name = "cross_entropy"
[optimizer]
name = "sgd"
momentum = 0.9
l2 = 1e-4
[schedule]
name = "steps"
steps = 1800
learning_rate = [[0, 0.01], [45, 0.1], [900, 0.01]]
[expect]
protocol = "single_view"
top1_error = 2.0
[[departs]]
what = "digits"
why = "they are small"
"""


def message(path, overrides=()):
    """The lines in which a recipe is refused."""
    with pytest.raises(InputError) as caught:
        recipes.load(path, overrides)
    return str(caught.value)


@pytest.fixture
def write(tmp_path):
    """Writes the good recipe with some of its text replaced; the file."""

    def changed(old="", new=""):
        assert old in GOOD
        path = tmp_path / "changed.toml"
        path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
        return path

    return changed


def test_a_recipe_holds_what_its_file_says(write):
    recipe = recipes.load(write())
    assert (recipe.net, recipe.seed, recipe.initial) == ("resnet20_cifar", 0, "paper")
    assert recipe.build.model_dump(exclude_none=True) == {"input_shape": [8, 8, 1], "classes": 10}
    assert (recipe.data.batch_size, recipe.data.validation) == (32, None)
    ops = [op.model_dump() for op in recipe.data.train_ops]
    assert ops[1:] == [{"op": "pad", "size": 1}, {"op": "random_crop", "size": 8}]
    assert (recipe.optimizer.momentum, recipe.optimizer.l2) == (0.9, 1e-4)
    assert recipe.schedule.learning_rate == [[0, 0.01], [45, 0.1], [900, 0.01]]
    assert (recipe.expect.top1_error, recipe.departs[0].what) == (2.0, "digits")


def test_quickstart_loads_and_says_where_it_departs():
    recipe = recipes.load(recipes.find("quickstart"))
    assert (recipe.net, recipe.data.dataset) == ("resnet20_cifar", "digits")
    assert recipe.expect.top1_error > 0
    assert all(departure.why for departure in recipe.departs)
    assert recipe.departs


@pytest.mark.parametrize(
    "overrides", [(), ("seed=7", "loss.weights={aux1 = 0.3}", "build.width=2")]
)
def test_a_recipe_round_trips_through_toml(tmp_path, overrides):
    recipe = recipes.load(recipes.find("quickstart"), overrides)
    path = tmp_path / "copy.toml"
    path.write_text(recipe.toml(), encoding="utf-8")
    copy = recipes.load(path)
    assert copy == recipe
    assert copy.toml() == recipe.toml()
    assert tomllib.loads(recipe.toml())["seed"] == (7 if overrides else recipe.seed)


@pytest.mark.parametrize("name", ["changed.toml", "./changed.toml"])
def test_a_recipe_is_found_by_its_path(write, monkeypatch, name):
    path = write("seed = 0", "seed = 5")
    assert recipes.find(str(path)) == path
    monkeypatch.chdir(path.parent)
    assert recipes.load(recipes.find(name)).seed == 5


def test_a_recipe_of_the_package_is_found_by_its_name_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert recipes.find("quickstart").name == "quickstart.toml"


@pytest.mark.parametrize("name", ["quikstart", "quickstat", "quickstart.tml"])
def test_an_unknown_recipe_suggests_the_nearest(name):
    with pytest.raises(InputError) as caught:
        recipes.find(name)
    assert name in str(caught.value)
    assert "'quickstart'" in str(caught.value)
    assert "\n" not in str(caught.value)


# What is replaced in the good recipe, by what, and what the message must hold.
BAD = {
    "unknown key at the top": ("seed = 0", "seed = 0\nsede = 1", ["sede", "'seed'"]),
    "unknown table": ("[loss]", "[losses]\nx = 1\n[loss]", ["losses", "'loss'"]),
    "unknown key in a table": ("batch_size", "batchsize", ["data.batchsize", "'batch_size'"]),
    "unknown key in optimizer": ("l2 =", "L2 =", ["optimizer.L2", "l2"]),
    "unknown key in departs": ("why =", "wy =", ["departs.0.wy", "'why'"]),
    "unknown key in an op": (
        'op = "pad", size = 1',
        'op = "pad", sise = 1, size = 1',
        ["data.train_ops.1.sise", "'size'"],
    ),
    "unknown op": ('op = "pad"', 'op = "padd"', ["data.train_ops.1", "'padd'", "'pad'"]),
    "op without op": ('{op = "pad", size = 1}', "{size = 1}", ["data.train_ops.1", "op"]),
    "op that is no table": ('{op = "pad", size = 1}', '"pad"', ["data.train_ops.1", "'pad'"]),
    "missing key of an op": (", size = 1}", "}", ["data.train_ops.1.size: missing"]),
    "zero as size of an op": ("size = 1}", "size = 0}", ["data.train_ops.1.size: 0"]),
    "missing key": ("seed = 0", "", ["seed: missing"]),
    "missing key of a table": ("batch_size = 32", "", ["data.batch_size: missing"]),
    "missing table": ('[loss]\nname = "cross_entropy"', "", ["loss: missing"]),
    "duplicate key": ("seed = 0", "seed = 0\nseed = 1", ["not TOML", "line 3"]),
    "broken TOML": ("seed = 0", "seed = = 0", ["not TOML", "line 2"]),
    "unclosed list": ("[8, 8, 1]", "[8, 8, 1", ["not TOML", "line"]),
    "text for a number": ("batch_size = 32", 'batch_size = "32"', ["data.batch_size", "'32'"]),
    "number for a text": ('net = "resnet20_cifar"', "net = 20", ["net: 20", "string"]),
    "part of a batch": ("batch_size = 32", "batch_size = 1.5", ["data.batch_size: 1.5"]),
    "no batch": ("batch_size = 32", "batch_size = 0", ["data.batch_size: 0", "greater than 0"]),
    "truth for a number": ("batch_size = 32", "batch_size = true", ["data.batch_size: True"]),
    "truth for a seed": ("seed = 0", "seed = true", ["seed: True"]),
    "negative seed": ("seed = 0", "seed = -1", ["seed: -1"]),
    "seed too large": ("seed = 0", "seed = 2147483648", ["seed: 2147483648"]),
    "table for a value": ("seed = 0", "seed = {a = 1}", ["seed: {'a': 1}"]),
    "value for a table": (
        GOOD[GOOD.index("[build]") : GOOD.index("[data]")],
        "build = 3\n",
        ["build: 3"],
    ),
    "no classes": ("classes = 10", "classes = 0", ["build.classes: 0"]),
    "truth for classes": ("classes = 10", "classes = true", ["build.classes: True"]),
    "two sizes for a shape": ("[8, 8, 1]", "[8, 8]", ["build.input_shape: [8, 8]"]),
    "size of zero": ("[8, 8, 1]", "[8, 0, 1]", ["build.input_shape.1: 0"]),
    "negative rate": ("[900, 0.01]", "[900, -0.01]", ["schedule.learning_rate", "above 0"]),
    "rate of zero": ("[900, 0.01]", "[900, 0.0]", ["schedule.learning_rate", "above 0"]),
    "rate that is no number": ("[900, 0.01]", "[900, nan]", ["schedule.learning_rate.2.1"]),
    "endless rate": ("[900, 0.01]", "[900, inf]", ["schedule.learning_rate.2.1: inf"]),
    "steps that do not rise": ("[900,", "[30,", ["schedule.learning_rate", "increasing"]),
    "steps that repeat": ("[900,", "[45,", ["schedule.learning_rate", "increasing"]),
    "steps from 1 on": ("[[0, 0.01]", "[[1, 0.01]", ["schedule.learning_rate", "increasing"]),
    "part of a step": ("[900,", "[900.5,", ["schedule.learning_rate", "whole numbers"]),
    "row of one number": ("[900, 0.01]", "[900]", ["schedule.learning_rate", "[first step, rate]"]),
    "one number for rows": ("[900, 0.01]", "900", ["schedule.learning_rate.2: 900"]),
    "momentum above 1": ("momentum = 0.9", "momentum = 1.5", ["optimizer.momentum: 1.5"]),
    "momentum of 1": ("momentum = 0.9", "momentum = 1.0", ["optimizer.momentum: 1.0"]),
    "momentum that is no number": ("momentum = 0.9", "momentum = nan", ["optimizer.momentum"]),
    "negative l2": ("l2 = 1e-4", "l2 = -1e-4", ["optimizer.l2: -0.0001"]),
    "no steps": ("steps = 1800", "steps = 0", ["schedule.steps: 0"]),
    "unknown optimizer": ('"sgd"', '"adm"', ["optimizer.name: unknown value 'adm'", "'adam'"]),
    "unknown statistics": ('"synchronized"', '"sync"', ["batch_norm.statistics", "'replica'"]),
    "unknown protocol": ('"single_view"', '"one_view"', ["expect.protocol", "'single_view'"]),
    "unknown baseline": ('baseline = "svm"', 'baseline = "knn"', ["baseline: 'knn'", "'svm'"]),
    "more than all images": (
        "top1_error = 2.0",
        "top1_error = 101.0",
        ["expect.top1_error: 101"],
    ),
}


@each_of("case", BAD)
def test_a_bad_recipe_is_one_line_that_names_the_key(write, case):
    old, new, fragments = BAD[case]
    path = write(old, new)
    said = message(path)
    assert "\n" not in said
    start = re.match(rf"{re.escape(str(path))}(:\d+)?: ", said)
    for fragment in fragments:
        assert fragment in said[start.end() :]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None], ids=["no text", "a folder"])
def test_what_is_no_text_file_cannot_be_read(tmp_path, content):
    path = tmp_path / "odd.toml"
    path.mkdir() if content is None else path.write_bytes(content)
    said = message(path)
    assert "\n" not in said
    assert said.startswith((f"{path}: not UTF-8: ", f"{path}: not a regular file"))


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("schedule.steps=100", lambda recipe: recipe.schedule.steps == 100),
        (" schedule.steps = 100 ", lambda recipe: recipe.schedule.steps == 100),
        ("net=plain20_cifar", lambda recipe: recipe.net == "plain20_cifar"),
        ('net="plain20_cifar"', lambda recipe: recipe.net == "plain20_cifar"),
        ("initial=runs/a=b", lambda recipe: recipe.initial == "runs/a=b"),
        ("build.width=0.5", lambda recipe: recipe.build.variations == {"width": 0.5}),
        ("schedule.learning_rate=[[0,0.1]]", lambda r: r.schedule.learning_rate == [[0, 0.1]]),
        ("data.eval_ops=[]", lambda recipe: recipe.data.eval_ops == []),
        ("data.validation=validation", lambda recipe: recipe.data.validation == "validation"),
        ("loss.weights.aux1=0.3", lambda recipe: recipe.loss.weights == {"aux1": 0.3}),
    ],
)
def test_an_override_sets_a_key(override, read):
    assert read(recipes.load(recipes.find("quickstart"), [override]))


def test_the_last_override_of_a_key_holds():
    recipe = recipes.load(recipes.find("quickstart"), ["seed=1", "seed=2"])
    assert recipe.seed == 2


@pytest.mark.parametrize(
    ("override", "fragments"),
    [
        ("schedule.steps", ["--set schedule.steps", "key=value"]),
        ("=3", ["--set =3", "key=value"]),
        ("net.depth=3", ["--set net.depth=3", "net is a value, not a table"]),
        ("schedule.step=100", ["schedule.step: unknown key", "'steps'"]),
        ("shedule.steps=100", ["shedule: unknown key", "'schedule'"]),
        ("schedule.steps=many", ["schedule.steps: 'many'"]),
        ("schedule.steps=1e3", ["schedule.steps: 1000.0"]),
        ("schedule.steps=[1", ["schedule.steps: '[1'"]),
        ("schedule..steps=1", ["schedule"]),
    ],
)
def test_a_bad_override_is_one_line_that_names_it(override, fragments):
    said = message(recipes.find("quickstart"), [override])
    assert "\n" not in said
    for fragment in fragments:
        assert fragment in said


def test_a_bad_recipe_is_refused_without_keras_or_tensorflow(write):
    script = """
import sys
from pathlib import Path
from keras_ilsvrc import InputError, recipe
try:
    recipe.load(Path(sys.argv[1]))
except InputError as error:
    print("refused", sorted({"keras", "tensorflow", "sklearn"} & set(sys.modules)))
"""
    path = write("seed = 0", "sead = 0")
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout == "refused []\n", done.stderr


def kinds(table):
    return [x for kind in table.__subclasses__() for x in (kind, *kinds(kind))]


def test_every_table_of_a_recipe_is_known_to_its_messages():
    tables = {
        name
        for name, field in recipes.Recipe.model_fields.items()
        if any(kind.__name__ in repr(field.annotation) for kind in kinds(Table))
    }
    assert {*TABLES, *CHOICES} == tables | {"train_ops", "eval_ops", "split"}


def test_recipes_lie_beside_the_package():
    assert Path(recipes.find("quickstart")).is_file()
