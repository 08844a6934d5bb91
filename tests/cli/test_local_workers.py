"""Tests of `--local-workers`: failing workers, and signals."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from process import children_of, gone

from keras_ilsvrc.cli import workers
from keras_ilsvrc.cli.workers import run_workers

# A worker without TensorFlow: it notes its start, and does what is written for its number.
WORKER = """
import json, os, signal, sys, time
from pathlib import Path
config = json.loads(os.environ["TF_CONFIG"])
index = config["task"]["index"]
note = Path(sys.argv[1]) / f"{index}"
with open(note, "a") as file:
    print(json.dumps(config), file=file)
starts = len(note.read_text().splitlines())
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs two such workers: the exit status, and the TF_CONFIG of every start of each."""
    monkeypatch.setattr(workers, "PATIENCE", 1.0)

    def run(script, **options):
        status = run_workers([sys.executable, "-c", WORKER + script, str(tmp_path)], 2, **options)
        lines = [(tmp_path / str(index)).read_text().splitlines() for index in range(2)]
        return status, [[json.loads(line) for line in each] for each in lines]

    return run


def test_each_has_its_place_in_one_cluster(run):
    status, ((first,), (second,)) = run("")
    assert status == 0
    assert first["cluster"] == second["cluster"]
    assert len(set(first["cluster"]["worker"])) == 2
    assert [x["task"] for x in (first, second)] == [
        {"type": "worker", "index": 0},
        {"type": "worker", "index": 1},
    ]


@pytest.mark.parametrize("status", [2, 75, 76])
def test_what_a_new_start_would_not_mend_is_not_started_again(run, status):
    found, starts = run(f"sys.exit({status} if index else 69)", max_restarts=3)
    assert found == status
    assert [len(x) for x in starts] == [1, 1]


def test_all_are_started_again_when_one_is_lost(run, capsys):
    script = "if starts < 3: sys.exit(69) if index else os.kill(os.getpid(), signal.SIGKILL)"
    status, starts = run(script, max_restarts=2)
    assert status == 0
    assert [len(x) for x in starts] == [3, 3]
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"worker 0: killed by SIGKILL, worker 1: status 69; restarting all workers, {n} of 2"
        for n in (1, 2)
    ]


def test_restarts_come_to_an_end(run, capsys):
    status, starts = run("sys.exit(1)", max_restarts=1)
    assert status == 69
    assert [len(x) for x in starts] == [2, 2]
    assert capsys.readouterr().err.splitlines()[-1].endswith("; resume with --resume")


def test_one_that_hangs_is_ended(run):
    started = time.monotonic()
    status, _ = run("time.sleep(100) if index else sys.exit(69)")
    assert status == 69
    assert time.monotonic() - started < 30


def send_when_ready(directory, *numbers):
    """Sends signals to this process when both workers have left a file, at every start."""

    def send():
        while len(ready := list(directory.glob("ready*"))) < 2:
            time.sleep(0.02)
        for file in ready:
            file.unlink()
        for number in numbers:
            os.kill(os.getpid(), number)
            time.sleep(0.3)

    sender = threading.Thread(target=send)
    sender.start()
    return sender


READY = """
def ready():
    (Path(sys.argv[1]) / f"ready{index}").touch()
    time.sleep(100)

"""
ENDS = {  # of a worker that is asked to stop
    "with a checkpoint": "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75)); ready()",
    "before it has a handler": "ready()",
    "by an error": "signal.signal(signal.SIGTERM, lambda *_: sys.exit(1 + index)); ready()",
    "interrupted": "signal.signal(signal.SIGTERM, lambda *_: sys.exit(130)); ready()",
    "lost": "signal.signal(signal.SIGTERM, lambda *_: sys.exit(69 * index)); ready()",
}


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("with a checkpoint", (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)),
        *((name, (signal.SIGTERM,)) for name in (*ENDS,)[1:]),
        *(
            pytest.param(name, (signal.SIGINT, signal.SIGHUP), marks=pytest.mark.slow)
            for name in (*ENDS,)[1:]
        ),
    ],
)
def test_a_stop_asked_for_is_75_however_the_workers_end(run, tmp_path, name, numbers):
    before = [signal.getsignal(number) for number in numbers]
    for number in numbers:
        sender = send_when_ready(tmp_path, number)
        status, starts = run(READY + ENDS[name], max_restarts=3)
        sender.join()
        assert status == (2 if name == "by an error" else 75)
        assert [len(x) for x in starts] == [1, 1]
        for index in range(2):
            (tmp_path / str(index)).unlink()
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_second_interrupt_kills_workers_that_do_not_stop(run, tmp_path):
    started = time.monotonic()
    sender = send_when_ready(tmp_path, signal.SIGINT, signal.SIGINT)
    status, _ = run(READY + "signal.signal(signal.SIGTERM, signal.SIG_IGN); ready()")
    sender.join()
    assert status == 75
    assert time.monotonic() - started < 20


def test_a_second_signal_is_passed_on_too(run, tmp_path):
    """TensorFlow's server takes the first one where it comes at its start."""
    sender = send_when_ready(tmp_path, signal.SIGTERM, signal.SIGINT)
    status, _ = run(
        READY
        + """
came = []
signal.signal(signal.SIGTERM, lambda *_: came.append(1) or len(came) < 2 or sys.exit(75))
ready()
"""
    )
    sender.join()
    assert status == 75


def test_a_signal_between_two_starts_starts_none_again(run, monkeypatch):
    monkeypatch.setattr(workers, "log_stderr", lambda _: os.kill(os.getpid(), signal.SIGHUP))
    status, starts = run("sys.exit(1)", max_restarts=2)
    assert status == 75
    assert [len(x) for x in starts] == [1, 1]


def test_a_signal_that_is_ignored_stays_so(run, tmp_path):
    """As `nohup` asks for."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sender = send_when_ready(tmp_path, signal.SIGHUP)
    status, _ = run((READY + "ready()").replace("100", "1"))
    sender.join()
    assert signal.signal(signal.SIGHUP, before) is signal.SIG_IGN
    assert status == 0


# A parent of two workers; where its own words are not read any more.
PARENT = """
import sys
from keras_ilsvrc.cli.workers import run_workers
sys.exit(run_workers([sys.executable, "-c", sys.argv[1], sys.argv[2]], 2, max_restarts=1))
"""


def start_parent(script, directory, **options):
    command = [sys.executable, "-c", PARENT, WORKER + READY + script, str(directory)]
    return subprocess.Popen(command, **options)


def test_nobody_who_reads_is_needed(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    with start_parent("sys.exit(1 if starts == 1 else 0)", tmp_path, stderr=writer) as done:
        assert done.wait(100) == 0
    os.close(writer)
    assert len((tmp_path / "0").read_text().splitlines()) == 2


def test_workers_do_not_outlive_a_parent_that_is_killed(tmp_path):
    script = "from keras_ilsvrc.runs.processes import end_with_parent; end_with_parent(); ready()"
    with start_parent(script, tmp_path) as parent:
        while len(list(tmp_path.glob("ready*"))) < 2:
            time.sleep(0.05)
        children = children_of(parent.pid)
        parent.kill()
    assert len(children) == 2
    assert gone(children)
