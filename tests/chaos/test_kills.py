"""Kills at any instant: what goes on ends in the very state of what was not killed."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from process import ENVIRONMENT

from keras_ilsvrc.training.checkpoint import Checkpoints, read

SCRIPT = Path(__file__).with_name("toy_process.py")
FEW = ["step:3", "write0.3:6", "validation:10"]
# In the order of the steps, so that each is reached by what goes on from the one before.
MANY = [
    "step:1",
    "write0:2",
    "step:3",
    "write0.3:4",
    "epoch:5",
    "write0.6:6",
    "step:7",
    "validation:10",
    "write1:10",
    "step:11",
    "write0.9:12",
    "step:13",
    "epoch:15",
    "write1:16",
    "validation:20",
    "step:21",
    "write0.1:24",
    "step:27",
    "epoch:30",
    "step:39",
]
MIRRORED = ["step:3", "write0.3:6", "epoch:10", "validation:15", "step:18"]


def start(directory, replicas, kill=""):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(directory), str(replicas), kill],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def run(directory, replicas, kill=""):
    """Exit status, and what its last line says."""
    process = start(directory, replicas, kill)
    output, errors = process.communicate(timeout=280)
    assert process.returncode in (0, -signal.SIGKILL), errors[-3000:]
    return process.returncode, output.strip().splitlines()


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The end of a training that was not killed, by the number of its replicas."""
    known = {}

    def find(replicas):
        if replicas not in known:
            status, lines = run(tmp_path_factory.mktemp("whole"), replicas)
            assert status == 0
            known[replicas] = json.loads(lines[-1])
        return known[replicas]

    return find


@pytest.mark.parametrize(
    ("replicas", "kills"),
    [
        pytest.param(1, FEW, id="three kills"),
        pytest.param(1, MANY, id="twenty kills", marks=pytest.mark.slow),
        pytest.param(2, MIRRORED, id="two replicas", marks=pytest.mark.slow),
    ],
)
def test_a_chain_of_kills_ends_in_the_same_state(tmp_path, expected, replicas, kills):
    for kill in kills:
        status, _ = run(tmp_path, replicas, kill)
        assert status == -signal.SIGKILL, f"{kill} was not reached"
        assert not Checkpoints(tmp_path).latest()[1]
    status, lines = run(tmp_path, replicas)
    assert (status, json.loads(lines[-1])) == (0, expected(replicas))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of seven pages: two checkpoints fit on it, a third one in part."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=28k", "tmpfs", tmp_path]
    if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("may not mount here; test_faults.py has the same for all, with a stand-in")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_disk_that_fills_up_ends_no_training_and_harms_no_checkpoint(small_disk, expected):
    process = start(small_disk, 1)
    output, errors = process.communicate(timeout=280)
    assert (process.returncode, json.loads(output.splitlines()[-1])) == (0, expected(1))
    full = [line for line in errors.splitlines() if "No space left on device" in line]
    assert full
    assert all("; the one of step 2 is kept" in line for line in full)
    held = [read(path).facts["step"] for path in Checkpoints(small_disk).paths()]
    assert held == [2, 0]
    assert len(list(small_disk.iterdir())) == len(held)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(10))
def test_sigterm_keeps_the_step_it_came_in(tmp_path, expected, number):
    """Two and a half steps an instant; then it goes on as if nothing had been."""
    process = start(tmp_path, 1)
    for _ in range(2 + 3 * number):
        assert process.stdout.readline() == "step\n"
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors[-3000:]
    begun = 2 + 3 * number + output.count("step\n")
    held = Checkpoints(tmp_path).latest()[0]
    assert held.facts["step"] == begun
    assert f"stopped by SIGTERM after step {begun}" in output
    status, lines = run(tmp_path, 1)
    assert (status, json.loads(lines[-1])) == (0, expected(1))
