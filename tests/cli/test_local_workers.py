"""`--local-workers`: what is done about workers that fail, and a training by two of them."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import process
import pytest

from keras_ilsvrc.cli import workers
from keras_ilsvrc.cli.workers import run_workers
from keras_ilsvrc.rundir import FILES

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
        f"worker 0: killed by SIGKILL, worker 1: status 69; starting all again, {n} of 2"
        for n in (1, 2)
    ]


def test_restarts_come_to_an_end(run, capsys):
    status, starts = run("sys.exit(1)", max_restarts=1)
    assert status == 69
    assert [len(x) for x in starts] == [2, 2]
    assert capsys.readouterr().err.splitlines()[-1].endswith("; go on with --resume")


def test_one_that_hangs_is_ended(run):
    started = time.monotonic()
    status, _ = run("time.sleep(100) if index else sys.exit(69)")
    assert status == 69
    assert time.monotonic() - started < 30


def sigterm_when_ready(directory):
    """Sends it to this process when both workers have left a file."""

    def send():
        while len(list(directory.glob("ready*"))) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    sender = threading.Thread(target=send)
    sender.start()
    return sender


def test_a_signal_is_handed_on(run, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    sender = sigterm_when_ready(tmp_path)
    status, _ = run("""
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(75))
(Path(sys.argv[1]) / f"ready{index}").touch()
time.sleep(100)
""")
    sender.join()
    assert status == 75
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_ends_a_worker_at_once_starts_none_again(run, tmp_path):
    """As one that has no handler yet."""
    sender = sigterm_when_ready(tmp_path)
    script = '(Path(sys.argv[1]) / f"ready{index}").touch(); time.sleep(100)'
    status, starts = run(script, max_restarts=3)
    sender.join()
    assert status == 75
    assert [len(x) for x in starts] == [1, 1]


def start(*words, **environment):
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "keras_ilsvrc",
            "train",
            "quickstart",
            "--set=report=false",
            *map(str, words),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"} | environment,
    )


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (["--local-workers", 2, "--replicas", 2], {}, "--replicas is for one process"),
        (["--max-restarts", 1], {}, "--max-restarts is for --local-workers"),
        (["--local-workers", 2], {"TF_CONFIG": process.config(["a:1", "b:2"], 1)}, "TF_CONFIG is"),
        ([], {"TF_CONFIG": "{"}, "TF_CONFIG: Invalid JSON"),
        (["--local-workers", 3], {}, "data.batch_size is 128, which 3 replicas cannot share"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, words, environment, said):
    done = start(*words, "--out", tmp_path / "run", **environment)
    _, errors = done.communicate(timeout=100)
    assert done.returncode == 2
    lines = [line for line in errors.splitlines() if line]  # of several workers at once
    assert lines[-1].startswith("error: ")
    assert said in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "run").exists()


def test_a_killed_worker_costs_one_line_and_no_step(tmp_path):
    """Two workers, one killed behind a checkpoint: started again they finish the run."""
    schedule = ("--set", "schedule.steps=24", "--set", "schedule.learning_rate=[[0,0.1]]")
    out = tmp_path / "run"
    options = ("--local-workers", 2, "--max-restarts", 1, "--checkpoint-steps", 5, "--json")
    done = start(*schedule, "--out", out, *options)
    while not list(out.glob("checkpoints/step-*5.ckpt")):
        assert done.poll() is None, done.communicate()[1]
        time.sleep(0.02)
    _kill_worker(done.pid, 1)
    output, errors = done.communicate(timeout=250)
    assert done.returncode == 0, errors
    assert errors.count("lost worker 1 (127.0.0.1:") == 1
    assert "worker 1: killed by SIGKILL; starting all again, 1 of 1" in errors
    result = json.loads(output)
    assert (result["replicas"], result["images"]) == (2, 360)
    assert sorted(x.name for x in out.iterdir()) == sorted(FILES)
    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["12", "24"]


def _kill_worker(parent, index):
    """Of the children of a process, the one with this index in its TF_CONFIG."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    for child in children.split():
        if f'"index": {index}' in Path(f"/proc/{child}/environ").read_text():
            os.kill(int(child), signal.SIGKILL)
            return
    raise AssertionError("no such worker")
