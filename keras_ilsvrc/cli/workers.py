"""Worker processes of a training run on this machine, started and restarted together."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from keras_ilsvrc.cli.options import BAD_INPUT, DIVERGED, STOPPED
from keras_ilsvrc.runs.processes import pipe_to_children
from keras_ilsvrc.training.cluster import GRACE, LOST, log_stderr
from keras_ilsvrc.utils.errors import InputError

# Exit statuses after which workers are not restarted, the most important one first.
FINAL = (BAD_INPUT, DIVERGED, STOPPED)
PATIENCE = 2 * GRACE  # seconds to wait for the other workers after one has failed
POLL = 0.1  # seconds between checks of the workers


def run_workers(command: Sequence[str], count: int, max_restarts: int = 0) -> int:
    """Run a command in several processes on the CPU, each with its own `TF_CONFIG`.

    If one worker is lost, the others end, and all workers are restarted. SIGTERM, SIGINT and SIGHUP
    are sent to all workers as SIGTERM; a second SIGINT kills them. All workers have ended when this
    function returns. If the command calls `end_with_parent`, the workers also end if this process
    is killed.

    Args:
        command: Command that starts a worker.
        count: Number of workers.
        max_restarts: Maximum number of restarts.

    Returns:
        Exit status: 0 if all workers succeeded; else the first status in `FINAL` with which a
        worker ended; else `STOPPED` after a signal; else `LOST`, when no restart is left.
    """
    with _signals() as received:
        for restart in range(max_restarts + 1):
            statuses = [STOPPED] if received else _run_once(command, count, received)
            if not any(statuses):
                return 0
            final = [x for x in FINAL if x in statuses] + [STOPPED] * bool(received)
            if final:
                return final[0]
            found = ", ".join(f"worker {n}: {_status_text(x)}" for n, x in enumerate(statuses))
            number = f"restarting all workers, {restart + 1} of {max_restarts}"
            log_stderr(f"{found}; {number if restart < max_restarts else 'resume with --resume'}")
    return LOST


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Yield a list to which received signals are appended. Ignored signals stay ignored."""
    received: list[int] = []
    before = {x: signal.getsignal(x) for x in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, lambda number, frame: received.append(number))
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run_once(command: Sequence[str], count: int, received: Sequence[int]) -> list[int]:
    """Start all workers, wait until they end, and return their exit statuses."""
    addresses = loopback_addresses(count)
    processes: list[subprocess.Popen[bytes]] = []
    with pipe_to_children() as (environment, pipes):
        try:
            for index in range(count):
                if received:
                    break
                task = {"type": "worker", "index": index}
                config = json.dumps({"cluster": {"worker": addresses}, "task": task})
                own = {"TF_CONFIG": config, "CUDA_VISIBLE_DEVICES": "-1", **environment}
                # Discard the standard output, since the result is in the run directory.
                started = subprocess.Popen(
                    command, env=os.environ | own, stdout=subprocess.DEVNULL, pass_fds=pipes
                )
                processes.append(started)
            _wait(processes, received)
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
                process.wait()
    return [process.returncode for process in processes] or [STOPPED]


def _wait(processes: Sequence["subprocess.Popen[bytes]"], received: Sequence[int]) -> None:
    """Wait until all workers end, until a second SIGINT, or `PATIENCE` seconds after a failure."""
    passed, failed = 0, None
    while (
        any(process.poll() is None for process in processes) and received.count(signal.SIGINT) < 2
    ):
        if passed < len(received):
            passed = len(received)
            for process in processes:
                process.send_signal(signal.SIGTERM)
        if failed is None and any(process.poll() for process in processes):
            failed = time.monotonic()
        if failed is not None and time.monotonic() - failed > PATIENCE:
            break
        time.sleep(POLL)


def loopback_addresses(count: int) -> list[str]:
    """Return `count` addresses on 127.0.0.1 with different free ports."""
    held: list[socket.socket] = []
    try:
        for _ in range(count):
            held.append(socket.socket())
            held[-1].bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in held]
    except OSError as error:
        raise InputError(f"no free port on 127.0.0.1: {error.strerror}") from error
    finally:
        for each in held:
            each.close()


def _status_text(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"
