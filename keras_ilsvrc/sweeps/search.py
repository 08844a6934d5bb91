"""The search of a sweep: trials one after another, and the final comparison with the recipe."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from grpc import RpcError
from keras_tuner.engine.trial import Trial, TrialStatus

from keras_ilsvrc import files
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.runs import places
from keras_ilsvrc.runs.schema import check_version, differences, parsed
from keras_ilsvrc.sweeps.schema import Sweep
from keras_ilsvrc.sweeps.trial import Outcome, Runner

MARK, LOCK = "sweep.json", ".lock"
IDLE = 1.0  # seconds to wait if the oracle has no trial yet
BEAT = 5.0  # seconds between messages of a worker to the chief
ELSEWHERE = "choose another --out"


@contextmanager
def directory(path: Path, sweep: Sweep, resume: bool) -> Iterator[Path]:
    """Create and lock the directory of a sweep; remove it again if it stays empty.

    Raises:
        InputError: If it is not empty and `resume` is false, contains another sweep, or is in use.
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
    """Return the directory in which a worker runs trials, perhaps that of the chief itself.

    Raises:
        InputError: If it contains something else than this sweep.
    """
    home, found = _content(path)
    _check_mark(home, sweep, found)
    home, _ = places.make(home, False)
    _mark(home, sweep)
    return home


def _content(path: Path) -> tuple[Path, list[str]]:
    """Return the resolved path of a directory, and the names in it."""
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
    """Raise an InputError if a directory contains something else than this sweep."""
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
    """Run the trials that an oracle asks for, until it asks for no more.

    Args:
        oracle: Oracle, or the client of an oracle in another process.
        runner: Runner of trials.
        worker: Name of this process.
        ended: Function that is called after each trial.

    Raises:
        Stopped: If a signal was received. The state of the oracle says that the trial is running.
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
    """Tell the oracle every few seconds that the worker of a trial is alive."""
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
    """Return the first of the trials whose runs a trial of Hyperband continues."""
    number = values.get("tuner/trial_id")
    if number is None:
        return None
    earlier = oracle.get_trial(number).hyperparameters.values
    return _root(oracle, earlier) or str(number)
