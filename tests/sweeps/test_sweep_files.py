"""Tests of sweep files: the changed recipes, and one-line errors for wrong files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cases import each_of
from commands import call, refused, said
from small_sweeps import KEYS, SET, small_sweep, text_of

from keras_ilsvrc import InputError
from keras_ilsvrc.recipe import load
from keras_ilsvrc.sweeps.schema import Sweep

SWEEPS = Path(__file__).parents[2] / "recipes" / "sweeps"
L2, RATE = "optimizer.l2", "schedule.learning_rate"
EXAMPLE = 'expected, for example, ["log", 1e-5, 1e-3] or ["choice", 32, 64]'

# (key, range, end of the line about it)
WRONG_RANGES = [
    (L2, ["log", 1e-3, 1e-5], "keys.optimizer.l2 is ['log', 0.001, 1e-05]; expected the smaller "),
    (L2, ["linear", 1e-3, 1e-3], "expected the smaller number first"),
    (L2, ["log", 0, 1e-5], "a log scale needs numbers above 0"),
    (L2, ["log", "a", 1e-5], 'expected ["log", minimum, maximum]'),
    (L2, ["log", True, 2], 'expected ["log", minimum, maximum]'),
    (L2, ["log", 1e-5], 'expected ["log", minimum, maximum]'),
    (L2, ["log", 1e-5, 1e-3, 1], "expected at least 2 points"),
    (L2, ["log", 1e-5, 1e-3, 2.5], "expected at least 2 points"),
    (L2, ["logarithmic", 1e-5, 1e-3], EXAMPLE),
    (L2, [], EXAMPLE),
    (L2, 1e-3, EXAMPLE),
    (L2, ["choice"], "expected different values"),
    (L2, ["choice", 1e-3, 1e-3], "expected different values"),
    (L2, ["choice", 1e-3, "a"], "optimizer.l2: 'a' should be a valid number"),
    (L2, ["log", 1e-5, float("inf")], "should be a finite number"),
    (L2, ["linear", float("nan"), 1], "expected the smaller number first"),
    ("optimizer.l3", ["log", 1e-5, 1e-3], "optimizer.l3: unknown key; did you mean 'l2'?"),
    ("optimiser.l2", ["log", 1e-5, 1e-3], "optimiser: unknown key; did you mean 'optimizer'?"),
    ("net", ["choice", "resnet20_cifa"], "no net is called 'resnet20_cifa'; did you mean"),
    ("net", ["int", 1, 3], "'resnet_cifar', which is not a number; expected a choice"),
    ("net.x", ["choice", 1], "there is no 'x' in a single value"),
    ("data.batch_size", ["choice", 0, 64], "data.batch_size: 0 should be greater than 0"),
    ("data.batch_size", ["linear", 16, 64], "data.batch_size: 16.0 should be a valid integer"),
    ("data.batch_size", ["int", 16, 64.5], "expected whole numbers"),
    ("data.train_ops.9.size", ["choice", 1], "there is no 9 in a list; expected an index below 3"),
    ("optimizer.momentum", ["linear", 0.5, 1.5], "1.5 should be less than 1"),
    ("build.shortcut", ["choice", "A", "B"], "has no value for this key, which trial 0 needs;"),
    (RATE, ["log", 0.1, 1], 'is not a number; expected a choice, or ["scale", minimum, maximum]'),
    ("net", ["scale", 0.1, 1], "scale needs a number or a list of [step, rate] in the recipe"),
    ("seed", ["int", 0, 3], "a sweep cannot vary this key; leave it out"),
    ("data", ["choice", 1], "a sweep cannot vary this key; leave it out"),
    ("data.test", ["choice", "test"], "a sweep cannot vary this key; leave it out"),
    ("data.validation", ["choice", "test"], "a sweep cannot vary this key; leave it out"),
    ("expect.top1_error", ["linear", 0, 1], "a sweep cannot vary this key; leave it out"),
]

# (other lines of the table, end of the line about it)
WRONG_TABLES = [
    ({"trials": 0}, "trials is 0; it should be greater than 0"),
    ({"trials": None}, "trials: missing; the tuner random needs it"),
    ({"trials": None, "tuner": "bayesian"}, "the tuner bayesian needs it"),
    ({"trials": 2.5}, "trials is 2.5; it should be a valid integer"),
    ({"trails": 3}, "trails: unknown key; did you mean 'trials' or 'trial_minutes'?"),
    ({"trial_minutes": 0}, "trial_minutes is 0; it should be greater than 0"),
    ({"repeats": 0}, "repeats is 0; it should be greater than or equal to 1"),
    ({"final_repeats": 1}, "final_repeats is 1; it should be greater than or equal to 2"),
    ({"max_model_size": 0}, "max_model_size is 0; it should be greater than 0"),
    ({"seed": -1}, "seed is -1; it should be greater than or equal to 0"),
    ({"tuner": "evolution"}, "it should be 'random', 'bayesian', 'hyperband' or 'grid'"),
    ({"tuner": "hyperband"}, "max_epochs: missing; the tuner hyperband needs it"),
    ({"tuner": "hyperband", "max_epochs": 1}, "max_epochs is 1; it should be greater than or "),
    (
        {"tuner": "hyperband", "max_epochs": 4, "objective": "top1_error"},
        "hyperband compares unfinished runs, so it needs validation_error or validation_loss",
    ),
    ({"tuner": "grid"}, "keys.optimizer.l2: a grid needs a choice, or a number of points after"),
    ({"objective": "accuracy"}, "objective is 'accuracy'; it should be 'validation_error', "),
    ({"recipe": "resnet20_cifr_digits"}, "did you mean 'resnet20_cifar_digits'"),
    ({"recipe": 5}, "recipe is 5; it should be a valid string"),
    ({"recipe": None}, "recipe: missing"),
]

# (changes to `set`, end of the line about it)
WRONG_CHANGES = [
    ({"data.validation": None}, "has no validation split, which a sweep needs to compare trials;"),
    ({"data.validation": "test"}, "data.validation and data.test are both 'test'; expected"),
    ({"optimizer.l9": 1}, "set: optimizer.l9: unknown key; did you mean 'l2'?"),
    ({"schedule.steps": 0}, "set: schedule.steps: 0 should be greater than 0"),
    ({L2: 0}, "the recipe has 0.0, but a log scale needs numbers above 0; set another value"),
]
# (text of a file, end of the line about it)
WRONG_TEXTS = [
    ("a =", "not a TOML file: Invalid value (at end of document)"),
    ("a = " + "[" * 5000, "not a TOML file: brackets are nested deeper than 16 levels"),
    (text_of({}), "keys is {}; it should have at least 1 item"),
    (text_of().replace('"optimizer.l2"', "optimizer.l2"), "write a dotted key in quotes"),
]
WRONG = [
    *((text_of({key: value}), end) for key, value, end in WRONG_RANGES),
    *((text_of(**table), end) for table, end in WRONG_TABLES),
    *((text_of(changes=changes), end) for changes, end in WRONG_CHANGES),
    *WRONG_TEXTS,
]


@each_of("case", WRONG)
def test_what_is_wrong_is_a_line(case, tmp_path):
    text, expected = case
    path = tmp_path / "wrong.toml"
    path.write_text(text.replace("Infinity", "inf").replace("NaN", "nan"))
    with pytest.raises(InputError) as error:
        Sweep(path)
    assert expected in str(error.value)
    assert all(len(line) < 400 for line in str(error.value).splitlines())


def test_all_faults_are_found_at_once(tmp_path):
    wrong = {key: value for key, value, _ in WRONG_RANGES[-6:]}
    path = tmp_path / "wrong.toml"
    path.write_text(text_of(wrong, tuner="hyperband"))
    done = call("tune", path, "--out", tmp_path / "out")
    assert done.status == 2
    assert len(done.stderr.splitlines()) == len(wrong) + 2
    assert "max_epochs: missing" in done.stderr.splitlines()[-1]
    path.write_text(text_of(trials=0, repeats=0, tuner="x"))
    assert len(call("tune", path, "--out", tmp_path / "out").stderr.splitlines()) == 3
    assert not (tmp_path / "out").exists()


def test_the_command_names_what_is_wrong(tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text(text_of({"optimizer.l3": ["log", 1e-5, 1e-3]}))
    line = refused("tune", path, "--out", tmp_path / "out")
    assert line == f"{path}: keys: optimizer.l3: unknown key; did you mean 'l2'?"
    assert "did you mean 'quickstart'?" in refused("tune", "quickstar")
    path.write_bytes(b"\xff")
    assert "wrong.toml: not a TOML file" in refused("tune", path)


def test_top5_error_needs_more_than_five_classes(tmp_path):
    with pytest.raises(InputError, match="top5_error, which is not measured for 5 classes"):
        small_sweep(tmp_path, changes={"build.classes": 5}, objective="top5_error")
    assert small_sweep(tmp_path, objective="top5_error").table.objective == "top5_error"


@pytest.mark.parametrize("path", sorted(SWEEPS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_sweep_of_the_package_can_run(path):
    sweep = Sweep(path)
    assert f"keras-ilsvrc tune {path.stem}" in path.read_text().splitlines()[0]
    assert sweep.varied(sweep.defaults()) == sweep.recipe
    for key, range_ in sweep.ranges.items():
        for value in range_.values:
            assert sweep.varied(sweep.defaults() | {key: value}).seed == sweep.recipe.seed


def test_values_become_changes_of_the_recipe(tmp_path):
    keys = {
        L2: ["log", 1e-5, 1e-2],
        RATE: ["scale", 0.1, 10],
        "data.train_ops.1.size": ["choice", 1, 2],
        "build.input_shape": ["choice", [8, 8, 1]],
        "data.batch_size": ["log_int", 32, 256],
    }
    sweep = small_sweep(tmp_path, keys, {RATE: [[0, 0.1], [2, 0.01]]})
    values = sweep.defaults()
    assert values == {
        L2: 1e-3,
        RATE: 1.0,
        "data.train_ops.1.size": "1",
        "build.input_shape": "[8, 8, 1]",
        "data.batch_size": 128,
    }
    assert sweep.varied(values) == sweep.recipe
    made = sweep.varied(values | {L2: 1e-4, RATE: 3.0, "data.train_ops.1.size": "2"})
    assert made.optimizer.l2 == 1e-4
    assert made.schedule.learning_rate == [[0, 0.1 * 3.0], [2, 0.01 * 3.0]]
    assert made.table()["data"]["train_ops"][1]["size"] == 2
    assert sweep.changes(values)[RATE] == [[0, 0.1], [2, 0.01]]
    assert sweep.decoded(values)[RATE] == 1.0


def test_the_value_of_the_recipe_is_the_first_choice(tmp_path):
    sweep = small_sweep(tmp_path, {"data.batch_size": ["choice", 32, 128, 64]})
    assert sweep.ranges["data.batch_size"].values == ("128", "32", "64")
    sweep = small_sweep(tmp_path, {"data.batch_size": ["choice", 32]})
    assert sweep.ranges["data.batch_size"].values == ("128", "32")


def test_a_recipe_is_first_looked_for_beside_the_sweep(tmp_path):
    (tmp_path / "mine.toml").write_text(load(SWEEPS.parent / "quickstart.toml").toml())
    assert small_sweep(tmp_path, recipe="mine.toml").recipe.seed == 2


def test_the_identity_is_the_same_for_the_same_content(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for place in (one, two):
        place.mkdir()
    assert small_sweep(one).identity == small_sweep(two).identity
    assert small_sweep(one, seed=1).identity != small_sweep(two).identity
    assert json.loads(json.dumps(small_sweep(one).identity)) == small_sweep(one).identity
    assert {*SET, *KEYS} >= {*small_sweep(one).table.keys}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--join", "nowhere"], "--join is 'nowhere'; expected HOST:PORT"),
        (["--listen", "a:b"], "--listen is 'a:b'; expected HOST:PORT"),
        (["--join", "a:1", "--listen", "b:2"], "pass only one of them"),
    ],
)
@pytest.mark.tensorflow
def test_addresses_are_checked(tmp_path, words, expected):
    path = small_sweep(tmp_path).path
    assert expected in refused("tune", path, "--out", tmp_path / "out", *words)


@pytest.mark.tensorflow
def test_some_variables_of_keras_tuner_are_not_enough(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "1")
    line = refused("tune", small_sweep(tmp_path).path, "--out", tmp_path / "out")
    assert line.endswith("KERASTUNER_TUNER_ID; set all of these variables, or none")


def test_help_and_bad_files_need_no_tensorflow(tmp_path):
    assert "--local-workers" in said("tune", "--help")
    script = (
        "import sys; from pathlib import Path; from keras_ilsvrc.sweeps.schema import Sweep; "
        f"Sweep(Path({str(small_sweep(tmp_path).path)!r})); import keras_ilsvrc.cli; "
        "print([x for x in ('tensorflow', 'keras', 'keras_tuner', 'numpy') if x in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
