"""Chief and workers of a sweep on one or more machines, connected by keras-tuner's gRPC service."""

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
from keras_tuner.engine.trial import Trial
from keras_tuner.src import protos
from keras_tuner.src.distribute import oracle_chief, oracle_client

from keras_ilsvrc.runs.processes import GRACE, end, pipe_to_children
from keras_ilsvrc.sweeps.oracle import SweepOracle
from keras_ilsvrc.sweeps.schema import Sweep
from keras_ilsvrc.training.cluster import HOST_PORT, LostWorker, log_stderr
from keras_ilsvrc.training.stopping import StopRequest
from keras_ilsvrc.utils.errors import InputError

POLL = 0.2  # seconds between checks of the workers
ANSWER = 60.0  # maximum seconds that a worker waits for an answer from the chief
FLUSH = 1.0  # maximum seconds for the chief to send its last answers
REASON = "failure-bin"  # key of the gRPC metadata with the reason why a trial failed
IP, PORT, ID = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID"


@dataclass(frozen=True)
class Processes:
    """Settings of the processes that run a sweep.

    Attributes:
        local: Number of workers on this machine; 0 to run the trials one after another.
        listen: HOST:PORT on which the chief listens for workers on other machines; None if there
            are no such workers.
        devices: IDs of the GPUs; each worker uses one of them.
        options: Additional options of `keras-ilsvrc train` for each run.
    """

    local: int = 0
    listen: str | None = None
    devices: Sequence[str] = field(default_factory=tuple)
    options: Sequence[str] = field(default_factory=tuple)


def name_of(sweep: Sweep) -> str:
    """Return the name of this worker: host and process ID, package version, and sweep digest."""
    digest = hashlib.sha256(json.dumps(sweep.identity, sort_keys=True).encode()).hexdigest()
    return "|".join((f"{socket.gethostname()}-{os.getpid()}", version("keras_ilsvrc"), digest))


class _Service(oracle_chief.OracleServicer):
    """Service of the chief. It refuses workers of other versions, and replaces lost workers.

    One thread answers all calls, so that the oracle needs no lock.
    """

    def __init__(self, oracle: SweepOracle, sweep: Sweep, gone: Sequence[str]) -> None:
        super().__init__(oracle)
        self.own, self.gone = name_of(sweep), gone
        self.given_up: set[str] = set()  # lost workers, as HOST-PROCESS

    def CreateTrial(self, request: Any, context: Any) -> Any:
        _, *ours = self.own.split("|")
        _, *theirs = request.tuner_id.split("|")
        for what, one, other in zip(("version", "sweep file"), ours, [*theirs, "", ""]):
            if one != other:
                shown = f" {other[:12]}, but the chief has {one[:12]}"
                context.abort(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    f"this worker has {what}{shown}; use the same {what} on all machines",
                )
        self._give_up({request.tuner_id})
        return super().CreateTrial(request, context)

    def GetTrial(self, request: Any, context: Any) -> Any:
        found = super().GetTrial(request, context)
        self._give_up(set())
        return found

    def EndTrial(self, request: Any, context: Any) -> Any:
        # keras-tuner does not send the message of a trial, so `_Client` sends it as metadata.
        found = dict(context.invocation_metadata()).get(REASON, b"")
        trial = Trial.from_proto(request.trial)
        trial.message = found.decode() or None
        self.oracle.end_trial(trial)
        return protos.get_service().EndTrialResponse()

    def _give_up(self, asking: set[str]) -> None:
        """Queue the trials of lost workers again, except those of the worker that is asking."""
        running = list(self.oracle.ongoing_trials)
        dead = [x for x in running if x.split("|")[0] in self.gone]
        for worker in {*dead, *self.oracle.lost()} - asking:
            name = worker.split("|")[0]
            self.given_up.add(name)
            if number := self.oracle.give_up(worker):
                log_stderr(f"worker {name} is lost; trial {number} runs again")


class _Client(oracle_client.OracleClient):
    """Client of the chief's oracle that also sends the reason why a trial failed."""

    def end_trial(self, trial: Trial) -> None:
        request = protos.get_service().EndTrialRequest(trial=trial.to_proto())
        reason = ((REASON, (trial.message or "").encode()),)
        self.stub.EndTrial(request, wait_for_ready=True, timeout=ANSWER, metadata=reason)


def role(join: str | None, listen: str | None) -> tuple[str | None, str | None]:
    """Return the addresses to join and to listen on; one or both of them are None.

    The addresses come from the options `--join` and `--listen`, or else from keras-tuner's
    environment variables.

    Raises:
        InputError: If only some of the variables are set, or both options are given, or an address
            is not HOST:PORT.
    """
    found = {name: os.environ.get(name) for name in (IP, PORT, ID)}
    if join and listen:
        raise InputError("--join is for workers and --listen for the chief; pass only one of them")
    for option, text in (("--join", join), ("--listen", listen)):
        if text and not re.fullmatch(HOST_PORT, text):
            raise InputError(f"{option} is {text[:100]!r}; expected HOST:PORT")
    if join or listen or not found[IP]:
        return join, listen
    if missing := [name for name, value in found.items() if not value]:
        raise InputError(
            f"{IP} is set, but not {' and '.join(missing)}; set all of these variables, or none"
        )
    address = f"{found[IP]}:{found[PORT]}"
    return (None, address) if "chief" in str(found[ID]) else (address, None)


@contextmanager
def serving(
    oracle: SweepOracle, sweep: Sweep, address: str, gone: Sequence[str]
) -> Iterator[tuple[str, _Service]]:
    """Serve the oracle of a sweep to its workers, during a `with` block.

    Args:
        oracle: Oracle of the sweep.
        sweep: Sweep.
        address: HOST:PORT to listen on; port 0 means any free port.
        gone: Workers that are known to have ended, as HOST-PROCESS; the caller appends new ones.

    Yields:
        The address, and the service, whose `stop_triggered` becomes true after the last trial.

    Raises:
        InputError: If the address cannot be used.
    """
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    service = _Service(oracle, sweep, gone)
    protos.get_service_grpc().add_OracleServicer_to_server(service, server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if not port:
        raise InputError(f"cannot listen on {address}; choose a free port of this machine")
    server.start()
    try:
        yield f"{address.rpartition(':')[0]}:{port}", service
    finally:
        server.stop(FLUSH).wait()


@contextmanager
def joined(address: str, sweep: Sweep) -> Iterator[Any]:
    """Join the sweep of a chief: yield a client of its keras-tuner oracle.

    Raises:
        InputError: If the chief refuses this worker.
        LostWorker: If the chief does not answer.
    """
    host, _, port = address.rpartition(":")
    os.environ.update({IP: host, PORT: port, ID: name_of(sweep)})
    oracle_client.TIMEOUT = ANSWER
    try:
        yield _Client(None)
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.FAILED_PRECONDITION:
            raise InputError(f"{address}: {error.details()}") from error
        raise LostWorker(f"the chief at {address} does not answer: {error.details()}") from error


def run_local(
    oracle: SweepOracle,
    sweep: Sweep,
    home: Path,
    processes: Processes,
    stop: StopRequest,
    seen: Callable[[], object],
) -> None:
    """Run all trials in worker processes on this machine and on other machines that join.

    Args:
        oracle: Oracle of the sweep.
        sweep: Sweep.
        home: Directory of the sweep.
        processes: Number of workers, and their settings.
        stop: Request to stop.
        seen: Function that is called repeatedly while the workers run.

    Raises:
        Stopped: If a signal was received.
        LostWorker: If all workers on this machine ended before all trials were done.
    """
    gone: list[str] = []
    address, gpus = processes.listen or "127.0.0.1:0", processes.devices
    with (
        serving(oracle, sweep, address, gone) as (address, service),
        pipe_to_children() as (environment, pipes),
    ):
        log_stderr(f"the chief listens on {address}")
        words = [sys.executable, "-m", "keras_ilsvrc", "tune", str(sweep.path), "--out", str(home)]
        words += ["--join", address, *processes.options]
        workers: list[subprocess.Popen[bytes]] = []
        try:
            for index in range(processes.local):
                own = {"CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)]} if gpus else {}
                own = {**os.environ, **environment, **own}
                workers.append(subprocess.Popen(words, env=own, pass_fds=pipes))
            _wait(oracle, service, workers, gone, stop, seen)
        finally:
            for process in workers:
                process.terminate()
            for process in workers:
                end(process, 2 * GRACE)  # twice as long, since a worker waits for its own run
    stop.check()


def _wait(
    oracle: SweepOracle,
    service: _Service,
    processes: Sequence["subprocess.Popen[bytes]"],
    gone: list[str],
    stop: StopRequest,
    seen: Callable[[], object],
) -> None:
    """Wait until all trials have ended and all workers have left."""
    own, remote = {f"{socket.gethostname()}-{x.pid}": x for x in processes}, not processes
    while not stop:
        for name in own.keys() & service.given_up:
            # The worker hangs. Its run is killed too, and another worker resumes the run.
            own[name].kill()
        ended = [name for name, process in own.items() if process.poll() is not None]
        gone.extend(x for x in ended if x not in gone)
        left = set(oracle.tuner_ids) - set(oracle.lost())
        workers = {x for x in left if x.split("|")[0] not in gone}
        done = service.stop_triggered and not oracle.ongoing_trials and not workers
        seen()  # before the return, so that the last trial is also seen
        if done:
            return
        if not remote and len(ended) == len(processes) and not workers:
            raise LostWorker("all workers have ended; continue with --resume")
        time.sleep(POLL)
