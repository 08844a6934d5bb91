"""Tests of sweeps killed at any moment: trials are not lost or repeated; the best is the same."""

import pytest
from small_sweeps import outcome, small_sweep
from sweep_rounds import rounds

pytestmark = pytest.mark.slow
CHANGES = {"data.batch_size": 256}
HYPERBAND = {"tuner": "hyperband", "trials": None, "max_epochs": 4}


def check(tmp_path, kills, longest, real, **table):
    """Run a sweep, and others that are killed; return their number and their outcome."""
    path = small_sweep(tmp_path, changes=CHANGES, final_repeats=2, **table).path
    found = rounds(path, tmp_path, kills, longest, real)
    print(f"kills of each sweep: {found['kills']}")
    assert sum(found["kills"]) == kills
    assert found["changed"] == 0  # a finished run is kept as it is
    expected, *others = [outcome(tmp_path / str(x)) for x in range(len(found["kills"]))]
    assert others
    assert all(other == expected for other in others)
    return len(found["kills"]), expected


def check_epochs(directory, count):
    """No epoch was trained twice; the stand-in writes a line for each."""
    for number in range(count):
        lines = (directory / f"{number}.log").read_text().splitlines()
        assert len(lines) == len(set(lines)) > 9


@pytest.mark.parametrize(
    ("kills", "table"),
    [
        pytest.param(3, {}, id="three kills"),
        pytest.param(20, {"trials": 5}, id="twenty kills"),
        pytest.param(20, HYPERBAND, id="hyperband"),
        pytest.param(20, {"tuner": "bayesian", "trials": 9}, id="bayesian"),
    ],
)
def test_a_sweep_that_is_killed_is_the_same(tmp_path, kills, table):
    count, (trials, *_) = check(tmp_path, kills, 3, 0, **table)
    assert len(trials) >= 3
    check_epochs(tmp_path, count)


def test_a_sweep_of_real_trainings_that_is_killed_is_the_same(tmp_path):
    _, (trials, *_) = check(tmp_path, 20, 25, 1)
    assert [row["status"] for row in trials] == ["completed"] * 3
