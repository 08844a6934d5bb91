"""Live table of the trials of a sweep."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from keras_ilsvrc.runs.apart import history
from keras_ilsvrc.sweeps.outcome import Row, rows_of
from keras_ilsvrc.sweeps.schema import Sweep
from keras_ilsvrc.utils.errors import counted, printable

SHOWN = 5  # maximum number of completed trials, and of failed trials, in the table
WIDTH = 60  # maximum number of characters of a value or a reason


def line_of(row: Row, objective: str) -> str:
    """Return a line of text about a trial that has ended."""
    values = ", ".join(f"{key}={short(value)}" for key, value in row.values.items())
    what = row.failure if row.status == "failed" else f"{objective} {error_of(row, objective)}"
    return printable(f"trial {row.number} {row.status}: {what}; {values}")


@contextmanager
def board(oracle: Any, sweep: Sweep, home: Path, total: int | None, workers: int) -> Iterator[None]:
    """Show a live table of the trials if stderr is a terminal.

    Args:
        oracle: Oracle of the sweep.
        sweep: Sweep whose trials are shown.
        home: Directory of the sweep.
        total: Number of trials; None if it is not known.
        workers: Number of trials that run at the same time.
    """
    screen = Console(stderr=True)
    if not screen.is_terminal:
        yield
        return
    started = time.monotonic()

    def table() -> Table:
        rows = rows_of(oracle, sweep)
        return _table(rows, sweep, home, _left(rows, total, workers, started))

    with Live(get_renderable=table, console=screen, refresh_per_second=1, transient=True):
        yield


def _table(rows: list[Row], sweep: Sweep, home: Path, left: str) -> Table:
    """Return the table: the best completed, all running and the latest failed trials."""
    objective = sweep.table.objective
    groups = {
        status: [row for row in rows if row.status == status]
        for status in ("completed", "running", "failed")
    }
    counts = ", ".join(f"{len(found)} {status}" for status, found in groups.items())
    shown = Table(box=None, pad_edge=False, title=f"{counts}; {left}", title_justify="left")
    for heading in ("trial", "status", objective, *sweep.ranges):
        shown.add_column(heading, overflow="fold")
    best = sorted(groups["completed"], key=lambda row: row.measured[objective])[:SHOWN]
    for row in (*best, *groups["running"], *groups["failed"][-SHOWN:]):
        found = error_of(row, objective) if row.measured else _running(row, home)
        if row.status == "failed":
            found = row.failure[:WIDTH]
        shown.add_row(row.number, row.status, found, *map(short, row.values.values()))
    return shown


def _left(rows: list[Row], total: int | None, workers: int, started: float) -> str:
    """Return the remaining time in words, estimated from the duration of the trials so far."""
    seconds = [row.measured["seconds"] for row in rows if "seconds" in row.measured]
    if not seconds or total is None:
        return f"{time.monotonic() - started:.0f} s so far"
    ended = sum(row.status != "running" for row in rows)
    left = (total - ended) * sum(seconds) / len(seconds) / workers
    return f"about {counted(math.ceil(left / 60), 'minute')} left"


def _running(row: Row, home: Path) -> str:
    """Return the epoch and the validation error, as text, of a trial that runs on this machine."""
    runs = sorted((home / f"trial_{row.number}").glob("seed-*/"))
    rows = history(runs[-1]) if runs else []
    if not rows:
        return "starting"
    return f"epoch {len(rows)}: {rows[-1]['validation_error']:.2f} %"


def error_of(row: Row, objective: str) -> str:
    spread = f" +- {row.measured['spread']:.2f}" if "spread" in row.measured else ""
    return f"{row.measured[objective]:.4g}{spread}"


def short(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
