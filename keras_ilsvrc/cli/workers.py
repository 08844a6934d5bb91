"""Workers of a training as processes of this machine: started together, started again together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

from keras_ilsvrc.cli.options import BAD_INPUT, DIVERGED, STOPPED
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.training.cluster import GRACE, LOST

# What no new start would mend; the first that is found is told.
FINAL = (BAD_INPUT, DIVERGED, STOPPED)
PATIENCE = 2 * GRACE  # seconds for the others, when one has ended
POLL = 0.1


def run_workers(command: Sequence[str], count: int, max_restarts: int = 0) -> int:
    """Runs a command in so many processes, on the CPU, with `TF_CONFIG` for each.

    Where one is lost, the others end, and all are started again. SIGTERM and SIGINT are handed
    on. No process outlives this function.

    Args:
        command: Of a worker.
        count: How many.
        max_restarts: How often they are started again.

    Returns:
        An exit status: 0 if all have ended well, `LOST` if there is no restart left.
    """
    for restart in range(max_restarts + 1):
        statuses = _run_once(command, count)
        if not any(statuses):
            return 0
        final = [status for status in FINAL if status in statuses]
        if final:
            return final[0]
        said = ", ".join(f"worker {n}: {_words(x)}" for n, x in enumerate(statuses))
        number = f"starting all again, {restart + 1} of {max_restarts}"
        then = number if restart < max_restarts else "go on with --resume"
        print(f"{said}; {then}", file=sys.stderr, flush=True)
    return LOST


def _run_once(command: Sequence[str], count: int) -> list[int]:
    """The exit statuses of all; `STOPPED` for one that a signal to us ended before it heeded it."""
    addresses = loopback_addresses(count)
    processes: list[subprocess.Popen[bytes]] = []
    asked = False

    def hand_on(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)

    before = {x: signal.signal(x, hand_on) for x in (signal.SIGTERM, signal.SIGINT)}
    try:
        for index in range(count):
            task = {"type": "worker", "index": index}
            config = json.dumps({"cluster": {"worker": addresses}, "task": task})
            own = {**os.environ, "TF_CONFIG": config, "CUDA_VISIBLE_DEVICES": "-1"}
            # What the run found is in its directory; a worker prints it for nobody.
            processes.append(subprocess.Popen(command, env=own, stdout=subprocess.DEVNULL))
        failed = None
        while any(process.poll() is None for process in processes):
            if failed is None and any(process.poll() for process in processes):
                failed = time.monotonic()
            if failed is not None and time.monotonic() - failed > PATIENCE:
                break
            time.sleep(POLL)
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)
    statuses = [process.returncode for process in processes]
    return [STOPPED if asked and (x < 0 or x == LOST) else x for x in statuses]


def loopback_addresses(count: int) -> list[str]:
    """Free ports of the loopback, held together so that they differ."""
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in held]
    except OSError as error:
        raise InputError(f"no free port on 127.0.0.1: {error.strerror}") from error
    finally:
        for each in held:
            each.close()


def _words(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"
