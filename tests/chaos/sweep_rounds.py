"""Sweeps that are killed at random moments; one process, which has imported Keras, forks them.

python sweep_rounds.py SWEEP DIRECTORY KILLS LONGEST REAL

A sweep in DIRECTORY/0 is not killed. Sweeps in DIRECTORY/1, DIRECTORY/2 and so on are killed and
continued until they end. There are KILLS kills in total, each at most LONGEST seconds after a
start. Trials run the stand-in for training; if REAL is 1, they run `keras-ilsvrc train`. The script
prints as JSON the number of kills of each sweep, and how many times a finished run had changed
after a kill.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras_tuner  # noqa: F401
import process
import stand_in

from keras_ilsvrc.cli import main
from keras_ilsvrc.runs import apart


def start(sweep, directory):
    """Fork a child that runs the sweep, in a group of its own; return its id."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    os.environ[stand_in.LOG] = f"{directory}.log"
    with open(f"{directory}.txt", "ab") as output:
        for number in (1, 2):
            os.dup2(output.fileno(), number)
    sys.argv = ["keras-ilsvrc", "tune", sweep, "--out", directory, "--resume"]
    main()


def ended(child, seconds):
    """Wait for a child; return whether it has ended, which must be well."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            assert status == 0, os.waitstatus_to_exitcode(status)
            return True
        time.sleep(0.01)
    return False


def kill(child, whole):
    """Kill a child, or it and its own children at once."""
    if whole:
        os.killpg(child, signal.SIGKILL)
    else:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def results(directory):
    return {str(x): x.read_text() for x in Path(directory).rglob("result.json")}


def run(sweep, directory, kills, longest, real):
    chosen, found, changed = random.Random(3), [], 0
    if not real:
        apart.TRAIN = (sys.executable, stand_in.__file__)
    while not found or sum(found) < kills:
        own = f"{directory}/{len(found)}"
        found.append(0)
        before, done = {}, False
        while not done:
            child = start(sweep, own)
            last = len(found) == 1 or sum(found) == kills
            done = ended(child, 600 if last else chosen.uniform(0, longest))
            if not done:
                kill(child, chosen.random() < 0.5)
                found[-1] += 1
            after = results(own)
            changed += any(after.get(x) != text for x, text in before.items())
            before = after
    return {"kills": found, "changed": changed}


def rounds(*words):
    """Run this script in a process of its own; return what it printed."""
    paths = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, __file__, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=3000,
        env=process.ENVIRONMENT | {"PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    path, home, count, seconds, is_real = sys.argv[1:]
    print(json.dumps(run(path, home, int(count), float(seconds), is_real == "1")))
