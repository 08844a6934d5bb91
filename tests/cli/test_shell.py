"""Tests of help, version, shell completion, the list of recipes and the suggested next command."""

import json
import subprocess
import sys

import pytest
from cases import each_of
from commands import call, refused, said

from keras_ilsvrc import __version__
from keras_ilsvrc.cli import PANELS, train
from keras_ilsvrc.rcnn.recipe import recipes as detectors
from keras_ilsvrc.recipe import find, load, published
from keras_ilsvrc.runs.reading import RunFiles


def test_help_shows_every_command_in_its_group_with_a_line():
    shown = said("--help")
    at = [shown.index(f"─ {panel} ─") for panel in PANELS]
    assert at == sorted(at)
    for start, end, commands in zip(at, [*at[1:], len(shown)], PANELS.values()):
        lines = [line.strip("│ ") for line in shown[start:end].splitlines()]
        for name in commands:
            (line,) = [line for line in lines if line.split()[:1] == [name]]
            assert line.endswith("."), line


def test_version_is_the_packages():
    assert said("--version").split() == ["keras-ilsvrc", __version__]


COMPLETE = """
import sys
sys.argv = ["keras-ilsvrc"]
from keras_ilsvrc.cli import main
try:
    main()
finally:
    print("tensorflow" in sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("rec", ["recipes"]),
        ("info resnet1001", ["resnet1001_v2_cifar"]),
        ("compare alexnet cnd", ["cnds8"]),
        ("train quick", ["quickstart"]),
        ("train mine", ["mine.toml"]),
        ("new photos --net lenet5_", ["lenet5_modern"]),
        ("predict r", ["runs/flowers"]),
        ("predict runs/flowers r", []),  # so that the shell completes file names
        ("predict --net lenet5_", ["lenet5_modern"]),
        ("export r", ["runs/flowers"]),
        ("export runs/flowers --format l", ["litert"]),
        ("results r", ["runs/flowers"]),
        ("evaluate runs/flowers --protocol ten", ["ten_crop"]),
        ("visualize grad-cam --run r", ["runs/flowers"]),
    ],
)
def test_the_shell_completes_names_without_tensorflow(words, found, tmp_path):
    (tmp_path / "mine.toml").write_text("")
    (tmp_path / "runs" / "flowers").mkdir(parents=True)
    (tmp_path / "runs" / "flowers" / "run.json").write_text("")
    count = str(len(words.split()))
    asked = {"COMP_WORDS": f"keras-ilsvrc {words}", "COMP_CWORD": count}
    asked["_KERAS_ILSVRC_COMPLETE"] = "complete_bash"
    done = subprocess.run(
        [sys.executable, "-c", COMPLETE],
        env={"PYTHONPATH": ":".join(path for path in sys.path if path), **asked},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == found
    assert done.stderr.split() == ["False"]


def test_recipes_shows_errors_and_where_they_come_from():
    shown = said("recipes", "*19*")
    assert [line.split()[0] for line in shown.splitlines()[1:-2]] == [
        *("vgg19", "vgg19_384", "vgg19_jitter")
    ]
    (line,) = [line for line in shown.splitlines() if line.startswith("vgg19 ")]
    expect = load(find("vgg19")).expect
    assert line.split() == [
        *("vgg19", "imagenet2012", "370,000"),
        *(f"{expect.top1_error:.2f}/{expect.top5_error:.2f}", "p"),
    ]
    assert "-/10.07 p" in said("recipes", "googlenet")  # the paper has no top-1 error
    measured = said("recipes", "quickstart")
    assert measured.splitlines()[1].endswith("2.00 o")
    assert load(find("quickstart")).expect.measured in measured


def test_recipes_lists_those_of_detectors_too():
    shown = said("recipes", "*caffenet*fc7*").splitlines()
    assert [line.split()[0] for line in shown[:-2]] == [
        *("detector", "voc07_caffenet_fc7", "voc07_caffenet_tuned_fc7"),
        "voc07_caffenet_tuned_fc7_bb",
    ]
    assert shown[1].split()[1:] == ["caffenet", "VOCdevkit", "fc7", "44.70", "p"]


def test_each_recipe_is_one_line_of_at_most_100_columns():
    _, *lines = call("recipes", columns=80).stdout.splitlines()
    for name, line in zip(published(), lines):
        assert line.split()[0] == name
        assert len(line) <= 100


def test_recipes_as_json_holds_all_recipes():
    rows = json.loads(said("recipes", "--json"))
    assert [row["recipe"] for row in rows] == [*published(), *detectors()]
    row = next(row for row in rows if row["recipe"] == "quickstart")
    assert (row["net"], row["images"], row["length"]) == ("resnet20_cifar", "digits", "600 steps")


@each_of(
    "case",
    [
        (("train", "nosuch"), ["`keras-ilsvrc recipes` lists all"]),
        (("train", "alexnett"), ["'alexnet'", "`keras-ilsvrc recipes`"]),
        (("recipes", "alexnett"), ["'alexnett'", "'alexnet'"]),
        (("recipes", "?"), ["`keras-ilsvrc recipes` lists all"]),
    ],
)
def test_a_recipe_that_is_not_there_is_one_line_with_the_nearest(case):
    words, fragments = case
    line = refused(*words)
    assert not line.endswith(";")
    for fragment in fragments:
        assert fragment in line


def test_a_recipe_in_the_working_directory_is_named_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flowers.toml").write_text("")
    assert "did you mean 'flowers.toml'?" in refused("train", "flowrs")


def test_doctor_names_no_package_that_nobody_owns():
    shown = json.loads(said("doctor", "--json"))
    assert int(shown["cores"]) >= 1
    assert float(shown["free disk here"].split()[0]) > 0
    assert not any("'keras_ilsvrc[" in line for line in shown["missing"])
    assert call("doctor").status == 0


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"kept_epoch": 1}, "of epoch 1, with the lowest validation error"),
        ({"stopped_epoch": 3}, "of the last epoch; stopped early after epoch 3"),
        (
            {"kept_epoch": 1, "stopped_epoch": 3},
            "of epoch 1, with the lowest validation error; stopped early after epoch 3",
        ),
    ],
)
def test_train_says_which_weights_it_kept(facts, line, tmp_path, monkeypatch, capsys):
    result = {"images": 9, "protocol": "single_view", "views": 1, "expected": None, "seconds": 2.0}
    result |= {"top1_error": 5.0, "top1_interval": [1.0, 9.0], "replicas": 1, **facts}
    result |= {"top5_error": None, "top5_interval": None}
    monkeypatch.setattr(RunFiles, "result", lambda self: result)
    train._print_result(tmp_path, as_json=False)
    assert f"weights     {line}" in capsys.readouterr().out.splitlines()
