"""Tests of the trials of a sweep: their measurements, their failures, and their continuation."""

import subprocess
import sys
import threading
import time

import pytest
import stand_in
from commands import call
from filelock import FileLock
from small_sweeps import small_sweep

from keras_ilsvrc.recipe import load
from keras_ilsvrc.runs import apart, processes
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.sweeps import trial as module
from keras_ilsvrc.sweeps.trial import Outcome, Runner
from keras_ilsvrc.training.stopping import Stopped, StopRequest

pytestmark = pytest.mark.tensorflow
VALUES = {"optimizer.l2": 1e-4, "schedule.learning_rate": 1.0}


@pytest.fixture
def log(tmp_path, monkeypatch):
    """The lines of all epochs of stand-ins for `train`."""
    monkeypatch.setattr(apart, "TRAIN", (sys.executable, stand_in.__file__))
    monkeypatch.setenv(stand_in.LOG, str(tmp_path / "log"))
    path = tmp_path / "log"
    path.touch()
    return lambda: [line.split() for line in path.read_text().splitlines()]


@pytest.fixture
def runner(log, tmp_path):
    return lambda **table: Runner(small_sweep(tmp_path, **table), tmp_path / "sweep")


def ends_at(value):
    return {**VALUES, "optimizer.l2": value}


def test_a_trial_is_a_run_of_its_recipe_on_the_validation_split(runner, log, tmp_path):
    runner = runner()
    found = runner.trial("1", VALUES)
    expected = stand_in.error_of(runner.sweep.varied(VALUES), stand_in.EPOCHS)
    assert found == Outcome({"validation_error": expected, "seconds": 1.0, "epochs": 9})
    run = RunFiles(tmp_path / "sweep" / "trial_1" / "seed-0")
    assert run.recipe().optimizer.l2 == 1e-4
    assert run.recipe().data.test == "validation"
    assert "test" not in {line[-1] for line in log()}
    assert not run.recipe().expect.errors
    assert run.recipe().baseline is None


def test_a_trial_that_is_done_does_not_run_again(runner, log):
    first = runner().trial("1", VALUES)
    lines = log()
    assert runner().trial("1", VALUES) == first
    assert log() == lines


def test_repeats_are_seeds_with_a_mean_and_a_spread(runner, log):
    found = runner(repeats=3).trial("1", VALUES)
    errors = [10 + 2 * seed + 20 / 9 for seed in range(3)]
    assert found.measured["validation_error"] == pytest.approx(sum(errors) / 3)
    assert found.measured["spread"] == pytest.approx(2.0)
    assert {seed for _, seed, *_ in log()} == {"0", "1", "2"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (stand_in.DIVERGES, "diverged at step 3"),
        (stand_in.DIES, "killed by SIGKILL; it may have run out of memory"),
        (stand_in.STOPS, "stopped by SIGTERM"),
    ],
)
def test_a_run_that_fails_gives_its_reason(runner, value, reason):
    found = runner(repeats=2).trial("1", ends_at(value))
    assert found.measured == {}
    assert reason in found.failure
    assert "\n" not in found.failure


def test_a_trial_out_of_time_fails(runner, log):
    started = time.monotonic()
    found = runner(trial_minutes=0.02).trial("1", ends_at(stand_in.HANGS))
    assert found == Outcome({}, "not finished after 0.02 minutes (trial_minutes)")
    assert 1.2 <= time.monotonic() - started < 30
    assert not log()


def test_values_that_cannot_be_built_fail_before_a_process_starts(runner, tmp_path):
    keys = {"net": ["choice", "resnet_cifar", "zfnet"]}
    found = runner(keys=keys, changes={"build.depth": None}).trial("1", {"net": '"zfnet"'})
    assert found.failure.startswith("input_shape is (8, 8, 1): too small for zfnet")
    assert not (tmp_path / "sweep").exists()
    found = runner(max_model_size=1000).trial("1", VALUES)
    assert found.failure == "the model has 75,002 parameters; max_model_size is 1,000"
    assert not (tmp_path / "sweep").exists()


def test_a_signal_stops_the_run_and_raises(runner, log, tmp_path):
    class Later(StopRequest):
        def __bool__(self):
            self.name = "SIGTERM"
            return (tmp_path / "sweep" / "trial_1" / "seed-0").exists()

    runner = Runner(runner().sweep, tmp_path / "sweep", stop=Later())
    started = time.monotonic()
    with pytest.raises(Stopped, match="SIGTERM"):
        runner.trial("1", ends_at(stand_in.HANGS))
    assert time.monotonic() - started < 30


def test_a_trial_of_hyperband_goes_on_in_the_directory_of_the_first(runner, log, tmp_path):
    runner = runner(tuner="hyperband", trials=None, max_epochs=4)
    first = runner.trial("0001", VALUES | {"tuner/epochs": 2})
    then = runner.trial("0004", VALUES | {"tuner/epochs": 4}, root="0001")
    assert [epoch for *_, epoch, _ in log()] == ["1", "2", "3", "4"]
    assert first.measured["validation_error"] == 10 + 20 / 2
    assert then.measured["validation_error"] == 10 + 20 / 4
    assert not (tmp_path / "sweep" / "trial_0004").exists()
    # Again, as after damage of its file: it is measured where it ended then.
    again = runner.trial("0001", VALUES | {"tuner/epochs": 2})
    assert again.measured["validation_error"] == first.measured["validation_error"]
    assert len(log()) == 4


def test_a_run_of_another_recipe_is_no_result(runner, log):
    runner().trial("1", VALUES)
    found = runner().trial("1", ends_at(1e-5))
    assert "contains a run of another recipe: optimizer.l2 0.0001 -> 1e-05" in found.failure


def test_a_damaged_run_is_a_failed_trial(runner, log, tmp_path):
    runner().trial("1", VALUES)
    run = tmp_path / "sweep" / "trial_1" / "seed-0"
    for name, reason in (("result.json", "damaged"), ("history.csv", "contains no epoch")):
        whole = (run / name).read_bytes()
        (run / name).write_bytes(b"")
        assert reason in runner().trial("1", VALUES).failure
        (run / name).write_bytes(whole)
    assert runner().trial("1", VALUES).failure is None


def test_an_objective_that_is_not_measured_is_a_failed_trial(runner):
    found = runner(objective="top5_error").trial("1", VALUES)
    assert found == Outcome({}, "top5_error was not measured, or is not finite")


def test_the_objective_is_that_of_the_kept_epoch(tmp_path, monkeypatch):
    runner = Runner(small_sweep(tmp_path), tmp_path)
    rows = [{"epoch": epoch, "validation_error": error} for epoch, error in ((1, 3.0), (2, 5.0))]
    monkeypatch.setattr(module, "history", lambda path: rows)
    monkeypatch.setattr(RunFiles, "finished", True)
    monkeypatch.setattr(RunFiles, "result", lambda self: {"kept_epoch": 1, "seconds": 2.0})
    found = runner._measured(tmp_path, 0.0, None)
    assert found.measured == {"validation_error": 3.0, "seconds": 2.0, "epochs": 2}


def test_a_run_waits_until_the_last_attempt_has_ended(runner, tmp_path):
    """After a kill of the sweep, its child may live a moment longer."""
    run = tmp_path / "sweep" / "trial_1" / "seed-0"
    run.mkdir(parents=True)
    lock = FileLock(run / ".lock", thread_local=False)
    lock.acquire()
    threading.Timer(1, lock.release).start()
    started = time.monotonic()
    assert runner().trial("1", VALUES).failure is None
    assert 1 <= time.monotonic() - started < 20


def test_end_kills_a_process_that_does_not_stop():
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=1)"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{script}; time.sleep(60)"], stdout=subprocess.PIPE
    )
    with process:
        process.stdout.readline()
        processes.end(process, 0.2)
    assert process.returncode == -9


DIVERGING = {"schedule.learning_rate": [[0, 1e30]], "schedule.steps": 20}


def test_the_command_that_trains_says_that_a_run_diverges(tmp_path):
    """The guard against NaN ends it."""
    recipe = small_sweep(tmp_path, changes=DIVERGING).recipe
    (tmp_path / "a.toml").write_text(recipe.toml())
    python, word, package, *words = apart.TRAIN
    assert (python, word, package) == (sys.executable, "-m", "keras_ilsvrc")
    done = call(*words, tmp_path / "a.toml", "--out", tmp_path / "run", "--resume")
    assert done.status == 76
    assert "diverged at " in done.stderr


@pytest.mark.slow
def test_a_real_run_that_diverges(tmp_path):
    """The only process of this file that trains."""
    sweep = small_sweep(tmp_path, changes=DIVERGING)
    found = Runner(sweep, tmp_path / "sweep").trial("0", VALUES)
    assert "diverged at " in found.failure
    assert load(tmp_path / "sweep" / "trial_0" / "seed-0.toml").data.test == "validation"
