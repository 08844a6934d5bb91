"""Tests of a sweep with workers over the loopback interface, one of which is lost; of Hyperband."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import process
import pytest
from small_sweeps import small_sweep

from keras_ilsvrc.sweeps.trial import Runner

pytestmark = pytest.mark.slow
CHANGES = {"data.batch_size": 256}


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "keras_ilsvrc", "tune", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=process.ENVIRONMENT,
    )


def training(chief):
    """Workers of a chief that train, with the process of each training."""
    found = {x: process.children_of(x) for x in process.children_of(chief.pid)}
    return {worker: children for worker, children in found.items() if children}


def trials_of(home):
    return list(csv.DictReader((home / "trials.csv").read_text().splitlines()))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_two_workers_finish_a_sweep_though_one_is_lost(tmp_path, number):
    sweep = small_sweep(tmp_path, changes=CHANGES, trials=6, final_repeats=2)
    chief = start(sweep.path, "--out", tmp_path / "out", "--local-workers", 2)
    until = time.monotonic() + 200
    while len(training(chief)) < 2 and time.monotonic() < until:
        time.sleep(0.1)
    worker, children = next(iter(training(chief).items()))
    os.kill(int(worker), number)
    output, errors = chief.communicate(timeout=900)
    print(errors)
    assert chief.returncode == 0, errors[-3000:]
    assert len(re.findall(f"-{worker} is lost; trial . runs again", errors)) == 1
    rows = trials_of(tmp_path / "out")
    assert [row["status"] for row in rows] == ["completed"] * 6
    assert len(re.findall(r"^trial \d completed", errors, re.M)) == 6
    assert sorted(x.name for x in (tmp_path / "out").glob("trial_*")) == [
        f"trial_{number}" for number in range(6)
    ]
    assert "verdict" in output
    assert process.gone([worker, *children])


def test_a_worker_joins_from_elsewhere_but_not_with_another_sweep(tmp_path):
    sweep = small_sweep(tmp_path, changes=CHANGES, trials=2, final_repeats=2)
    (tmp_path / "other").mkdir()
    other = small_sweep(tmp_path / "other", changes=CHANGES, trials=3)
    chief = start(sweep.path, "--out", tmp_path / "chief", "--listen", "127.0.0.1:0")
    line = next(x for x in chief.stderr if "listens on" in x)
    address = line.split()[-1]
    refused = start(other.path, "--out", tmp_path / "refused", "--join", address)
    worker = start(sweep.path, "--out", tmp_path / "worker", "--join", address)
    _, errors = refused.communicate(timeout=200)
    assert refused.returncode == 2
    assert "this worker has sweep file" in errors.splitlines()[-1]
    _, errors = worker.communicate(timeout=400)
    assert worker.returncode == 0, errors[-3000:]
    _, errors = chief.communicate(timeout=400)
    assert chief.returncode == 0, errors[-3000:]
    assert [row["status"] for row in trials_of(tmp_path / "chief")] == ["completed"] * 2
    assert (tmp_path / "worker" / "trial_0001" / "seed-0" / "result.json").exists()
    assert json.loads((tmp_path / "chief" / "outcome.json").read_text())["test"]["images"] == 360


def test_a_trial_of_hyperband_goes_on_bit_for_bit(tmp_path):
    changes = {**CHANGES, "schedule.steps": 20}
    sweep = small_sweep(tmp_path, changes=changes, tuner="hyperband", trials=None, max_epochs=4)
    runner = Runner(sweep, tmp_path / "parts")
    values = {"optimizer.l2": 1e-4, "schedule.learning_rate": 1.0}
    first = runner.trial("0001", values | {"tuner/epochs": 2})
    second = runner.trial("0002", values | {"tuner/epochs": 4}, root="0001")
    assert (first.measured["epochs"], second.measured["epochs"]) == (2, 4)
    whole = Runner(sweep, tmp_path / "whole").trial("0001", values | {"tuner/epochs": 4})
    assert whole.measured["validation_error"] == second.measured["validation_error"]
    texts = [
        (tmp_path / name / "trial_0001" / "seed-0" / "history.csv").read_text()
        for name in ("parts", "whole")
    ]
    columns = [[row[:4] for row in csv.reader(text.splitlines())] for text in texts]
    assert columns[0] == columns[1]
    assert len(columns[0]) == 5
