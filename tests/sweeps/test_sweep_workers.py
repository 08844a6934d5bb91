"""Tests of the chief of a sweep and its workers, over gRPC in one process."""

import contextlib
import socket
import sys
import threading
import time

import pytest
import stand_in
from grpc import RpcError
from keras_tuner.engine.trial import TrialStatus
from small_sweeps import opened, small_sweep

from keras_ilsvrc.runs import apart
from keras_ilsvrc.sweeps import oracle as oracles
from keras_ilsvrc.sweeps import search as searching
from keras_ilsvrc.sweeps import workers
from keras_ilsvrc.sweeps.outcome import rows_of
from keras_ilsvrc.sweeps.tune import work
from keras_ilsvrc.sweeps.workers import name_of, role, serving
from keras_ilsvrc.training.cluster import LostWorker
from keras_ilsvrc.training.stopping import StopRequest
from keras_ilsvrc.utils.errors import InputError

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner"),
]
KEYS = {"optimizer.l2": ["log", 1e-5, 1e-2], "schedule.learning_rate": ["scale", 0.1, 10]}


@pytest.fixture
def sweep(tmp_path):
    return small_sweep(tmp_path, KEYS)


@pytest.fixture
def oracle(sweep, tmp_path):
    return opened(sweep, tmp_path / "sweep")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """A client writes the address of the chief into the environment."""
    for name in (workers.IP, workers.PORT, workers.ID):
        monkeypatch.setenv(name, "")


@pytest.fixture
def served(oracle, sweep):
    with serving(oracle, sweep, "127.0.0.1:0", []) as (address, service):
        service.address = address
        yield service


@contextlib.contextmanager
def joined(served, sweep):
    with workers.joined(served.address, sweep) as client:
        yield client


def test_a_worker_gets_exact_values_and_sends_exact_measurements(oracle, served, sweep):
    with joined(served, sweep) as client:
        for _ in range(2):
            trial = client.create_trial(name_of(sweep))
            own = oracle.trials[trial.trial_id].hyperparameters.values
            assert trial.hyperparameters.values == own
            found = {"validation_error": 100 / 3, "seconds": 0.1, "epochs": 3}
            client.update_trial(trial.trial_id, found, step=3)
            trial.status = TrialStatus.COMPLETED
            client.end_trial(trial)
    rows = rows_of(oracle, sweep)
    assert [dict(row.measured) for row in rows] == [found, found]
    assert [row.status for row in rows] == ["completed", "completed"]
    assert oracle.trials["0001"].score == 100 / 3


def test_a_worker_sends_the_reason_of_a_failure(oracle, served, sweep):
    with joined(served, sweep) as client:
        trial = client.create_trial(name_of(sweep))
        trial.status, trial.message = TrialStatus.FAILED, "gestört: killed by SIGKILL"
        client.end_trial(trial)
    (row,) = rows_of(oracle, sweep)
    assert (row.status, row.failure) == ("failed", "gestört: killed by SIGKILL")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda name: name.replace("|0.", "|9."), "has version 9"),
        (lambda name: name[:-1] + "x", "has sweep file"),
        (lambda name: "tuner0", "has version"),
    ],
)
def test_another_worker_is_refused(oracle, served, sweep, change, expected):
    with (
        pytest.raises(InputError, match=f"{served.address}: this worker {expected}") as error,
        joined(served, sweep) as client,
    ):
        client.create_trial(change(name_of(sweep)))
    assert "but the chief has" in str(error.value)
    assert "; use the same " in str(error.value)
    assert str(error.value).endswith(" on all machines")
    assert oracle.trials == {}


def test_a_chief_that_does_not_answer_is_lost(sweep, monkeypatch, tmp_path):
    monkeypatch.setattr(workers, "ANSWER", 0.3)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(LostWorker, match=f"the chief at {address} does not answer"):
            work(sweep, tmp_path / "out", address, (), StopRequest())


def test_an_address_that_is_taken_is_refused(oracle, served, sweep):
    with (
        pytest.raises(InputError, match=r"cannot listen on nowhere\.invalid:1; choose a free port"),
        serving(oracle, sweep, "nowhere.invalid:1", []),
    ):
        pass
    assert served.address


class Clock:
    now = 0.0

    def monotonic(self):
        return self.now


def test_a_lost_worker_is_noticed_while_others_train(oracle, served, sweep, monkeypatch, capsys):
    """The others show that they are alive, which is when the chief looks for those that do not."""
    clock = Clock()
    monkeypatch.setattr(oracles, "time", clock)
    oracle.heard.clear()
    with joined(served, sweep) as client:
        lost, mine = client.create_trial("b" + name_of(sweep)), client.create_trial(name_of(sweep))
        clock.now = 24
        client.get_trial(mine.trial_id)
        assert "is lost" not in capsys.readouterr().err
        clock.now = 26
        client.get_trial(mine.trial_id)
        name = ("b" + name_of(sweep)).partition("|")[0]
        expected = f"worker {name} is lost; trial {lost.trial_id} runs again\n"
        assert capsys.readouterr().err == expected
        mine.status = TrialStatus.FAILED
        client.end_trial(mine)
        assert client.create_trial(name_of(sweep)).trial_id == lost.trial_id


def test_a_worker_whose_process_has_ended_is_lost_at_once(oracle, served, sweep, capsys):
    with joined(served, sweep) as client:
        lost = client.create_trial("b" + name_of(sweep))
        served.gone.append(("b" + name_of(sweep)).partition("|")[0])
        assert client.create_trial(name_of(sweep)).trial_id == lost.trial_id
    assert "is lost; trial 0000 runs again" in capsys.readouterr().err


def test_workers_run_each_trial_once_and_leave(oracle, served, sweep, monkeypatch, tmp_path):
    monkeypatch.setattr(apart, "TRAIN", (sys.executable, stand_in.__file__))
    work(sweep, tmp_path / "sweep", served.address, (), StopRequest())
    assert oracle.end_order == ["0000", "0001", "0002"]
    assert served.stop_triggered
    assert oracle.tuner_ids == set()
    seen = []
    workers._wait(oracle, served, [], [], StopRequest(), lambda: seen.append(oracle.end_order))
    assert seen == [["0000", "0001", "0002"]]
    assert [row.status for row in rows_of(oracle, sweep)] == ["completed"] * 3


def test_the_chief_ends_without_a_worker_that_has_vanished(oracle, served, sweep, monkeypatch):
    monkeypatch.setattr(oracles, "LOST", 0.5)
    oracle.tuner_ids.add("gone|x|y")
    oracle.heard["gone|x|y"] = started = time.monotonic()
    served.stop_triggered = True
    workers._wait(oracle, served, [], [], StopRequest(), lambda: None)
    assert 0.5 <= time.monotonic() - started < 10


def test_all_workers_of_this_machine_may_end(oracle, served):
    class Ended:
        pid = 1

        def poll(self):
            return -9

    with pytest.raises(LostWorker, match="all workers have ended; continue with --resume"):
        workers._wait(oracle, served, [Ended()], [], StopRequest(), lambda: None)


def test_a_worker_is_heard_after_the_chief_was_silent(monkeypatch):
    """Then the next message comes through."""
    heard, silent = threading.Event(), [True]

    class Chief:
        def get_trial(self, number):
            if silent.pop():
                silent.append(False)
                raise RpcError
            silent.append(False)
            heard.set()

    monkeypatch.setattr(searching, "BEAT", 0.01)
    with searching._beating(Chief(), "0"):
        assert heard.wait(10)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (("10.0.0.1", "80", "chief"), (None, "10.0.0.1:80")),
        (("10.0.0.1", "80", "tuner3"), ("10.0.0.1:80", None)),
        (("", "", ""), (None, None)),
    ],
)
def test_keras_tuner_s_variables_give_the_role(monkeypatch, variables, expected):
    for name, value in zip((workers.IP, workers.PORT, workers.ID), variables, strict=True):
        monkeypatch.setenv(name, value)
    assert role(None, None) == expected
    assert role("host:1", None) == ("host:1", None)
