"""Addresses of the workers in `TF_CONFIG`, and checks that each worker can be reached.

This module does not import TensorFlow, so that a mistake in `TF_CONFIG` is reported before
TensorFlow starts.
"""

import contextlib
import os
import re
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationError
from pydantic_core import PydanticCustomError

from keras_ilsvrc.utils.errors import InputError

LOST = 69  # exit status if another worker was lost: EX_UNAVAILABLE in sysexits.h
PATIENCE = 5.0  # seconds to wait for missing workers before a message is printed
POLL = 0.2  # seconds between checks for missing workers at the start
PROBE = 1.0  # seconds between checks of the other workers during training
GRACE = 10.0  # seconds that TensorFlow has to notice a lost worker, before we end the process
EXPECTED = '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}'
LIMIT = 1_000_000  # maximum length of TF_CONFIG, in characters
Log = Callable[[str], object]
HOST_PORT = r"(?:[A-Za-z0-9._-]{1,253}|\[[A-Za-z0-9.:%]{1,99}\]):([0-9]{1,5})"


def _address(text: str) -> str:
    match = re.fullmatch(HOST_PORT, text)
    if not match or not 0 < int(match[1]) < 65536:
        raise PydanticCustomError("address", "Input should be HOST:PORT, with PORT from 1 to 65535")
    return text


Address = Annotated[str, AfterValidator(_address)]


class _Addresses(BaseModel, extra="forbid"):
    chief: Annotated[list[Address], Field(max_length=1)] = []
    worker: list[Address] = []


class _Task(BaseModel):
    type: Literal["chief", "worker"]
    index: Annotated[int, Field(ge=0)]


class _Config(BaseModel):  # other keys are ignored, since TensorFlow allows them
    cluster: _Addresses
    task: _Task


def log_stderr(line: str) -> None:
    """Print a line to stderr; do nothing if stderr is closed."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


class LostWorker(Exception):
    """Error for a lost worker. The other workers stop too; all must be resumed together."""


@dataclass(frozen=True)
class Cluster:
    """Addresses of all workers, and the index of this process among them."""

    workers: tuple[str, ...]
    index: int

    @property
    def chief(self) -> bool:
        """Whether this process is the chief, the only worker that writes files."""
        return self.index == 0

    def name(self, index: int | None = None) -> str:
        """Return a worker's index and address as text. The default is this worker."""
        index = self.index if index is None else index
        return f"worker {index} ({self.workers[index]})"

    def absent(self, timeout: float = 3.0) -> list[str]:
        """Return the names of the other workers that do not accept a connection."""
        return [
            self.name(index)
            for index, address in enumerate(self.workers)
            if index != self.index and not _answers(address, timeout)
        ]


def cluster_of(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """Return the cluster in `TF_CONFIG`, or None if it is unset or lists only one worker.

    If the cluster lists a task of type `chief`, it has index 0, and the workers follow from 1.

    Raises:
        InputError: If `TF_CONFIG` is not JSON or not in TensorFlow's format, if it contains an
            address twice or a task that does not exist, or if this worker's port is in use.
    """
    text = environment.get("TF_CONFIG")
    if not text:
        return None
    workers, index = _read(text)
    twice = [address for address, count in Counter(workers).items() if count > 1]
    if twice:
        raise InputError(
            f"TF_CONFIG: two workers have the address {twice[0]}; give each worker its own address"
        )
    if len(workers) == 1:
        return None
    _listen(workers[index]).close()
    return Cluster(workers, index)


def _read(text: str) -> tuple[tuple[str, ...], int]:
    """Return the addresses of all workers in `TF_CONFIG`, and the index of this process."""
    if len(text) > LIMIT:
        raise InputError(f"TF_CONFIG has {len(text):,} characters; expected at most {LIMIT:,}")
    try:
        config = _Config.model_validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        if key and first["type"] != "missing":
            key += f" is {first['input']!r:.60}"
        line = ": ".join(x for x in ("TF_CONFIG", key, first["msg"]) if x)
        raise InputError(f"{line}; expected {EXPECTED}") from error
    chief, worker = config.cluster.chief, config.cluster.worker
    workers, task = chief + worker, config.task
    count = len(chief if task.type == "chief" else worker)
    if task.index >= count:
        raise InputError(
            f"TF_CONFIG: task.index is {task.index!r:.60}, but cluster.{task.type} has {count} "
            "addresses; expected the position of this process in that list, counted from 0"
        )
    return tuple(workers), task.index + (len(chief) if task.type == "worker" else 0)


def _listen(address: str) -> socket.socket:
    """Open this worker's port. Raise an error if another process uses the port.

    TensorFlow itself would not report an error, but would share the port with the other process.
    """
    port = int(address.rpartition(":")[2])
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind(("", port))
    except OSError as error:
        server.close()
        raise InputError(
            f"TF_CONFIG: cannot open port {port} for this worker: {error.strerror}; stop the "
            "process that uses it, or choose another port"
        ) from error
    server.listen(128)
    server.setblocking(False)
    return server


def _answers(address: str, timeout: float) -> bool:
    host, _, port = address.rpartition(":")
    try:  # UnicodeError is raised if a part of the host name is empty or too long
        with socket.create_connection((host.strip("[]"), int(port)), timeout):
            return True
    except (OSError, UnicodeError):
        return False


def meet(cluster: Cluster, deadline: float, log: Log = log_stderr) -> None:
    """Wait until all other workers answer. After a few seconds, log the names of missing workers.

    Args:
        cluster: Workers to wait for.
        deadline: Maximum seconds to wait for all workers.
        log: Function called with a message about missing workers, after `PATIENCE` seconds.

    Raises:
        InputError: If a worker does not answer before the deadline.
    """
    until, log_at = time.monotonic() + deadline, time.monotonic() + PATIENCE
    with _listen(cluster.workers[cluster.index]) as server:
        while absent := " and ".join(cluster.absent()):
            with contextlib.suppress(BlockingIOError):
                while True:
                    server.accept()[0].close()
            if time.monotonic() > until:
                raise InputError(
                    f"{cluster.name()}: {absent} did not answer within {deadline:g} s; start all "
                    "workers, with the same addresses in TF_CONFIG"
                )
            if time.monotonic() > log_at:
                log(f"{cluster.name()}: waiting for {absent} for at most {deadline:g} s")
                log_at = until
            time.sleep(POLL)


class Watch(threading.Thread):
    """Thread that checks every second whether the other workers answer.

    TensorFlow itself usually notices a lost worker within ten seconds. If it does not, this
    thread prints a message after `GRACE` seconds and ends the process.

    Args:
        cluster: Workers to check.
        log: Function that prints the message.
        end: Function that ends the process with an exit status.
    """

    def __init__(
        self, cluster: Cluster, log: Log = log_stderr, end: Callable[[int], object] = os._exit
    ):
        super().__init__(daemon=True)
        self.cluster, self.log, self.end = cluster, log, end
        self.done = threading.Event()

    def run(self) -> None:
        before: list[str] = []
        while not self.done.wait(PROBE):
            absent = self.cluster.absent()
            lost = [name for name in absent if name in before]
            if lost:
                if not self.done.wait(GRACE):
                    self.log(str(lost_worker(self.cluster, lost)))
                    self.end(LOST)
                return
            before = absent


def lost_worker(cluster: Cluster, names: Sequence[str]) -> LostWorker:
    """Return a `LostWorker` error that names the lost workers."""
    who = " and ".join(names) or "another worker, which hangs or has failed"
    return LostWorker(f"{cluster.name()}: lost {who}; start all workers again with --resume")
