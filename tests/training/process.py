"""Scripts in processes of their own: one failed collective poisons the rest of a process."""

import json
import os
import subprocess
import sys


def run(script):
    """Runs a script in a new process: what its last line says, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=280,
        # logical CPU devices, also where there is a GPU
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])
