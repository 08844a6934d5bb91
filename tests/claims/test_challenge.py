"""Tests of `challenge`: its runs, their continuation, the files it writes, and its errors."""

import json
import shutil

import pytest
from commands import call, refused
from PIL import Image
from small_challenge import ERRORS, runs, small  # noqa: F401

from keras_ilsvrc import InputError
from keras_ilsvrc.claims import challenge, challenge_file
from keras_ilsvrc.claims.challenge import compete, read
from keras_ilsvrc.claims.challenge_file import Contest
from keras_ilsvrc.claims.challenge_table import answers_of, sentences
from keras_ilsvrc.claims.pool import Pool
from keras_ilsvrc.training import stopping
from keras_ilsvrc.training.stopping import StopRequest

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def competed(runs, tmp_path):  # noqa: F811
    """Runs a small challenge in a folder; returns its outcome."""

    def run(seeds=2, only=(), replaced=(), home=None):
        contest = Contest("quick", None, None, only, small(tmp_path, seeds, replaced))
        home = home or tmp_path / "out"
        home.mkdir(exist_ok=True)
        pool = Pool(home, 2, (), StopRequest(), lambda line: None)
        return compete(contest, pool, lambda outcome: challenge.write(outcome, home))

    return run


@pytest.fixture
def command(runs, tmp_path, monkeypatch):  # noqa: F811
    """Runs `challenge --quick` with a small challenge in the folder `out`."""
    path = small(tmp_path)
    monkeypatch.setattr(challenge_file, "folder", lambda: tmp_path)
    path.rename(tmp_path / "challenge.toml")
    return lambda *words: call("challenge", "--quick", "--out", tmp_path / "out", *words)


def by_name(outcome):
    return {result.name: result for result in outcome.results}


def test_each_entry_is_trained_by_its_recipes_with_each_seed(competed, runs):  # noqa: F811
    found = by_name(competed())
    nets = ["alexnet", "resnet18", "vgg11", "vgg16"]
    assert sorted(set(runs.log)) == [(net, seed) for net in nets for seed in (0, 1)]
    assert len(runs.log) == 2 * 5
    alexnet = found["AlexNet"]
    assert alexnet.by["era"].test_error == [40, 41]
    assert alexnet.by["era"].ten_crop == [38, 39]
    assert alexnet.by["era"].training_error == [41, 42]
    assert alexnet.by["era"].seconds == [20, 20]  # 100 images, two epochs, ten images a second
    assert alexnet.by["today"].test_error == [35, 36]
    assert (alexnet.year, alexnet.depth, alexnet.size) == (2012, 8, 64)
    assert (alexnet.top5_error, alexnet.protocol) == (18.2, "ten_crop")
    assert found["VGG"].by.keys() == {"era"}
    assert 0 < found["ResNet"].macs < found["VGG"].macs


def test_the_least_work_is_done_first_and_a_start_before_what_starts_from_it(
    competed,
    runs,  # noqa: F811
):
    competed(only=["VGG", "ResNet"])
    nets = list(dict.fromkeys(net for net, _ in runs.log))
    assert nets == ["resnet18", "vgg11", "vgg16"]


def test_recipes_have_their_rates_sizes_and_lengths(tmp_path):
    contest = Contest("quick", path=small(tmp_path, replaced=[("epochs = 2", "epochs = 8")]))
    era, today = (contest.recipe("AlexNet", by, 1) for by in ("era", "today"))
    assert era.schedule.learning_rate == [[0, 0.02], [5.6, 0.002], [7.2, 0.0002]]
    assert (today.schedule.learning_rate, today.schedule.warm_up) == (0.001, [0.8, 1e-6])
    assert (era.schedule.epochs, today.schedule.epochs, era.seed) == (8, 8, 1)
    assert (era.optimizer.l2, today.data.mixup) == (0.001, 0.2)
    assert era.build.input_shape == [64, 64, 1]
    vgg = contest.recipe("VGG", "era", 0)
    assert vgg.build.input_shape == [32, 32, 1]
    assert [row.size for row in vgg.data.train_ops[:2]] == [36, 32]
    assert vgg.initial.layers == ["conv1_1"]


def test_a_repetition_trains_nothing_even_without_the_run_directories(
    competed,
    runs,  # noqa: F811
    tmp_path,
):
    first = competed()
    (tmp_path / "other").mkdir()
    shutil.copy(tmp_path / "out" / "runs.json", tmp_path / "other")
    runs.log.clear()
    assert competed(home=tmp_path / "other") == first
    assert not runs.log


def test_only_some_entries_and_the_rest_is_not_measured(competed, runs):  # noqa: F811
    found = competed(only=["resnet"])
    assert set(runs.log) == {("resnet18", 0), ("resnet18", 1)}
    assert not by_name(found)["AlexNet"].by["era"].test_error
    page = answers_of(found, "x.png")
    assert "| VGG | 2014 | 16 |" in page
    assert "not measured | not measured" in page
    assert "AlexNet and ResNet: not measured." in page
    # A later command shows what is known of the others.
    assert by_name(competed(only=["AlexNet"]))["ResNet"].by["era"].test_error == [20, 21]


def test_sentences_say_what_the_numbers_say(competed):
    found = sentences(competed())
    assert found[0] == (
        "AlexNet and VGG (published: 18.2 and 8.8 % top-5 error): the order is kept, measured "
        "40.50 and 28.50 % (difference 12.00 points, interval 10.59 to 13.41)."
    )
    assert found[1].startswith("VGG and ResNet (published: 8.8 against 7.46 % top-5): the order")
    assert found[2].endswith(
        "the errors are 40.50 and 20.50 %. With the recipe of today, the error of AlexNet is "
        "35.50 %, so the training closes 25 % of the gap; the net explains the rest."
    )
    assert found[3].startswith("The recipe of today lowers the error of AlexNet from 40.50 to")
    assert "someone's net: 14.50 % error" in found[4]


@pytest.mark.parametrize(
    ("error", "start", "end"),
    [
        (45.0, "the order is reversed", "so it was not trained long enough."),
        (40.2, "no difference seen", "so it was not trained long enough."),
    ],
)
def test_of_an_order_that_is_not_kept_the_training_tells_why(
    competed, monkeypatch, error, start, end
):
    monkeypatch.setitem(ERRORS, "vgg16", error)
    found = sentences(competed())[0]
    assert start in found
    assert found.endswith(end)


def test_there_may_be_no_gap_to_close(competed, monkeypatch):
    monkeypatch.setitem(ERRORS, "resnet18", 45.0)
    assert sentences(competed())[2].endswith("There is no gap to close.")


def test_one_seed_has_no_verdict(competed):
    found = competed(seeds=1)
    assert "no verdict, measured 40.00 and 28.00 % (one seed" in sentences(found)[0]
    assert "with one seed, so the spread is unknown" in answers_of(found, "x.png")
    assert "| 40.00 | 38.00 |" in answers_of(found, "x.png")


def test_runs_that_diverge_count_as_answers_at_random(competed, runs):  # noqa: F811
    runs.ends["resnet18"] = "out: diverged at step 3"
    found = competed()
    assert by_name(found)["ResNet"].by["era"].test_error == [90, 90]
    assert "90.00 ± 0.00 (2 of 2 diverged)" in answers_of(found, "x.png")


def test_the_outcome_is_read_as_it_was_written(competed, tmp_path):
    assert competed() == read(tmp_path / "out")


@pytest.mark.parametrize("text", ["", "{}", '{"results": [{"by": 3}]}', "[1]", "\xff"])
def test_a_damaged_outcome_is_refused(tmp_path, text):
    (tmp_path / "challenge.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"challenge.json: damaged: .*repeat `keras-ilsvrc"):
        read(tmp_path)


def test_the_command_writes_the_table_and_the_picture(command, tmp_path):
    done = command("--json", "--jobs", 16)
    assert done.status == 0, done.stderr
    out = tmp_path / "out"
    assert json.loads(done.stdout) == json.loads((out / "challenge.json").read_text())
    page = (out / "challenge.md").read_text()
    assert "| AlexNet | 2012 | 8 |" in page
    assert "- VGG: trained after A\n" in page
    with Image.open(out / "challenge.png") as picture:
        assert picture.width > 1000
    assert "the order is kept" in done.stderr


def test_a_stopped_command_goes_on_where_it_was(command, runs, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(stopping, "SIGNALS", ())
    runs.ends["vgg11"] = "stops"
    done = command("--jobs", 4)
    assert done.status == 75
    assert done.stderr.splitlines()[-1].endswith("; repeat the command to continue")
    assert by_name(read(tmp_path / "out"))["ResNet"].by["era"].test_error == [20, 21]
    runs.ends.clear()
    runs.log.clear()
    assert command("--jobs", 16).status == 0
    assert {net for net, _ in runs.log} == {"vgg11", "vgg16"}


def test_bad_input_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused("challenge", "--quick", "--full").startswith("--quick and --full")
    assert refused("challenge", "--quick", "--data", "digits").startswith("--quick trains on")
    assert "did you mean 'resnet-18'" in refused("challenge", "--only", "ResNet18")
    assert not list(tmp_path.iterdir())
    assert "missing.csv" in refused("challenge", "--data", "csv:missing.csv", "--out", "out")
    for place in ("train/a", "train/b", "validation/a", "validation/b"):
        (tmp_path / "photos" / place).mkdir(parents=True)
        Image.new("RGB", (80, 80)).save(tmp_path / "photos" / place / "one.png")
    line = refused("challenge", "--data", "folder:photos", "--out", "out")
    assert "2 classes" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('net = "vgg16"', 'net = "vgg61"', "net 'vgg61' is unknown; did you mean 'vgg"),
        ('start = "A"', 'start = "B"', "entry 'B' is unknown"),
        ('layers = ["conv1_1"]', "", "only one of start and layers is given"),
        ('lower = "VGG"', 'lower = "VGGG"', "entry 'VGGG' is unknown; did you mean 'VGG'"),
        ("rates = {era = 0.05}", "rates = {ear = 0.05}", "rates.ear"),
        ("size = 32", 'size = "32"', "forms.quick.size is '32'"),
        ('"build.width" = 0.0625', '"build.height" = 0.0625', "alexnet has no argument 'height'"),
        ('title = "A', "title = A", "not a TOML file"),
    ],
)
def test_a_fault_of_the_file_is_named(tmp_path, old, new, says):
    with pytest.raises(InputError) as error:
        Contest("quick", path=small(tmp_path, replaced=[(old, new)]))
    assert says in str(error.value)
    assert str(error.value).startswith(str(tmp_path))
