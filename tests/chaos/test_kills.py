"""Tests that a run that was killed at any moment and resumed ends in exactly the same state."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import rounds
from devices import mirrored
from process import ENVIRONMENT
from toy_process import train

from keras_ilsvrc.training.checkpoint import Checkpoints, read

SCRIPT = Path(__file__).with_name("toy_process.py")
FEW = ["write0.3:6"]
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


def start(directory):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(directory), "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The end of a training that was not killed, by the number of its replicas."""
    known = {}

    def find(replicas):
        if replicas not in known:
            known[replicas] = train(mirrored(replicas), tmp_path_factory.mktemp("whole"))
        return known[replicas]

    return find


@pytest.mark.parametrize(
    ("replicas", "kills"),
    [
        pytest.param(1, FEW, id="one kill"),
        pytest.param(1, MANY, id="twenty kills", marks=pytest.mark.slow),
        pytest.param(2, MIRRORED, id="two replicas", marks=pytest.mark.slow),
    ],
)
def test_a_chain_of_kills_ends_in_the_same_state(tmp_path, expected, replicas, kills):
    found, errors = rounds.run(*((tmp_path, replicas, [kill]) for kill in kills))
    for kill, ((status, _),) in zip(kills, found, strict=True):
        assert status == -signal.SIGKILL, f"{kill} was not reached: {errors[-3000:]}"
    assert ".ckpt: " not in errors  # no checkpoint is ever damaged
    assert not Checkpoints(tmp_path).latest()[1]
    assert train(mirrored(replicas), tmp_path) == expected(replicas)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of seven pages: two checkpoints fit on it, a third one in part."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=28k", "tmpfs", tmp_path]
    if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("may not mount here; test_faults.py has the same for all, with a stand-in")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_disk_that_fills_up_ends_no_training_and_harms_no_checkpoint(
    small_disk, expected, capsys
):
    assert train(mirrored(1), small_disk) == expected(1)
    errors = capsys.readouterr().err.splitlines()
    full = [line for line in errors if "No space left on device" in line]
    assert full
    assert all("; the checkpoint of step 2 is kept" in line for line in full)
    held = [read(path).facts["step"] for path in Checkpoints(small_disk).paths()]
    assert held == [2, 0]
    assert len(list(small_disk.iterdir())) == len(held)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(10))
def test_sigterm_keeps_the_step_it_came_in(tmp_path, expected, number):
    """Two and a half steps an instant; then it goes on as if nothing had been."""
    process = start(tmp_path)
    for _ in range(2 + 3 * number):
        assert process.stdout.readline() == "step\n"
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors[-3000:]
    begun = 2 + 3 * number + output.count("step\n")
    held = Checkpoints(tmp_path).latest()[0]
    assert held.facts["step"] == begun
    assert f"stopped by SIGTERM after step {begun}" in output
    assert train(mirrored(1), tmp_path) == expected(1)
