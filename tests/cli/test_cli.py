"""The command line, as processes of its own."""

import csv
import json
import subprocess
import sys

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from keras_ilsvrc.recipe import find
from keras_ilsvrc.rundir import FILES

SHORT = ("--set", "schedule.steps=12", "--set", "schedule.learning_rate=[[0,0.1]]")
QUICK = ("train", "quickstart", "--replicas", "2", *SHORT)


def call(*words):
    command = [sys.executable, "-m", "keras_ilsvrc", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def refused(*words):
    """The one line with which a command refuses what it was given."""
    done = call(*words)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("error: ")
    return line


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short run of the quickstart, and what it printed."""
    out = tmp_path_factory.mktemp("runs") / "quick"
    done = call(*QUICK, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)


def test_list_and_info_print_text_and_json():
    assert "143,667,240" in call("list", "vgg*").stdout
    assert json.loads(call("list", "vgg19", "--json").stdout)[0]["parameters"] == 143_667_240
    assert "not the published net" in call("info", "alexnet[activation=tanh]").stdout
    assert json.loads(call("info", "alexnet", "--json").stdout)["published"] is True


def test_doctor_names_what_computes():
    report = json.loads(call("doctor", "--json").stdout)
    assert {"python", "tensorflow", "keras", "devices", "missing"} <= set(report)


def test_a_run_leaves_its_files_and_nothing_else(run):
    out, _ = run
    assert {file.name for file in out.iterdir()} == set(FILES)
    for name in ("curves.png", "doubtful.png"):
        with Image.open(out / name) as picture:
            assert min(picture.size) > 300
            assert len(picture.convert("RGB").getcolors(10**6)) > 50


def test_a_run_says_what_it_found(run):
    out, printed = run
    result = json.loads((out / "result.json").read_text())
    assert {**result, "out": str(out)} == printed
    assert (result["images"], result["replicas"], result["protocol"]) == (360, 2, "single_view")
    assert result["overrides"] == [word for word in SHORT if word != "--set"]
    assert 0 <= result["top5_error"] <= result["top1_error"] <= 100
    assert 0 < result["baseline"]["top1_error"] < 5
    rows = list(csv.DictReader((out / "history.csv").open()))
    assert [row["step"] for row in rows] == ["12"]


@pytest.mark.parametrize("replicas", [1, 2])
def test_evaluate_finds_the_errors_of_the_run_again(run, replicas):
    out, result = run
    again = json.loads(call("evaluate", "--run", out, "--replicas", replicas, "--json").stdout)
    assert again == {key: result[key] for key in again} | {"replicas": replicas}


def test_a_directory_that_is_not_empty_names_resume(run):
    assert "--resume" in refused(*QUICK, "--out", run[0])


def test_resume_reports_a_finished_run_and_refuses_another_recipe(run):
    out, result = run
    assert json.loads(call(*QUICK, "--out", out, "--resume", "--json").stdout) == result
    assert "another recipe" in refused(*QUICK, "--set", "seed=5", "--out", out, "--resume")


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (("--set", "build.classes=3"), "digits has 10 classes"),
        (("--set", "data.batch_size=127"), "data.batch_size is 127"),
        (("--set", "data.dataset=folder:nowhere"), "nowhere: no such folder"),
        (("--set", "build.input_shape=[2,2,1]"), "at least 4x4"),
        (("--set", "build.input_shape=[9,9,1]"), "data.train_ops make images of 8x8x1"),
        (("--replicas", "0"), "--replicas is 0"),
        (("--set", "optimizer.l3=1"), "did you mean 'l2'?"),
        (("--set", "net=resnet2_cifar"), "did you mean 'resnet"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(words, fragment, tmp_path):
    assert fragment in refused(
        "train", "quickstart", "--replicas", 2, "--out", tmp_path / "x", *words
    )
    assert not list(tmp_path.iterdir())


def test_an_out_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert "not a directory" in refused(*QUICK, "--out", tmp_path / "file")
    assert "cannot be made" in refused(*QUICK, "--out", tmp_path / "file" / "below")


def test_debug_shows_the_stack_trace():
    done = call("--debug", "info", "vgg20")
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "did you mean" in refused("info", "vgg20")


@pytest.fixture
def folder(tmp_path):
    """Sixty zeros and ones as PNG files, and a recipe for them."""
    data = load_digits(n_class=2)
    for number in range(60):
        home = tmp_path / "images" / str(data.target[number])
        home.mkdir(parents=True, exist_ok=True)
        pixels = (data.images[number] * 15).astype("uint8")
        Image.fromarray(pixels).resize((16, 16)).save(home / f"{number}.png")
    recipe = find("quickstart").read_text().replace('"digits"', f'"folder:{tmp_path / "images"}"')
    recipe = recipe.replace('baseline = "svm"', "").replace("classes = 10", "classes = 2")
    recipe = recipe.replace("eval_ops = [", 'eval_ops = [{op = "resize", size = 8}, ')
    recipe = recipe.replace("train_ops = [", 'train_ops = [{op = "resize", size = 8}, ')
    (tmp_path / "own.toml").write_text(recipe.replace('"train+validation"', '"train"'))
    return tmp_path


def test_a_folder_of_images_is_trained_on(folder):
    done = call("train", folder / "own.toml", *SHORT, "--out", folder / "run", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == 12
    assert json.loads(done.stdout)["top5_error"] is None


def test_a_truncated_image_is_named_and_nothing_is_left(folder):
    bad = folder / "images" / "1" / "1.png"
    bad.write_bytes(bad.read_bytes()[:90])
    words = ("train", folder / "own.toml", *SHORT, "--out", folder / "run")
    assert f"{bad}: cannot be decoded (90 bytes)" in refused(*words)
    assert not (folder / "run").exists()
