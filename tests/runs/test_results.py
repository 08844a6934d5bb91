"""Tests of the table of finished runs."""

import pytest
from small import RESULT, identity

from keras_ilsvrc import InputError
from keras_ilsvrc.recipe import find, load
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.runs.results import markdown, rows_of

ERRORS = {0: 1.5, 1: 2.5, 2: 2.0}


@pytest.fixture
def write(tmp_path):
    """Write a finished run: its name, changes of the quickstart, and keys of its result."""

    def run(name, overrides, **result):
        recipe = load(find("quickstart"), overrides)
        with RunDirectory(tmp_path / name, recipe) as directory:
            directory.begin(identity(recipe))
            directory.finish(RESULT | {"net": recipe.net} | result)

    return run


@pytest.fixture
def runs(tmp_path, write):
    """Three seeds of one recipe with a baseline, and one run of a deeper net."""
    svm = {"name": "svm", "top1_error": 1.6667}
    for seed, error in ERRORS.items():
        write(f"run-{seed}", [f"seed={seed}"], top1_error=error, baseline=svm)
    write("deeper", ["net=resnet32_cifar"], top1_error=1.0, seconds=100.0)
    return tmp_path


def test_seeds_of_one_recipe_are_one_row_behind_the_baseline(runs):
    svm, deeper, net = rows_of([runs])
    assert (svm.classifier, svm.errors) == ("svm", {0: 1.6667})
    assert (deeper.classifier, deeper.errors) == ("resnet32_cifar", {2: 1.0})
    assert (net.classifier, net.errors, net.mean) == ("resnet20_cifar", ERRORS, 2.0)


def test_a_page_shows_mean_spread_and_seeds(runs):
    lines = markdown(rows_of([runs])).splitlines()
    assert lines[0].startswith("| data | classifier | test error % | spread | seeds |")
    assert lines[2] == "| digits | svm | 1.67 |  |  | 360 | raw pixels |  |"
    assert lines[4] == (
        "| digits | resnet20_cifar | 2.00 | 1.50 to 2.50 | 0, 1, 2 | 360 | single_view | 60 |"
    )


def test_a_repeated_run_is_a_row_of_its_own_and_both_name_their_directories(runs, write):
    write("the same", ["seed=2"], top1_error=4.0)
    _, _, three, repeated = sorted(rows_of([runs]), key=lambda row: row.runs)
    assert (repeated.errors, repeated.runs) == ({2: 4.0}, (str(runs / "the same"),))
    assert repeated.cells()[1] == f"resnet20_cifar ({runs / 'the same'})"
    assert str(runs / "run-1") in three.cells()[1]


def test_a_directory_given_twice_is_counted_once(runs):
    assert rows_of([runs, runs / "run-0"]) == rows_of([runs])


def test_runs_of_one_net_are_named_by_the_keys_in_which_they_differ(runs, write):
    write("more", ["optimizer.l2=0.01", "build.width=0.5"], net="resnet20_cifar", top1_error=5.0)
    shown = {row.runs[-1]: row.arm for row in rows_of([runs]) if row.runs}
    assert shown[str(runs / "more")] == "build.width=0.5, optimizer.l2=0.01"
    assert shown[str(runs / "run-2")] == "build.width=none, optimizer.l2=0.001"
    assert shown[str(runs / "deeper")] == ""


def test_a_folder_without_a_finished_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="contains no finished run"):
        rows_of([tmp_path])


def test_a_damaged_result_is_named(runs):
    (runs / "run-1" / "result.json").write_text("{")
    with pytest.raises(InputError, match=r"run-1/result.json: damaged"):
        rows_of([runs])
