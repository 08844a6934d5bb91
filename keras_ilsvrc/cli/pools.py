"""Options, lock and pool of commands that train many runs in one folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keras_ilsvrc.cli.options import exit_status
from keras_ilsvrc.runs.places import check, check_writable, remove_empty, resolved
from keras_ilsvrc.runs.reading import RUN
from keras_ilsvrc.training.stopping import StopRequest
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import InputError

if TYPE_CHECKING:
    from keras_ilsvrc.claims.pool import Pool

LOCK = ".lock"
Quick = Annotated[
    bool, typer.Option("--quick", help="Train small nets on scikit-learn's digits, in minutes.")
]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1024,
        help="Number of runs to train at the same time (default: one per GPU, or else per core).",
    ),
]


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Create a folder of runs, and lock it for a `with` block.

    Raises:
        InputError: If the path is a file, is inside a run or cannot be written, or if another
            process has locked the folder.
    """
    check(resolved(out), RUN)
    check_writable(resolved(out))
    out.mkdir(parents=True, exist_ok=True)
    try:
        taken = files.lock(out / LOCK)
    except files.Timeout as error:
        raise InputError(
            f"{out}: another process trains in this folder; wait until it ends, or choose another "
            "--out"
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):
            (out / LOCK).unlink()
        taken.release()
        remove_empty([out])


@contextmanager
def pool_in(out: Path, jobs: int | None, label: str) -> "Iterator[Pool]":
    """Yield a pool that trains runs in a folder. After a signal, the exit status is 75.

    Args:
        out: Folder of the runs.
        jobs: Number of runs to train at the same time; None for one per GPU, or else one per core.
        label: Start of the message that is printed after a signal.

    Raises:
        typer.Exit: If a signal was received.
    """
    from keras_ilsvrc.claims.pool import Pool
    from keras_ilsvrc.training.strategy import gpu_ids

    with exit_status("repeat the command to continue", [label]), StopRequest() as stop:
        gpus = gpu_ids()
        yield Pool(out, jobs or len(gpus) or os.cpu_count() or 1, gpus, stop)
