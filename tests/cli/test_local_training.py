"""Trainings by `--local-workers`, and mistakes in what says who trains."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import process
import pytest
from process import children_of, gone

from keras_ilsvrc.runs.directory import FILES


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


# Statistics of every replica are gathered by two processes, whose sets have different orders.
SMALL = (
    *("net=resnet_cifar", "build.depth=8", "batch_norm.statistics=replica"),
    *("optimizer.average=0.9", "schedule.steps=24", "schedule.learning_rate=[[0,0.1]]"),
)


def test_a_killed_parent_and_a_killed_worker_cost_no_step(tmp_path):
    """The workers end with their parent; of those of the next start, one is killed."""
    out = tmp_path / "run"
    words = [word for key in SMALL for word in ("--set", key)]
    words += ["--local-workers", 2, "--checkpoint-steps", 5, "--out", out]
    parent = start(*words)
    _wait_for(parent, out / "checkpoints/step-000000005.ckpt")
    children = children_of(parent.pid)
    parent.kill()
    assert len(children) == 2
    assert gone(children)
    parent.communicate(timeout=10)
    done = start(*words, "--resume", "--max-restarts", 1, "--json")
    _wait_for(done, out / "checkpoints/step-000000015.ckpt")
    _kill_worker(done.pid, 1)
    output, errors = done.communicate(timeout=250)
    assert done.returncode == 0, errors
    assert errors.count("lost worker 1 (127.0.0.1:") == 1
    assert "worker 1: killed by SIGKILL; restarting all workers, 1 of 1" in errors
    result = json.loads(output)
    assert (result["replicas"], result["images"]) == (2, 360)
    assert sorted(x.name for x in out.iterdir()) == sorted(FILES)
    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["12", "24"]


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
