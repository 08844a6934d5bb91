"""Tests of oracles: trial 0 is the recipe; after kills and damage, a sweep is still the same."""

import json

import pytest
import small_sweeps
from keras_tuner.engine.trial import Trial, TrialStatus
from small_sweeps import KEYS, Killed, opened, run_all, run_trial, small_sweep

from keras_ilsvrc import InputError
from keras_ilsvrc.sweeps import oracle as module
from keras_ilsvrc.sweeps.outcome import best_of, rows_of
from keras_ilsvrc.sweeps.tune import total
from keras_ilsvrc.utils import files

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner"),
    pytest.mark.filterwarnings("ignore:.*:sklearn.exceptions.ConvergenceWarning"),
]
GRID = {"optimizer.l2": ["log", 1e-5, 1e-3, 3], "schedule.learning_rate": ["scale", 0.5, 8, 3]}
SWEEPS = {
    "random": {"trials": 6},
    "bayesian": {"trials": 5, "keys": {"optimizer.l2": ["log", 1e-5, 1e-2]}},
    "hyperband": {"trials": None, "max_epochs": 4},
    "grid": {"trials": None, "keys": GRID},
}
CHEAP = ["random", "hyperband", "grid"]  # a Gaussian process takes a second a trial


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """Saves the time to flush; the files are those of a real sweep otherwise."""
    monkeypatch.setattr(files, "flush", lambda path: None)


@pytest.fixture(params=SWEEPS)
def sweep(request, tmp_path):
    return small_sweep(tmp_path, tuner=request.param, **SWEEPS[request.param])


def made(sweep, oracle):
    """What trials.csv holds, and the best trial."""
    rows = rows_of(oracle, sweep)
    return rows, best_of(rows, "validation_error").number


def test_trial_0_is_the_recipe_and_a_seed_makes_the_same_trials(sweep, tmp_path):
    found = []
    for name in ("first", "second"):
        oracle = opened(sweep, tmp_path / name)
        ran = run_all(oracle)
        assert ran == oracle.start_order == oracle.end_order
        found.append(made(sweep, oracle))
    rows, _ = found[0]
    assert found[0] == found[1]
    assert dict(rows[0].values) == sweep.decoded(sweep.defaults())
    assert rows[0].values["optimizer.l2"] == 1e-3
    assert sweep.varied(oracle.trials[rows[0].number].hyperparameters.values) == sweep.recipe
    assert len({tuple(row.values.values()) for row in rows}) > 3
    if total(sweep):
        assert len(rows) == total(sweep)


@pytest.mark.parametrize("seed", [0, 1])
def test_another_seed_makes_other_trials(tmp_path, seed):
    runs = []
    for own in (seed, 7):
        oracle = opened(small_sweep(tmp_path, seed=own), tmp_path / f"seed-{own}")
        run_all(oracle)
        runs.append([trial.hyperparameters.values for trial in oracle.trials.values()])
    assert runs[0][0] == runs[1][0]
    assert runs[0][1:] != runs[1][1:]


def ended(home):
    """Numbers of the trials whose own file says that they have ended."""
    states = [json.loads(path.read_text()) for path in home.glob("trial_*/trial.json")]
    return {x["trial_id"] for x in states if x["status"] in ("COMPLETED", "FAILED")}


@pytest.mark.parametrize("tuner", CHEAP)
def test_a_kill_at_any_write_changes_nothing(tmp_path, tuner):
    sweep = small_sweep(tmp_path, tuner=tuner, **SWEEPS[tuner])
    oracle = opened(sweep, tmp_path / "whole")
    run_all(oracle)
    expected, writes = made(sweep, oracle), oracle.writes
    for kill in range(1, writes + 1):
        home, ran = tmp_path / f"kill-{kill}", []
        with pytest.raises(Killed):
            run_all(opened(sweep, home, kill))
        before = ended(home)
        again = opened(sweep, home)
        run_all(again, ran=ran)
        assert made(sweep, again) == expected, kill
        assert again.end_order == again.start_order, kill
        assert not before & set(ran), kill  # what has ended does not run again
        assert len(ran) == len(set(ran)), kill


@pytest.mark.parametrize("tuner", SWEEPS)
def test_a_chain_of_kills_changes_nothing(tmp_path, tuner):
    """Each process may write five times at most, about once per trial."""
    sweep = small_sweep(tmp_path, tuner=tuner, **SWEEPS[tuner])
    oracle = opened(sweep, tmp_path / "whole")
    run_all(oracle)
    home, kills = tmp_path / "parts", 0
    while True:
        again = opened(sweep, home, 3 + kills % 3 + 1)
        try:
            run_all(again)
            break
        except Killed:
            kills += 1
    assert made(sweep, again) == made(sweep, oracle)
    assert kills > len(oracle.trials)


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"trial_id": "1"}', b"\xff\x00"])
@pytest.mark.parametrize("tuner", CHEAP)
def test_a_damaged_trial_runs_again_with_its_values(tmp_path, tuner, content):
    sweep, lines = small_sweep(tmp_path, tuner=tuner, **SWEEPS[tuner]), []
    oracle = opened(sweep, tmp_path / "whole")
    run_all(oracle)
    number = oracle.start_order[-1]  # of Hyperband: continues another
    path = tmp_path / "whole" / f"trial_{number}" / "trial.json"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    again = opened(sweep, tmp_path / "whole", lines=lines)
    assert run_all(again) == [number]
    assert made(sweep, again) == made(sweep, oracle)
    assert len(lines) == 1
    assert str(path) in lines[0]
    assert lines[0].endswith("the trial runs again")


def test_a_changed_digit_counts_as_damage(tmp_path):
    sweep, lines = small_sweep(tmp_path), []
    run_all(opened(sweep, tmp_path / "whole"))
    path = tmp_path / "whole" / "trial_0000" / "trial.json"
    path.write_text(path.read_text().replace('"best_step": 3', '"best_step": 2'))
    assert run_all(opened(sweep, tmp_path / "whole", lines=lines)) == ["0000"]
    assert "SHA-256" in lines[0]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"start_order": ["0"]}', b"\xff"])
def test_a_damaged_state_is_one_line(tmp_path, content):
    sweep, home = small_sweep(tmp_path), tmp_path / "whole"
    run_all(opened(sweep, home))
    (home / "oracle.json").write_bytes(content)
    with pytest.raises(InputError, match=r"oracle\.json: damaged: .*; restore it") as error:
        opened(sweep, home)
    assert "\n" not in str(error.value)


def test_hyperband_continues_the_best_also_if_trials_fail(tmp_path, monkeypatch):
    """keras-tuner waits for all of a round, so a failed trial would end the bracket."""
    sweep = small_sweep(tmp_path, tuner="hyperband", trials=None, max_epochs=9)
    monkeypatch.setattr(
        small_sweeps, "failure_of", lambda x: "diverged" * (x["optimizer.l2"] > 1e-4) or None
    )
    oracle = opened(sweep, tmp_path / "whole")
    run_all(oracle)
    rounds = [x.hyperparameters.values["tuner/round"] for x in oracle.trials.values()]
    failed = [x for x in oracle.trials.values() if x.status == TrialStatus.FAILED]
    assert len(failed) >= 4
    assert {0, 1, 2} == set(rounds)
    continued = [x.hyperparameters.values.get("tuner/trial_id") for x in oracle.trials.values()]
    assert not {x.trial_id for x in failed} & set(continued)


def test_hyperband_continues_the_best_of_a_space_that_is_too_small(tmp_path):
    keys = {"optimizer.l2": ["choice", 1e-4, 1e-5], "schedule.learning_rate": ["scale", 1, 2, 2]}
    sweep = small_sweep(tmp_path, keys, tuner="hyperband", trials=None, max_epochs=9)
    oracle = opened(sweep, tmp_path / "whole")
    run_all(oracle)
    values = [x.hyperparameters.values for x in oracle.trials.values()]
    first = [x for x in values if x["tuner/round"] == 0]
    assert len(first) == len({(x["optimizer.l2"], x["schedule.learning_rate"]) for x in first}) <= 6
    assert max(x["tuner/epochs"] for x in values) == 9


class Clock:
    now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(module, "time", found)
    return found


def test_a_trial_of_a_lost_worker_goes_to_another_and_counts_once(tmp_path, clock):
    sweep = small_sweep(tmp_path)
    oracle = opened(sweep, tmp_path / "sweep")
    first, second = oracle.create_trial("a"), oracle.create_trial("b")
    clock.now = 20
    oracle.get_trial(second.trial_id)  # b shows that it is alive
    assert oracle.lost() == []
    clock.now = 26
    assert oracle.lost() == ["a"]
    assert oracle.give_up("a") == first.trial_id
    assert oracle.lost() == []
    run_trial(oracle, second)
    taken = oracle.create_trial("b")
    assert taken.trial_id == first.trial_id
    assert taken.hyperparameters.values == first.hyperparameters.values
    run_trial(oracle, taken)
    before = made(sweep, oracle)
    # The first worker was only slow, and reports something else.
    oracle.update_trial(first.trial_id, {"validation_error": 0.0}, step=3)
    late = Trial.from_proto(first.to_proto())
    late.status = TrialStatus.FAILED
    oracle.end_trial(late)
    assert made(sweep, oracle) == before
    assert made(sweep, opened(sweep, tmp_path / "sweep")) == before
    assert run_all(oracle, "b") == ["0002"]
    assert oracle.end_order == [second.trial_id, first.trial_id, "0002"]


def test_the_result_of_a_slow_worker_counts_before_the_trial_runs_again(tmp_path, clock):
    oracle = opened(small_sweep(tmp_path), tmp_path / "sweep")
    first = oracle.create_trial("a")
    oracle.give_up("a")
    run_trial(oracle, first)
    assert oracle.create_trial("b").trial_id == "0001"
    assert oracle.end_order == ["0000"]


def test_a_worker_waits_for_the_trials_of_others(tmp_path, clock):
    oracle = opened(small_sweep(tmp_path, trials=1), tmp_path / "sweep")
    first = oracle.create_trial("a")
    assert oracle.create_trial("b").status == TrialStatus.IDLE
    clock.now = 26
    oracle.create_trial("b")
    oracle.give_up(*oracle.lost())
    assert oracle.create_trial("b").trial_id == first.trial_id
    run_trial(oracle, first)
    assert oracle.create_trial("b").status == TrialStatus.STOPPED
    assert oracle.tuner_ids == set()


def test_an_idle_worker_that_is_gone_is_lost(tmp_path, clock):
    """The chief must not wait for it at the end."""
    oracle = opened(small_sweep(tmp_path, trials=1), tmp_path / "sweep")
    oracle.create_trial("a")
    oracle.create_trial("b")
    clock.now = 26
    oracle.get_trial("0000")
    assert oracle.lost() == ["b"]
    assert oracle.give_up("b") is None
    assert oracle.tuner_ids == {"a"}


def test_measurements_of_a_trial_that_runs_again_replace_the_first(tmp_path):
    oracle = opened(small_sweep(tmp_path), tmp_path / "sweep")
    trial = oracle.create_trial("a")
    for error in (4.0, 2.0):
        oracle.update_trial(trial.trial_id, {"validation_error": error}, step=3)
    assert trial.metrics.get_best_value("validation_error") == 2.0
    assert oracle.trials["0000"].metrics.get_history("validation_error")[0].value == [2.0]


def test_a_grid_is_all_combinations(tmp_path):
    keys = {"optimizer.l2": ["choice", 1e-4, 1e-3], "net": ["choice", "resnet_v2_cifar"]}
    sweep = small_sweep(tmp_path, keys | {"data.batch_size": ["log_int", 32, 128, 3]}, tuner="grid")
    oracle = opened(sweep, tmp_path / "few")
    assert len(run_grid(oracle)) == 3  # `trials` bounds it
    sweep = small_sweep(
        tmp_path, keys | {"data.batch_size": ["log_int", 32, 128, 3]}, tuner="grid", trials=None
    )
    values = run_grid(opened(sweep, tmp_path / "all"))
    assert len(values) == total(sweep) == 12
    assert len({tuple(sorted(x.items())) for x in values}) == 12
    assert [x["data.batch_size"] for x in values[:3]] == [128, 32, 64]
    assert {x["net"] for x in values} == {'"resnet_cifar"', '"resnet_v2_cifar"'}


def run_grid(oracle):
    found = []
    while (trial := oracle.create_trial("a")).status == TrialStatus.RUNNING:
        trial.status = TrialStatus.FAILED
        oracle.end_trial(trial)
        found.append(trial.hyperparameters.values)
    return found


def test_no_number_of_failures_ends_a_sweep(tmp_path, monkeypatch):
    monkeypatch.setattr(small_sweeps, "failure_of", lambda values: "diverged")
    sweep = small_sweep(tmp_path, KEYS, trials=12)
    oracle = opened(sweep, tmp_path / "sweep")
    assert len(run_all(oracle)) == 12
    with pytest.raises(InputError, match="no trial was completed: diverged"):
        best_of(rows_of(oracle, sweep), "validation_error")
