"""Helper that starts new processes, because a failed collective operation breaks its process."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from keras_ilsvrc.cli.workers import loopback_addresses

# logical CPU devices, also where there is a GPU
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


def start_workers(commands, hash_seeds=(1, 2)):
    """Starts Python with each of some arguments, as workers of one cluster."""
    addresses = loopback_addresses(len(commands))
    return [
        subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT
            | {"TF_CONFIG": config(addresses, index), "PYTHONHASHSEED": str(hash_seed)},
        )
        for index, (command, hash_seed) in enumerate(zip(commands, hash_seeds, strict=True))
    ]


def config(addresses, index):
    """A worker's TF_CONFIG."""
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": addresses}, "task": task})


def ends(processes, timeout=280):
    """Of started processes, when all have ended: exit status, lines of output, errors."""
    try:
        said = [process.communicate(timeout=timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [
        (process.returncode, output.strip().splitlines(), errors)
        for process, (output, errors) in zip(processes, said)
    ]


def run_on_workers(command, hash_seeds):
    """Runs a script with its arguments in two workers: what their last lines say, as JSON."""
    found = ends(start_workers([command] * len(hash_seeds), hash_seeds))
    for status, _, errors in found:
        assert status == 0, errors[-3000:]
    return [json.loads(lines[-1]) for _, lines, _ in found]


def gone(children, seconds=5):
    """Whether processes end within some time; a zombie has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        states = [Path(f"/proc/{x}/stat") for x in children if Path(f"/proc/{x}").exists()]
        if all(x.read_text().rpartition(")")[2].split()[0] == "Z" for x in states):
            return True
        time.sleep(0.05)
    return False


def children_of(parent):
    """The ids of the processes that a process has started."""
    return Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
