"""The workers of a training on several machines: who they are, and whether they are there.

Imports no TensorFlow, so that a mistake in `TF_CONFIG` is told before it starts.
"""

import json
import os
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keras_ilsvrc.errors import InputError

LOST = 69  # exit status: EX_UNAVAILABLE of sysexits.h
PROBE = 1.0  # seconds between two looks at the other workers
GRACE = 10.0  # seconds in which TensorFlow finds out by itself, and the work ends in order
EXPECTED = '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}'


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
    _check_port(workers[index])
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


def _check_port(address: str) -> None:
    """TensorFlow would share a taken port with whoever holds it."""
    port = int(address.rpartition(":")[2])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise InputError(
                f"TF_CONFIG: port {port} of this worker cannot be opened: {error.strerror}; end "
                "what holds it, or choose another"
            ) from error


def _answers(address: str, timeout: float) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout):
            return True
    except OSError:
        return False


class Watch(threading.Thread):
    """Ends this process where TensorFlow would wait for a worker that is not there.

    While `joined` is not set, it says after a few seconds for whom it waits, and after the
    deadline ends the process with 2. Then it looks every second whether all are there; where one
    is not, the work has `GRACE` seconds to end by itself.

    Args:
        cluster: The workers.
        deadline: Seconds in which all have to come.
        tell: Where lines go.
        end: Ends the process with a status.
    """

    def __init__(
        self,
        cluster: Cluster,
        deadline: float,
        tell: Callable[[str], object] = lambda line: print(line, file=sys.stderr, flush=True),
        end: Callable[[int], object] = os._exit,
    ):
        super().__init__(daemon=True)
        self.cluster, self.deadline, self.tell, self.end = cluster, deadline, tell, end
        self.joined, self.done = threading.Event(), threading.Event()

    def run(self) -> None:
        patience = min(5.0, self.deadline)
        if not self.joined.wait(patience):
            names = " and ".join(self.cluster.absent()) or "all to join"
            self.tell(f"{self.cluster.name()}: waiting for {names}, {self.deadline:.0f} s at most")
            if not self.joined.wait(self.deadline - patience):
                names = " and ".join(self.cluster.absent()) or "some worker"
                self.tell(
                    f"error: {self.cluster.name()}: {names} did not come within "
                    f"{self.deadline:.0f} s; start all workers, with the same cluster in TF_CONFIG"
                )
                self.end(2)
                return
        before: list[str] = []
        while not self.done.wait(PROBE):
            absent = self.cluster.absent()
            lost = [name for name in absent if name in before]
            if lost:
                if not self.done.wait(GRACE):
                    self.tell(str(self.lost(lost)))
                    self.end(LOST)
                return
            before = absent

    def lost(self, names: list[str]) -> LostWorker:
        """What is to be said of workers that are gone."""
        who = " and ".join(names) or "another worker, which has ended by an error of its own"
        return LostWorker(
            f"{self.cluster.name()}: lost {who}; start all workers again with --resume"
        )
