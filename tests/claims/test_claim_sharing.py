"""Tests of runs that several claims share: records, other versions, and damaged files."""

import shutil

import pytest
from small_claims import ARMS, study

from keras_ilsvrc import InputError
from keras_ilsvrc.claims.study import outcome_of

pytestmark = pytest.mark.tensorflow
START = {"initial": {"weights": "arm:eight", "skip": ["logits"]}}
BOTH = {**ARMS, "from eight": {"build.depth": 20, **START}}


def arms_of(outcome):
    return {arm.name: arm for arm in outcome.arms}


def age(folder, version="0.1.0"):
    """Make the records of a folder those of another version."""
    path = folder / "runs.json"
    path.write_text(path.read_text().replace('"version":"0.2.0"', f'"version":"{version}"'))


def test_claims_share_an_arm(pool, stand_in, tmp_path):
    outcome_of(study(tmp_path, seeds=2), pool())
    assert len(stand_in()) == 4
    arms = {"fourteen": {"build.depth": 20}, "eight": {}}
    other = {"name": "other", "changes": {"report": True, "keep_epochs": [1]}}
    outcome_of(study(tmp_path, seeds=2, arms=arms, measure="test_error", **other), pool())
    assert len(stand_in()) == 6  # two of the arm with 20 layers
    outcome_of(study(tmp_path, seeds=3), pool())
    assert len(stand_in()) == 8  # the third seed of both


def test_records_are_enough_without_directories(pool, stand_in, tmp_path):
    first = outcome_of(study(tmp_path, arms=BOTH, rates=[1.0, 2.0]), pool())
    lines = stand_in()
    shutil.rmtree(tmp_path / "claims" / "runs")
    assert outcome_of(study(tmp_path, arms=BOTH, rates=[1.0, 2.0]), pool()) == first
    assert stand_in() == lines


def test_a_new_measure_of_a_run_whose_directory_is_gone_trains_it_again(
    pool, stand_in, tmp_path, messages
):
    outcome_of(study(tmp_path, seeds=2, rates=[1.0, 2.0]), pool())
    number = len(stand_in())
    runs = tmp_path / "claims" / "runs"
    kept = next(runs.glob("resnet_cifar-*/run.json")).parent
    for path in runs.iterdir():
        if path.is_dir() and path != kept:
            shutil.rmtree(path)
    arms = {"eight": {}, "fourteen": {"build.depth": 14}}
    found = outcome_of(
        study(tmp_path, 2, rates=[1.0, 2.0], arms=arms, measure="test_error"), pool()
    )
    assert arms_of(found)["eight"].values == {"test_error": [10, 11]}
    again = stand_in()[number:]
    assert len(again) in (3, 4)  # those at the best rate, but for the directory that is kept
    assert kept.name not in dict(again)
    said = [line for line in messages if "again" in line]
    assert len(said) == len(again)
    assert all("test_error is needed, and the run directory is gone" in line for line in said)


def test_runs_of_another_version_are_trained_again_and_it_is_said(
    pool, stand_in, tmp_path, messages
):
    first = outcome_of(study(tmp_path, seeds=2), pool())
    home, number = tmp_path / "claims", len(stand_in())
    for _ in range(2):  # also twice
        for path in home.glob("runs/*/run.json"):
            text = path.read_text()
            path.unlink()
            renumber(path, text)
        age(home)
        messages.clear()
        assert outcome_of(study(tmp_path, seeds=2), pool()) == first
        said = [line for line in messages if line.endswith("; it is trained again")]
        assert len(said) == 4
        assert all("trained by version 0.1.0" in line for line in said)
    assert len(stand_in()) == 3 * number
    assert len(list(home.glob("runs/*-before"))) == 4
    assert len(list(home.glob("runs/*-before-2"))) == 4


def renumber(path, text):
    """Write a `run.json` of another version."""
    from keras_ilsvrc.utils import files

    table = files.unsealed(text.encode())
    path.write_bytes(files.sealed(table | {"version": "0.1.0"}))


def test_a_damaged_run_is_trained_again_or_the_line_says_what_to_do(
    pool, stand_in, tmp_path, messages
):
    first = outcome_of(study(tmp_path, seeds=2), pool())
    home = tmp_path / "claims"
    (home / "runs.json").unlink()
    path = next(home.glob("runs/*/run.json"))
    path.write_text("{")
    assert outcome_of(study(tmp_path, seeds=2), pool()) == first
    assert len(stand_in()) == 5
    assert any("run.json: damaged" in x and x.endswith("it is trained again") for x in messages)
    (home / "runs.json").unlink()
    path = next(home.glob("runs/*/history.csv"))
    path.write_text("damaged")
    with pytest.raises(InputError) as error:
        outcome_of(study(tmp_path, seeds=2), pool())
    assert str(error.value).startswith(f"{path}: damaged")
    assert str(error.value).endswith(f"; or remove {path.parent} to train the run again")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "5", '{"a":5}', '{"a":{}}', '{"a":{"net":"x","version":"1","b":0}}']
)
def test_damaged_records_are_refused_with_advice(pool, tmp_path, content):
    path = tmp_path / "claims" / "runs.json"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(InputError) as error:
        pool()
    assert str(error.value).startswith(f"{path}: damaged: ")
    assert str(error.value).endswith(
        "; restore it from a copy, or remove it; then runs without directories are trained again"
    )
