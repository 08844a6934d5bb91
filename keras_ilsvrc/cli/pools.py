"""Pools of runs for commands that train many: locked, and stopped by a signal with status 75."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from keras_ilsvrc.cli.options import STOPPED
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.terminal.streams import quiet_tensorflow
from keras_ilsvrc.training.stopping import Stopped, StopRequest, ignore_signals

if TYPE_CHECKING:
    from keras_ilsvrc.claims.pool import Pool

LOCK = ".lock"


@contextmanager
def pool_in(out: Path, jobs: int | None, label: str) -> "Iterator[Pool]":
    """Yield the pool of runs in a folder, which no other process uses meanwhile.

    Args:
        out: Folder, which is made if it does not exist.
        jobs: Number of runs at the same time; None for one a GPU, or a core.
        label: Name of what is trained, for messages.

    Raises:
        InputError: If another process uses the folder.
        typer.Exit: With status 75, if a signal was received.
    """
    quiet_tensorflow()
    from keras_ilsvrc import files
    from keras_ilsvrc.claims.pool import Pool
    from keras_ilsvrc.training.strategy import gpu_ids

    out.mkdir(parents=True, exist_ok=True)
    try:
        taken = files.lock(out / LOCK)
    except files.Timeout as error:
        raise InputError(
            f"{out}: another process trains here; wait until it ends, or choose another --out"
        ) from error
    try:
        with StopRequest() as stop:
            gpus = gpu_ids()
            yield Pool(out, jobs or len(gpus) or os.cpu_count() or 1, gpus, stop)
    except Stopped as error:
        ignore_signals()
        print(f"{label}: {error}; repeat the command to go on", file=sys.stderr)
        raise typer.Exit(STOPPED) from error
    finally:
        taken.release()
