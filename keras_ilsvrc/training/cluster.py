"""The workers of a training on several machines: who they are, and whether they are there.

Imports no TensorFlow, so that a mistake in `TF_CONFIG` is told before it starts.
"""

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_ilsvrc.errors import InputError

LOST = 69  # exit status: EX_UNAVAILABLE of sysexits.h
PATIENCE = 5.0  # seconds of waiting that need no word
POLL = 0.2  # seconds between two looks at who has come
PROBE = 1.0  # seconds between two looks at the other workers
GRACE = 10.0  # seconds in which TensorFlow finds out by itself, and the work ends in order
EXPECTED = '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}'
Tell = Callable[[str], object]


def tell_stderr(line: str) -> None:
    """For people, also where output goes elsewhere."""
    print(line, file=sys.stderr, flush=True)


class LostWorker(Exception):
    """Another worker is gone, and with it the training; all are started again."""


@dataclass(frozen=True)
class Cluster:
    """The addresses of all workers, and which of them this process is."""

    workers: tuple[str, ...]
    index: int

    @property
    def chief(self) -> bool:
        """Whether this is the one worker that writes."""
        return self.index == 0

    def name(self, index: int | None = None) -> str:
        """Of a worker, by default of this one, in words."""
        index = self.index if index is None else index
        return f"worker {index} ({self.workers[index]})"

    def absent(self, timeout: float = 3.0) -> list[str]:
        """Names of the other workers that do not answer at their address."""
        return [
            self.name(index)
            for index, address in enumerate(self.workers)
            if index != self.index and not _answers(address, timeout)
        ]


def cluster_of(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """What `TF_CONFIG` says; None if it is not set, or names one worker only.

    A task of the type `chief` comes before the workers.

    Raises:
        InputError: If it is no JSON, not of the form that TensorFlow reads, names an address
            twice or a task that is not there, or if this worker's port is taken.
    """
    text = environment.get("TF_CONFIG")
    if not text:
        return None
    try:
        table = json.loads(text)
    except ValueError as error:
        raise InputError(f"TF_CONFIG: no JSON: {error}; expected {EXPECTED}") from error
    workers, index = _read(table)
    twice = [address for address, count in Counter(workers).items() if count > 1]
    if twice:
        raise InputError(f"TF_CONFIG: {twice[0]} is the address of two workers; give each its own")
    if len(workers) == 1:
        return None
    _listen(workers[index]).close()
    return Cluster(workers, index)


def _read(table: Any) -> tuple[tuple[str, ...], int]:
    """All addresses, and the place of this process among them."""
    try:
        jobs, task = table["cluster"], table["task"]
        kind, number = task["type"], task["index"]
        unknown = sorted(jobs.keys() - {"chief", "worker"})
        lists = {job: list(jobs.get(job, ())) for job in ("chief", "worker")}
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(f"TF_CONFIG: expected {EXPECTED}, found {json.dumps(table)}") from error
    if unknown or kind not in lists:
        raise InputError(
            f"TF_CONFIG: there is a task {[*unknown, kind][0]!r}; only 'worker' and one 'chief' "
            "train here; leave it out"
        )
    workers = lists["chief"] + lists["worker"]
    for address in workers:
        port = address.rpartition(":")[2] if isinstance(address, str) else ""
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise InputError(f"TF_CONFIG: the address {address!r}; expected 'HOST:PORT'")
    count = len(lists[kind])
    if type(number) is not int or not 0 <= number < count:
        raise InputError(
            f"TF_CONFIG: task.index is {number!r}, but there are {count} tasks of type {kind!r}; "
            f"expected 0 to {count - 1}"
        )
    return tuple(workers), number + (len(lists["chief"]) if kind == "worker" else 0)


def _listen(address: str) -> socket.socket:
    """TensorFlow would share a taken port with whoever holds it."""
    port = int(address.rpartition(":")[2])
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind(("", port))
    except OSError as error:
        server.close()
        raise InputError(
            f"TF_CONFIG: port {port} of this worker cannot be opened: {error.strerror}; end what "
            "holds it, or choose another"
        ) from error
    server.listen(128)
    server.setblocking(False)
    return server


def _answers(address: str, timeout: float) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout):
            return True
    except OSError:
        return False


def meet(cluster: Cluster, deadline: float, tell: Tell = tell_stderr) -> None:
    """Waits until every other worker has come, before TensorFlow would wait and hear nothing.

    Args:
        cluster: The workers.
        deadline: Seconds in which all have to come.
        tell: Told for whom it waits, after a few seconds.

    Raises:
        InputError: If a worker is still missing then.
    """
    until, told = time.monotonic() + deadline, time.monotonic() + PATIENCE
    with _listen(cluster.workers[cluster.index]) as server:
        while absent := " and ".join(cluster.absent()):
            with contextlib.suppress(BlockingIOError):
                while True:
                    server.accept()[0].close()
            if time.monotonic() > until:
                raise InputError(
                    f"{cluster.name()}: {absent} did not come within {deadline:g} s; start all "
                    "workers, with the same cluster in TF_CONFIG"
                )
            if time.monotonic() > told:
                tell(f"{cluster.name()}: waiting for {absent}, {deadline:g} s at most")
                told = until
            time.sleep(POLL)


class Watch(threading.Thread):
    """Looks every second whether the other workers are there, and ends this process if not.

    TensorFlow finds that out too, as a rule within ten seconds; where it does not, the line is
    told after `GRACE` seconds, and the process ended.

    Args:
        cluster: The workers.
        tell: Where the line goes.
        end: Ends the process with a status.
    """

    def __init__(
        self, cluster: Cluster, tell: Tell = tell_stderr, end: Callable[[int], object] = os._exit
    ):
        super().__init__(daemon=True)
        self.cluster, self.tell, self.end = cluster, tell, end
        self.done = threading.Event()

    def run(self) -> None:
        before: list[str] = []
        while not self.done.wait(PROBE):
            absent = self.cluster.absent()
            lost = [name for name in absent if name in before]
            if lost:
                if not self.done.wait(GRACE):
                    self.tell(str(lost_worker(self.cluster, lost)))
                    self.end(LOST)
                return
            before = absent


def lost_worker(cluster: Cluster, names: Sequence[str]) -> LostWorker:
    """What is to be said of workers that are gone."""
    who = " and ".join(names) or "another worker, which has ended by an error of its own"
    return LostWorker(f"{cluster.name()}: lost {who}; start all workers again with --resume")
