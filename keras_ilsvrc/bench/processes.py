"""Measurements in new processes, so that each one starts with the same amount of memory."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from keras_ilsvrc.utils.errors import InputError

UNIT = 1 if sys.platform == "darwin" else 1024  # bytes per unit of `ru_maxrss`, the peak memory


def in_process(module: str, *words: str, environment: Mapping[str, str] | None = None) -> Any:
    """Run a module as a program in a new process; return the JSON in its last line of output.

    Raises:
        InputError: If the program fails. The message is the last line of its standard error.
    """
    command = [sys.executable, "-m", module, *words]
    own = os.environ | (environment or {})
    done = subprocess.run(command, capture_output=True, text=True, env=own)
    if done.returncode:
        raise InputError(
            (done.stderr.strip().splitlines() or ["the process failed without a message"])[-1]
        )
    return json.loads(done.stdout.splitlines()[-1])


def peak() -> int:
    """Return the peak memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def resident() -> int:
    """Return the current memory of this process in bytes, or its peak if there is no /proc."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except FileNotFoundError:
        return peak()
