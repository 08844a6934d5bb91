"""Tests of the command `tune`: a sweep, the files it writes, and its continuation."""

import csv
import itertools
import json
import re

import browser
import pytest
import stand_in
from commands import call, refused, said
from pages import Page
from small_sweeps import Killed, outcome, small_sweep

from keras_ilsvrc.recipe import load
from keras_ilsvrc.runs import train as runs_train
from keras_ilsvrc.runs.apart import Apart
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.sweeps import trial as module
from keras_ilsvrc.sweeps.schema import Sweep
from keras_ilsvrc.sweeps.search import directory, worker_directory
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.utils.files import lock, sealed, unsealed

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner"),
]
# The rate of the recipe is so small that any other is better.
CHANGES = {"schedule.learning_rate": [[0, 1e-4]], "data.batch_size": 256}
KEYS = {"optimizer.l2": ["log", 1e-5, 1e-3], "schedule.learning_rate": ["scale", 500, 1000]}


def train_here(runner, recipe, place, epochs, limit, late):
    """Train in this process, which has imported TensorFlow; new seeds with the stand-in."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if "final" in place.parts and recipe.data.test == "validation":
        stand_in.run(recipe, place)
        return
    runs_train.train(recipe, RunDirectory(place, recipe, resume=True))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The directory of a finished sweep; beside it, the sweep file."""
    place = tmp_path_factory.mktemp("sweep")
    path = small_sweep(place, KEYS, CHANGES, trials=2, final_repeats=2).path
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Apart, "train", train_here)
        patch.setattr(runs_train, "draw", lambda *arguments: None)
        output = said("tune", path, "--out", place / "out")
    (place / "output").write_text(output)
    return place / "out"


@pytest.fixture
def sweep(home):
    return Sweep(home.parent / "small.toml")


@pytest.fixture
def rows(home):
    return list(csv.DictReader((home / "trials.csv").read_text().splitlines()))


@pytest.fixture
def untrained(monkeypatch):
    """Makes every training an error."""
    monkeypatch.setattr(Apart, "train", None)


def test_trials_csv_is_what_the_runs_measured(home, rows, sweep):
    assert [(row["trial"], row["status"]) for row in rows] == [
        (x, "completed") for x in ("0000", "0001")
    ]
    for row in rows:
        run = RunFiles(home / f"trial_{row['trial']}" / "seed-0")
        assert float(row["validation_error"]) == run.history()[-1]["validation_error"]
        assert float(row["seconds"]) == run.result()["seconds"]
        assert float(row["optimizer.l2"]) == run.recipe().optimizer.l2
        factor = float(row["schedule.learning_rate"])
        assert run.recipe().schedule.learning_rate == [[0, 1e-4 * factor]]
        assert run.recipe().data.test == "validation"
        assert row["failure"] == ""
    assert (rows[0]["optimizer.l2"], rows[0]["schedule.learning_rate"]) == ("0.001", "1.0")


def test_best_toml_is_the_recipe_of_the_winner(home, rows):
    winner = min(rows, key=lambda row: float(row["validation_error"]))
    best = load(home / "best.toml")
    assert winner["trial"] != "0000"
    assert best.optimizer.l2 == float(winner["optimizer.l2"])
    assert best.data.test == "test"
    assert f"Trial {winner['trial']} of the sweep small.toml" in (home / "best.toml").read_text()
    place = home / "final" / f"trial_{winner['trial']}" / "test"
    assert RunDirectory(place, best, resume=True).finished
    assert (best.expect.errors, best.departs) == ({}, [])


def test_the_winner_is_compared_with_new_seeds_and_tested_once(home, rows):
    found = json.loads((home / "outcome.json").read_text())
    winner = f"trial_{min(rows, key=lambda row: float(row['validation_error']))['trial']}"
    assert found["comparison"]["seeds"] == [1, 2]
    for name, folder in (("recipe", "recipe"), ("winner", winner)):
        runs = [home / "final" / folder / f"seed-{seed}" for seed in (1, 2)]
        errors = [module.history(run)[-1]["validation_error"] for run in runs]
        assert found["comparison"][name] == errors
    splits = {
        str(path.parent.relative_to(home)): load(path).data.test
        for path in home.rglob("recipe.toml")
    }
    assert [x for x, split in splits.items() if split == "test"] == [f"final/{winner}/test"]
    assert len(splits) == 7
    assert found["test"]["images"] == 360
    assert found["test"] == RunFiles(home / "final" / winner / "test").result()


def test_what_the_command_prints(home, rows):
    output = (home.parent / "output").read_text()
    winner = min(rows, key=lambda row: float(row["validation_error"]))
    assert f"best        trial {winner['trial']} completed: validation_error " in output
    assert re.search(r"^verdict     (no difference seen|better by|worse by) ", output, re.M)
    assert "on 360 images" in output
    assert output.endswith(f"next: keras-ilsvrc train {home / 'best.toml'}\n")


def test_a_page_holds_its_pictures_and_all_trials(home, rows):
    page = Page((home / "sweep.html").read_text())
    assert len(page.pictures) == 3
    assert all(len(picture["alt"]) > 10 for picture in page.pictures)
    words = " ".join(page.words)
    for part in ("Sweep small", "With the new seeds 1, 2", "a one-sided paired t-test", "on 360"):
        assert part in words
    assert all(f"{float(row['validation_error']):.4g}" in words for row in rows)
    assert [x for x in page.references if not x.startswith(("#", "data:"))] == []


@pytest.mark.skipif(not browser.installed(), reason="needs a browser: apt-get install chromium")
def test_a_browser_shows_the_page(home, tmp_path):
    with browser.Browser(tmp_path) as opened:
        opened.open(home / "sweep.html", 390, 844)
        assert opened.value("Array.from(document.images, x => x.naturalWidth > 0)") == [True] * 3
        assert opened.complaints() == []
        assert opened.requests() == [(home / "sweep.html").as_uri()]
        assert opened.value("document.documentElement.scrollWidth") <= 390


def test_a_finished_sweep_is_not_trained_again(home, sweep, untrained):
    files = ("trials.csv", "best.toml", "outcome.json", "oracle.json")
    before = [(home / name).read_text() for name in files]
    done = json.loads(said("tune", sweep.path, "--out", home, "--resume", "--json"))
    assert [(home / name).read_text() for name in files] == before
    assert done["best"]["number"] == "0001"
    assert done["test"]["images"] == 360
    assert done["out"] == str(home)


def test_a_damaged_trial_of_a_finished_sweep_is_read_from_its_runs(home, sweep, untrained):
    path, before = home / "trial_0001" / "trial.json", (home / "trials.csv").read_text()
    path.write_bytes(b"")
    done = call("tune", sweep.path, "--out", home, "--resume")
    assert f"{path}: damaged" in done.stderr
    assert done.status == 0, done.stderr
    assert (home / "trials.csv").read_text() == before


def test_a_directory_is_not_used_twice(home, sweep, tmp_path, untrained):
    line = refused("tune", sweep.path, "--out", home)
    assert "not empty" in line
    assert line.endswith("or pass --resume if it contains this sweep")
    other = small_sweep(tmp_path, KEYS, CHANGES, trials=4, seed=1)
    line = refused("tune", other.path, "--out", home, "--resume")
    expected = "seed 0 -> 1; choose another --out"
    assert line == f"{home}: contains another sweep: {expected}"
    with pytest.raises(InputError, match="contains another sweep: seed 0 -> 1"):
        worker_directory(home, other)
    assert "inside the run" in refused("tune", sweep.path, "--out", home / "trial_0000" / "new")


def test_a_directory_of_something_else_is_refused(sweep, tmp_path, untrained):
    (tmp_path / "notes.txt").touch()
    assert refused("tune", sweep.path, "--out", tmp_path, "--resume") == (
        f"{tmp_path}: contains notes.txt but no sweep; choose another --out"
    )
    mark = tmp_path / "sweep.json"
    mark.write_text("{")
    assert "sweep.json: damaged" in refused("tune", sweep.path, "--out", tmp_path, "--resume")
    mark.write_bytes(sealed({"version": "99.0", **sweep.identity}))
    line = refused("tune", sweep.path, "--out", tmp_path, "--resume")
    assert "written by keras_ilsvrc 99.0, but this is " in line


def test_two_processes_do_not_run_one_sweep(sweep, tmp_path):
    with directory(tmp_path / "out", sweep, False) as home:
        assert unsealed((home / "sweep.json").read_bytes())["tuner"] == "random"
        again = directory(home, sweep, True)
        with pytest.raises(InputError, match="another process runs this sweep"):
            again.__enter__()
    lock(home / ".lock").release()


@pytest.fixture
def quick(monkeypatch):
    """Trains nothing, in no process."""

    def run(runner, recipe, place, epochs, limit, late):
        status, line = stand_in.run(recipe, place, epochs)
        return None if status == 0 or epochs else line

    monkeypatch.setattr(Apart, "train", run)


def test_a_recipe_that_fails_is_no_end(quick, tmp_path):
    """Trial 0 diverges, as it does with the new seeds, and the others do not."""
    keys = {"optimizer.l2": ["choice", 1e-3, 2e-3]}
    changes = {"optimizer.l2": stand_in.DIVERGES}
    path = small_sweep(tmp_path, keys, changes, tuner="grid").path
    done = call("tune", path, "--out", tmp_path / "out")
    assert done.status == 0, done.stderr
    assert "trial 0000 failed: " in done.stderr
    line = next(x for x in done.stdout.splitlines() if x.startswith("verdict"))
    assert (
        f"not compared with the recipe: the run {tmp_path}/out/final/recipe/seed-1 failed: " in line
    )
    assert line.endswith("diverged at step 3")
    assert "of the recipe: none, because its run failed" in " ".join(
        Page((tmp_path / "out/sweep.html").read_text()).words
    )
    rows = list(csv.DictReader((tmp_path / "out" / "trials.csv").read_text().splitlines()))
    assert [row["status"] for row in rows] == ["failed", "completed", "completed"]
    assert rows[0]["failure"].endswith("diverged at step 3")


def test_a_sweep_that_breaks_off_in_any_run_is_the_same(quick, tmp_path, monkeypatch):
    """In this process; the tests of chaos kill real ones."""
    keys, changes = {"optimizer.l2": ["choice", 1e-3, 2e-3]}, {"optimizer.l2": 1e-2}
    path = small_sweep(tmp_path, keys, changes, tuner="grid", final_repeats=2).path
    said("tune", path, "--out", tmp_path / "whole")
    real, epochs, breaks, output = stand_in.error_of, itertools.count(1), 0, ""

    def break_off(recipe, epoch):
        if next(epochs) % 16 == 0:
            raise Killed
        return real(recipe, epoch)

    monkeypatch.setattr(stand_in, "error_of", break_off)
    monkeypatch.setenv(stand_in.LOG, str(tmp_path / "log"))
    while not output:
        try:
            output = said("tune", path, "--out", tmp_path / "parts", "--resume")
        except Killed:
            breaks += 1
    assert breaks > 3
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == len(set(lines)) == 72  # each of 8 runs has trained 9 epochs once


def test_a_sweep_whose_trials_all_fail_says_why(quick, tmp_path):
    changes = {"optimizer.l2": stand_in.DIVERGES}
    keys = {"data.batch_size": ["choice", 64]}
    path = small_sweep(tmp_path, keys, changes, tuner="grid").path
    line = refused("tune", path, "--out", tmp_path / "out")
    assert line.startswith("no trial was completed: ")
    assert line.endswith("diverged at step 3")


def test_the_recipe_itself_may_be_the_best(quick, tmp_path):
    keys = {"optimizer.l2": ["choice", 1e-5]}
    path = small_sweep(tmp_path, keys, tuner="grid", repeats=2).path
    output = said("tune", path, "--out", tmp_path / "out")
    assert "verdict     no trial was better than the recipe\n" in output
    assert "+- 1.41" in output  # two seeds, whose errors differ by 2
    assert json.loads((tmp_path / "out" / "outcome.json").read_text())["comparison"] is None
    assert not (tmp_path / "out" / "final" / "recipe").exists()


def test_hyperband_may_continue_the_recipe_under_another_number(quick, tmp_path):
    keys = {"optimizer.l2": ["log", 1e-6, 1e-5]}  # the recipe's 1e-3 is the best
    path = small_sweep(tmp_path, keys, tuner="hyperband", trials=None, max_epochs=4).path
    output = said("tune", path, "--out", tmp_path / "out")
    assert "verdict     no trial was better than the recipe\n" in output
    rows = list(csv.DictReader((tmp_path / "out" / "trials.csv").read_text().splitlines()))
    best = min(rows, key=lambda row: float(row["validation_error"]))
    assert (best["optimizer.l2"], best["epochs"]) == ("0.001", "4.0")
    assert int(best["trial"]) > 0
