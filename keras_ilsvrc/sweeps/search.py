"""Search of a sweep: the lock and content of its directory, and the loop over trials."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from grpc import RpcError
from keras_tuner.engine.trial import Trial, TrialStatus

from keras_ilsvrc.runs import places
from keras_ilsvrc.runs.schema import check_version, differences, parsed
from keras_ilsvrc.sweeps.schema import Sweep
from keras_ilsvrc.sweeps.trial import Outcome, Runner
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import InputError

MARK, LOCK = "sweep.json", ".lock"
IDLE = 1.0  # seconds to wait if the oracle has no trial yet
BEAT = 5.0  # seconds between messages of a worker to the chief
ELSEWHERE = "choose another --out"


@contextmanager
def directory(path: Path, sweep: Sweep, resume: bool) -> Iterator[Path]:
    """Create and lock the directory of a sweep; remove it again if it stays empty.

    Raises:
        InputError: If the directory contains another sweep, is in use by another process, or is not
            empty although `resume` is false.
    """
    home, found = _content(path)
    if found and not resume:
        raise InputError(
            f"{home}: not empty ({len(found)} entries); {ELSEWHERE}, or pass --resume if it "
            "contains this sweep"
        )
    _check_mark(home, sweep, found)
    home, made = places.make(home, False)
    try:
        with _locked(home):
            _mark(home, sweep)
            yield home
    finally:
        places.remove_empty(made)


def worker_directory(path: Path, sweep: Sweep) -> Path:
    """Create and return the directory in which a worker runs trials; it may be the chief's.

    Raises:
        InputError: If the directory contains anything other than this sweep.
    """
    home, found = _content(path)
    _check_mark(home, sweep, found)
    home, _ = places.make(home, False)
    _mark(home, sweep)
    return home


def _content(path: Path) -> tuple[Path, list[str]]:
    """Return the resolved path of a directory, and the names of its entries."""
    home = places.resolved(path)
    places.check(home, MARK)
    names = places.entries(home)
    return home, [x for x in names if x != LOCK and not x.startswith(files.PART)]


def _mark(home: Path, sweep: Sweep) -> None:
    if not (home / MARK).exists():
        table = {"version": version("keras_ilsvrc"), **sweep.identity}
        with files.whole(home / MARK) as part:
            part.write_bytes(files.sealed(table))


def _check_mark(home: Path, sweep: Sweep, found: list[str]) -> None:
    """Raise an InputError if a directory contains anything other than this sweep."""
    mark = home / MARK
    if not found:
        return
    if not mark.exists():
        raise InputError(f"{home}: contains {found[0]} but no sweep; {ELSEWHERE}")
    table = parsed(mark, ELSEWHERE, lambda: files.unsealed(files.read(mark)))
    check_version(mark, table)
    table.pop("version", None)
    if changes := differences(table, sweep.identity):
        raise InputError(f"{home}: contains another sweep: {'; '.join(changes)}; {ELSEWHERE}")


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    try:
        taken = files.lock(home / LOCK)
    except files.Timeout as error:
        raise InputError(
            f"{home}: another process runs this sweep; wait until it ends, or {ELSEWHERE}"
        ) from error
    try:
        yield
    finally:
        (home / LOCK).unlink(missing_ok=True)
        taken.release()


def search(oracle: Any, runner: Runner, worker: str, ended: Callable[[], object]) -> None:
    """Run the trials of an oracle until none is left.

    Args:
        oracle: Oracle, or the client of an oracle in another process.
        runner: Runner of trials.
        worker: Name of this worker.
        ended: Function that is called after each trial.

    Raises:
        Stopped: If a signal was received. The oracle still lists the trial as running.
    """
    while True:
        trial = oracle.create_trial(worker)
        if trial.status == TrialStatus.STOPPED:
            return
        if trial.status == TrialStatus.IDLE:
            time.sleep(IDLE)
            runner.stop.check()
            continue
        values = trial.hyperparameters.values
        with _beating(oracle, trial.trial_id):
            found = runner.trial(trial.trial_id, values, _root(oracle, values))
        _report(oracle, trial, found)
        ended()


def _report(oracle: Any, trial: Trial, found: Outcome) -> None:
    """Send the outcome of a trial to the oracle."""
    if found.failure:
        trial.status, trial.message = TrialStatus.FAILED, found.failure
    else:
        epochs = int(found.measured["epochs"])
        oracle.update_trial(trial.trial_id, found.measured, step=epochs)
        trial.status = TrialStatus.COMPLETED
    oracle.end_trial(trial)


@contextmanager
def _beating(oracle: Any, number: str) -> Iterator[None]:
    """Report every few seconds to the oracle, during a `with` block, that the worker is alive."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT):
            with suppress(RpcError):  # the chief may answer again before the trial ends
                oracle.get_trial(number)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _root(oracle: Any, values: Mapping[str, Any]) -> str | None:
    """Return the trial whose runs a Hyperband trial continues; None if it starts new runs."""
    number = values.get("tuner/trial_id")
    if number is None:
        return None
    earlier = oracle.get_trial(number).hyperparameters.values
    return _root(oracle, earlier) or str(number)
