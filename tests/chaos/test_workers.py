"""Tests of killed workers: the others end soon, and all can be resumed with the same results."""

import json
import random
import signal
import time
from pathlib import Path

import process
import pytest
import rounds

from keras_ilsvrc.training.cluster import LOST

SCRIPT = Path(__file__).with_name("toy_process.py")
KILLS = [["step:3", ""], ["", "step:8"], ["write0.3:14", ""]]  # of the chief, or the other


def start(directory):
    return process.start_workers([[str(SCRIPT), str(directory), "1"]] * 2)


def resume(directory):
    """The end of a training: the same on both workers."""
    first, second = process.ends(start(directory))
    assert (first[0], second[0]) == (0, 0), first[2][-2000:] + second[2][-2000:]
    assert first[1][-1] == second[1][-1]
    return json.loads(first[1][-1])


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The end of a training that was not killed."""
    return resume(tmp_path_factory.mktemp("whole"))


@pytest.mark.slow
@pytest.mark.parametrize("kills", [KILLS[1:], KILLS])
def test_it_ends_in_the_same_state_however_often_a_worker_is_killed(tmp_path, kills):
    parts, undisturbed = tmp_path / "parts", ["", ""]
    found, errors = rounds.run(
        (tmp_path / "whole", 1, undisturbed),
        *((parts, 1, kill) for kill in kills),
        (parts, 1, undisturbed),
    )
    for kill, workers in zip(kills, found[1:-1], strict=True):
        killed = 0 if kill[0] else 1
        assert workers[killed][0] == -signal.SIGKILL, f"{kill} was not reached: {errors[-2000:]}"
        status, lines = workers[1 - killed]
        assert status == LOST, errors[-2000:]
        assert f"lost worker {killed} (127.0.0.1:" in lines[-1]
    whole, resumed = found[0], found[-1]
    assert [status for status, _ in whole + resumed] == [0] * 4, errors[-2000:]
    assert len({lines[-1] for _, lines in whole + resumed}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", range(5))
def test_the_other_worker_ends_within_fifteen_seconds(tmp_path, expected, number):
    chosen = random.Random(number)
    worker, step = chosen.randrange(2), chosen.randrange(1, 40)
    processes = start(tmp_path)
    for _ in range(step):
        assert processes[worker].stdout.readline() == "step\n"
    processes[worker].kill()
    killed = time.monotonic()
    processes[1 - worker].wait(60)
    seconds = time.monotonic() - killed
    status, lines, errors = process.ends(processes)[1 - worker]
    print(f"worker {worker} killed after step {step}: the other ended after {seconds:.1f} s")
    assert status == LOST, errors[-2000:]
    assert f"lost worker {worker} (127.0.0.1:" in lines[-1]
    assert seconds <= 15
    assert resume(tmp_path) == expected


@pytest.mark.slow
@pytest.mark.parametrize("worker", [0, 1])
def test_a_worker_that_hangs_is_named_within_thirty_seconds(tmp_path, expected, worker):
    processes = start(tmp_path)
    for _ in range(5):
        assert processes[worker].stdout.readline() == "step\n"
    processes[worker].send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    processes[1 - worker].wait(60)
    seconds = time.monotonic() - stopped
    processes[worker].send_signal(signal.SIGCONT)
    found = process.ends(processes, 60)
    print(f"worker {worker} stopped: the other ended after {seconds:.1f} s")
    for index, (status, lines, errors) in enumerate(found):
        assert status == LOST, errors[-2000:]
        assert f"lost worker {1 - index} (127.0.0.1:" in lines[-1]
    assert seconds <= 30
    assert resume(tmp_path) == expected
