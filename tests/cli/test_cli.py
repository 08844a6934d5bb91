"""Tests of the `keras-ilsvrc` command as a user runs it."""

import csv
import json

import numpy as np
import pytest
from commands import call, refused, said
from PIL import Image
from sklearn.datasets import load_digits

from keras_ilsvrc import InputError
from keras_ilsvrc.runs.directory import FILES
from keras_ilsvrc.runs.reading import FLOW, GRADIENTS

# A small net for 12 steps: the errors are high, and everything else is as always.
SHORT = (
    *("train", "quickstart", "--set", "net=resnet_cifar", "--set", "build.depth=8"),
    *("--set", "schedule.steps=12", "--set", "schedule.learning_rate=[[0,0.1]]"),
    *("--set", "report=false"),  # tests/runs/test_pictures.py has a run with its page
)
RECIPE = """
net = "resnet_cifar"
seed = 0
initial = "he"
batch_norm = {{statistics = "replica"}}
loss = {{name = "cross_entropy"}}
[build]
input_shape = [8, 8, 1]
classes = 2
depth = 8
width = 0.5
[data]
dataset = "folder:{folder}"
train = "train"
validation = "validation"
test = "test"
batch_size = 12
train_ops = [{first}, {{op = "pad", size = 1}}, {{op = "random_crop", size = 8}}]
eval_ops = [{first}, {{op = "centre_crop", size = 8}}]
[optimizer]
name = "sgd"
momentum = 0.9
l2 = 1e-4
[schedule]
name = "steps"
steps = 7
learning_rate = [[0, 0.01], [3, 0.1]]
"""
NORMALISE = '{op = "normalise", mean = [78.0], std = [94.0]}'
STANDARDISE = '{op = "standardise"}'


@pytest.fixture(scope="module")
def run(tmp_path_factory, without_gpus):
    """A finished run on two replicas: its directory, and what the command said."""
    path = tmp_path_factory.mktemp("cli") / "new" / "run"
    return path, said(*SHORT, "--replicas", 2, "--out", path, "--json")


@pytest.fixture
def digit_folder(tmp_path):
    """Sixty real images of two digits, one folder a class."""
    data = load_digits()
    for digit in (3, 8):
        (tmp_path / "images" / f"digit{digit}").mkdir(parents=True)
        for number, image in enumerate(data.images[data.target == digit][:30]):
            path = tmp_path / "images" / f"digit{digit}" / f"{number:02}.png"
            Image.fromarray(np.round(image * 15.9375).astype("uint8")).save(path)
    return tmp_path / "images"


def recipe_file(folder, first=NORMALISE):
    path = folder.parent / "folder.toml"
    path.write_text(RECIPE.format(folder=folder, first=first))
    return path


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (("info", "vgg91"), ["'vgg91'", "'vgg19'"]),
        (("info", "alexnet[activation=than]"), ["'than'", "tanh"]),
        (("list", "mobilenet*"), ["'mobilenet*'"]),
        (("train", "quikstart"), ["quikstart", "'quickstart'"]),
        (("train", "quickstart", "--set", "schedule.step=9"), ["schedule.step", "'steps'"]),
        (("train", "quickstart", "--set", "net=resnet21"), ["'resnet21'", "did you mean"]),
        (("train", "quickstart", "--set", "build.clases=3"), ["'clases'", "'classes'"]),
        (("train", "quickstart", "--replicas", "0"), ["--replicas is 0", "at least 1"]),
        (("evaluate", "nowhere"), ["nowhere: no such folder"]),
        (("evaluate", "nowhere", "--replicas", "-2"), ["--replicas is -2"]),
    ],
)
def test_a_wrong_word_is_refused_in_one_line_at_once(words, fragments):
    done = call(*words)
    assert done.status == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    for fragment in fragments:
        assert fragment in line


@pytest.mark.parametrize("words", [("--debug", "info", "vgg91"), ("info", "vgg91", "--debug")])
def test_debug_shows_the_stack_trace_wherever_it_stands(words):
    with pytest.raises(InputError, match="no net is called 'vgg91'"):  # which Python then shows
        call(*words)


def test_doctor_as_json_knows_versions_and_devices():
    from importlib.metadata import version

    found = json.loads(said("doctor", "--json"))
    for package in ("keras", "tensorflow", "keras-tuner"):
        assert found[package] == version(package)
    assert found["backend"] == "tensorflow"
    assert any("CPU" in device for device in found["devices"])


def test_a_run_leaves_all_its_files_and_no_other(run):
    path, _ = run
    expected = set(FILES) - {GRADIENTS, FLOW}  # which the key `watch` adds
    assert {file.name for file in path.iterdir()} == expected


def test_a_run_says_what_it_found_on_stdout_and_in_its_directory(run):
    path, printed = run
    kept = json.loads((path / "result.json").read_text())
    assert json.loads(printed) == {**kept, "out": str(path)}
    assert (kept["net"], kept["protocol"]) == ("resnet_cifar[depth=8]", "single_view")
    assert (kept["images"], kept["replicas"]) == (360, 2)
    assert 0 <= kept["top5_error"] <= kept["top1_error"] <= 100
    assert kept["baseline"]["name"] == "svm"
    assert 0 < kept["baseline"]["top1_error"] < 5
    assert kept["overrides"] == list(SHORT[3::2])
    assert kept["versions"].keys() == {"keras_ilsvrc", "keras", "tensorflow", "python"}
    assert kept["seconds"] > 0


def test_a_run_keeps_a_row_an_epoch(run):
    path, _ = run
    with open(path / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows][-1] == "12"
    for row in rows:
        assert float(row["learning_rate"]) == pytest.approx(0.1)
        assert 0 <= float(row["error"]) <= 100
        assert float(row["loss"]) > 0


@pytest.mark.parametrize("name", ["curves.png", "doubtful.png"])
def test_the_pictures_of_a_run_show_something(run, name):
    with Image.open(run[0] / name) as picture:
        picture.load()
        colours = picture.convert("RGB").getcolors(picture.width * picture.height)
        assert picture.width >= 800
        assert picture.height >= 400
    assert len(colours) > 200


@pytest.mark.parametrize("replicas", [1, 2])
def test_evaluation_repeats_the_errors_of_training_on_any_replicas(run, replicas):
    path, _ = run
    done = call("evaluate", path, "--replicas", replicas, "--json")
    kept = json.loads((path / "result.json").read_text())
    found = json.loads(done.stdout)
    assert found["replicas"] == replicas
    for key in ("net", "top1_error", "top5_error", "protocol", "images"):
        assert found[key] == kept[key]
    assert "Warning" not in done.stderr


def test_a_finished_run_is_not_run_over(run):
    path, _ = run
    before = (path / "result.json").stat().st_mtime_ns
    line = refused(*SHORT, "--out", path)
    assert str(path) in line
    assert "--resume" in line
    assert (path / "result.json").stat().st_mtime_ns == before


def test_resume_returns_a_finished_run_at_once(run):
    path, printed = run
    again = call(*SHORT, "--out", path, "--resume", "--json")
    assert json.loads(again.stdout) == json.loads(printed)
    assert "starting TensorFlow" not in again.stderr


def test_quickstart_ends_with_the_story_a_claim_and_three_commands(run):
    lines = said(*SHORT, "--out", run[0], "--resume").splitlines()
    nexts = [line.split()[2] for line in lines if line.startswith("next: keras-ilsvrc ")]
    assert lines[-5:] == [line for line in lines if line.startswith("next: ")]
    assert nexts == ["report", "story", "claim", "compare", "new"]
    assert "next: keras-ilsvrc story --plot story.png" in lines


def test_resume_of_another_recipe_is_refused(run):
    line = refused(*SHORT, "--set", "seed=1", "--out", run[0], "--resume")
    assert str(run[0]) in line
    assert "another recipe" in line


def test_a_folder_of_images_is_trained_on_and_tested(digit_folder):
    out = digit_folder.parent / "run"
    shown = said("train", recipe_file(digit_folder), "--set", "report=false", "--out", out)
    assert "test error" in shown
    assert str(out / "curves.png") in shown
    kept = json.loads((out / "result.json").read_text())
    assert (kept["images"], kept["top5_error"]) == (12, None)
    with open(out / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["3", "6", "7"]
    assert all(0 <= float(row["validation_error"]) <= 100 for row in rows)
    assert all(float(row["validation_loss"]) > 0 for row in rows)


@pytest.mark.parametrize("first", [NORMALISE, STANDARDISE], ids=["training", "statistics"])
def test_a_truncated_image_is_named_and_no_run_is_left(digit_folder, first):
    path = digit_folder / "digit8" / "04.png"
    path.write_bytes(path.read_bytes()[:-25])
    out = digit_folder.parent / "runs" / "new"
    line = refused("train", recipe_file(digit_folder, first), "--out", out)
    assert line.startswith(f"{path}: a damaged PNG ({path.stat().st_size} bytes); list all bad")
    assert "data.on_bad" in line
    assert not out.parent.exists()


def test_an_image_smaller_than_its_crop_is_named(digit_folder):
    path = digit_folder / "digit8" / "04.png"
    Image.new("L", (6, 6)).save(path)
    recipe = recipe_file(digit_folder, NORMALISE)
    crop = 'data.train_ops=[{op="random_crop",size=8}]'
    line = refused("train", recipe, "--set", crop, "--out", digit_folder.parent / "x")
    assert line.startswith(f"{path}: a crop of 8x8 does not fit into images of 6x6")


def test_a_directory_that_cannot_be_made_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("a file")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        assert refused("train", "quickstart", "--out", out).startswith(f"{out}: ")
    assert (tmp_path / "file").read_text() == "a file"


CROP = 'data.train_ops=[{op="subtract_pixel_mean"},{op="random_crop",size=%d}]'


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (("--set", "build.classes=9"), ["build.classes is 9", "digits has 10 classes"]),
        (("--replicas", "2", "--set", "data.batch_size=33"), ["data.batch_size is 33", "2 repl"]),
        (("--set", "data.dataset=folder:nowhere"), ["nowhere: no such folder"]),
        (("--set", "build.input_shape=[2,2,1]"), ["resnet20_cifar", "at least 4x4"]),
        (("--set", CROP % 7), ["data.train_ops make images of 7x7x1", "8x8x1"]),
        (("--set", CROP % 9), ["a crop of 9x9 does not fit", "8x8"]),
    ],
)
@pytest.mark.usefixtures("without_gpus")
def test_what_does_not_fit_is_refused_in_one_line_and_leaves_no_run(tmp_path, words, fragments):
    line = refused("train", "quickstart", *words, "--out", tmp_path / "run")
    for fragment in fragments:
        assert fragment in line
    assert not (tmp_path / "run").exists()
