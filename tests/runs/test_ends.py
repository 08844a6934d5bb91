"""Tests of the end of `train` after a signal, and after its output has been closed."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import refused, said

WORDS = [
    *("train", "quickstart", "--set", "net=resnet_cifar", "--set", "build.depth=8"),
    *("--set", "schedule.steps=240", "--set", "schedule.learning_rate=[[0,0.1]]"),
]
ENVIRONMENT = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "COLUMNS": "160"}


def start(out, *words, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "keras_ilsvrc", *WORDS, "--out", str(out), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        **options,
    )


def wait_for(process, condition):
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


def epochs(out):
    return (
        len((out / "history.csv").read_text().splitlines()) if (out / "history.csv").exists() else 0
    )


def catches_sigterm(process):
    """Whether the package runs already, not only Python."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16)
    return caught >> (signal.SIGTERM - 1) & 1


MOMENTS = (0.0, 0.8, 2.5, None)  # seconds after the command runs; None for while steps are taken
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
# SIGINT comes in a test below, while a command is imported.
FEW = [(signal.SIGHUP, 0.0), (signal.SIGTERM, 2.5)]


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        pytest.param(*each, marks=() if each in FEW else pytest.mark.slow)
        for each in itertools.product(SIGNALS, MOMENTS)
    ],
)
def test_a_signal_at_any_moment_means_75(tmp_path, number, moment):
    """While the command is imported, TensorFlow starts, and steps are taken."""
    out = tmp_path / "run"
    process = start(out)
    wait_for(process, lambda: catches_sigterm(process))
    if moment is None:
        wait_for(process, lambda: epochs(out) > 2)
    time.sleep(moment or 0)
    process.send_signal(number)
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 75, errors
    assert "Traceback" not in errors
    assert output == ""
    assert out.exists() == (moment is None)


@pytest.mark.slow
@pytest.mark.parametrize("pause", [0.01, 0.5, 1.5])
def test_sigterm_and_then_ctrl_c_mean_75_too(tmp_path, pause):
    """Also where the second signal comes while the process ends."""
    out = tmp_path / "run"
    process = start(out)
    wait_for(process, lambda: catches_sigterm(process) if pause > 1 else epochs(out) > 2)
    process.send_signal(signal.SIGTERM)
    time.sleep(pause)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 75, errors
    assert pause > 1 or list(out.glob("checkpoints/step-*.ckpt"))


@pytest.mark.slow
def test_nohup_is_heard_and_what_two_signals_stop_can_be_resumed(tmp_path):
    """SIGHUP that the caller ignores ends nothing; another recipe is not resumed.

    Ctrl-C comes right after SIGTERM, while the process ends.
    """
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    out = tmp_path / "run"
    process = start(out)
    signal.signal(signal.SIGHUP, before)
    wait_for(process, lambda: epochs(out) > 1)
    process.send_signal(signal.SIGHUP)
    seen = epochs(out)
    wait_for(process, lambda: epochs(out) > seen + 1)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 75, errors
    assert "resume it with --resume" in errors
    assert output == ""
    assert list(out.glob("checkpoints/step-*.ckpt"))
    line = refused(*WORDS, "--out", out, "--resume", "--set", "report=false")
    assert "report True -> False" in line


@pytest.mark.slow
def test_a_lost_log_ends_no_training_and_a_stop_in_the_page_is_resumed(tmp_path):
    """The reader of both streams goes away; SIGTERM comes as the page is drawn."""
    out = tmp_path / "run"
    few = ("--set", "schedule.steps=36")
    process = start(out, *few)
    wait_for(process, lambda: epochs(out) > 0)
    process.stdout.close()
    process.stderr.close()
    wait_for(process, lambda: (out / "doubtful.png").exists())
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=100) == 75
    assert not list(out.glob(".*"))
    assert not (out / "report.html").exists()
    result = (out / "result.json").read_bytes()
    said(*WORDS, *few, "--out", out, "--resume")
    assert (out / "report.html").exists()
    assert (out / "result.json").read_bytes() == result


def test_closed_streams_are_no_fault(tmp_path):
    """`2>&-`, `<&-`, and a reader that takes nothing."""
    command = f"{sys.executable} -m keras_ilsvrc"
    for line, status in (
        (f"{command} list 2>&- <&-", 0),
        (f"{command} list >&-", 0),
        (f"{command} info alexnet --json | true; exit ${{PIPESTATUS[0]}}", 0),
        (f"{command} train nosuch 2>&-", 2),
        (f"{command} list > /dev/full", 0),
    ):
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=ENVIRONMENT)
        assert done.returncode == status, (line, done.stderr)


CTRL_C = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == "keras_ilsvrc.cli":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv = ["keras-ilsvrc", *sys.argv[1:]]
from keras_ilsvrc.__main__ import main
main()
"""


@pytest.mark.parametrize(("words", "status"), [(["data", "check", "digits"], 130), (WORDS, 75)])
def test_ctrl_c_while_a_command_is_imported_is_no_traceback(words, status):
    command = [sys.executable, "-c", CTRL_C, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")
