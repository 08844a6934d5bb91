"""Tests of training with `--local-workers`, and of wrong options for workers."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fresh
import process
import pytest
from commands import refused, said
from process import children_of, gone

from keras_ilsvrc.runs.directory import FILES
from keras_ilsvrc.runs.reading import FLOW, GRADIENTS


def start(*words):
    train = [sys.executable, "-m", "keras_ilsvrc", "train", "quickstart", "--set=report=false"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*train, *map(str, words)], env=process.ENVIRONMENT, **pipes)


@pytest.mark.parametrize(
    ("words", "environment", "message"),
    [
        (
            ["--local-workers", 2, "--replicas", 2],
            "",
            "--replicas applies only to a single process",
        ),
        (["--max-restarts", 1], "", "--max-restarts needs --local-workers"),
        (["--local-workers", 2], process.config(["a:1", "b:2"], 1), "TF_CONFIG is set"),
        ([], "{", "TF_CONFIG: Invalid JSON"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, words, environment, message):
    monkeypatch.setenv("TF_CONFIG", environment)
    assert message in refused("train", "quickstart", *words, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_mistake_that_workers_find_is_one_line_of_each(tmp_path):
    done = start("--local-workers", 3, "--out", tmp_path / "run")
    _, errors = done.communicate(timeout=100)
    assert done.returncode == 2
    assert [x for x in errors.splitlines() if x][-1].startswith("error: ")
    assert "data.batch_size is 128, which 3 replicas cannot share evenly; set it to 129" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "run").exists()


ON_CPUS = {"CUDA_VISIBLE_DEVICES": "-1"}
# Statistics of every replica are gathered by two processes, whose sets have different orders.
SMALL = (
    *("net=resnet_cifar", "build.depth=8", "batch_norm.statistics=replica"),
    *("optimizer.average=0.9", "schedule.steps=24", "schedule.learning_rate=[[0,0.1]]"),
)


def arguments(out, *more):
    """A training in two workers on a small net."""
    keys = [word for key in SMALL for word in ("--set", key)]
    return [*keys, "--local-workers", 2, "--out", out, *more]


def check_run(out, result):
    """Whether a run of two workers is whole."""
    assert (result["replicas"], result["images"]) == (2, 360)
    assert sorted(x.name for x in out.iterdir()) == sorted(set(FILES) - {GRADIENTS, FLOW})
    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["12", "24"]


def test_two_workers_of_a_cluster_train_one_run(tmp_path):
    """Each is a command that somebody has started; the chief draws the pictures."""
    keys = [word for key in (*SMALL, "report=false") for word in ("--set", key)]
    words = ("train", "quickstart", *keys, "--out", tmp_path / "run", "--json")
    addresses = process.loopback_addresses(2)
    chief, worker = fresh.run_all(
        "import keras_ilsvrc.cli; keras_ilsvrc.cli.main()",
        *((words, {"TF_CONFIG": process.config(addresses, x)} | ON_CPUS) for x in range(2)),
    )
    assert (chief.returncode, worker.returncode) == (0, 0), chief.stderr + worker.stderr
    assert worker.stdout == ""
    check_run(tmp_path / "run", json.loads(chief.stdout))


@pytest.mark.slow
def test_two_workers_train_one_run(tmp_path):
    """The command that has started them draws the pictures."""
    out = tmp_path / "run"
    train = ["train", "quickstart", "--set=report=false", *arguments(out, "--json")]
    check_run(out, json.loads(said(*train)))


@pytest.mark.slow
def test_a_killed_parent_and_a_killed_worker_cost_no_step(tmp_path):
    """The workers end with their parent; of those of the next start, one is killed."""
    out = tmp_path / "run"
    train = arguments(out, "--checkpoint-steps", 5)
    parent = start(*train)
    _wait_for(parent, out / "checkpoints/step-000000005.ckpt")
    children = children_of(parent.pid)
    parent.kill()
    assert len(children) == 2
    assert gone(children)
    parent.communicate(timeout=10)
    done = start(*train, "--resume", "--max-restarts", 1, "--json")
    _wait_for(done, out / "checkpoints/step-000000015.ckpt")
    _kill_worker(done.pid, 1)
    output, errors = done.communicate(timeout=250)
    assert done.returncode == 0, errors
    assert errors.count("lost worker 1 (127.0.0.1:") == 1
    assert "worker 1: killed by SIGKILL; restarting all workers, 1 of 1" in errors
    check_run(out, json.loads(output))


def _wait_for(process, path):
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


def _kill_worker(parent, index):
    """Of the children of a process, the one with this index in its TF_CONFIG."""
    for child in children_of(parent):
        if f'"index": {index}' in Path(f"/proc/{child}/environ").read_text():
            os.kill(int(child), signal.SIGKILL)
            return
    raise AssertionError("no such worker")
