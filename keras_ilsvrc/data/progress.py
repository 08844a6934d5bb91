"""Work on many images: by all cores, with a bar where it takes long."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.pool import ThreadPool
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PATIENCE = 2.0  # seconds without a bar

Item = TypeVar("Item")
Result = TypeVar("Result")


def tracked(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """The items, with a bar on a terminal's stderr when they take over two seconds."""
    screen = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )
    task = progress.add_task(what, total=total)
    start = time.monotonic() + PATIENCE
    try:
        for item in items:
            yield item
            progress.advance(task)
            if not progress.live.is_started and time.monotonic() > start:
                progress.start()
    finally:
        progress.stop()


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], what: str
) -> Iterator[Result]:
    """What a function returns for each item, in order; worked out by a thread a core."""
    with ThreadPool() as pool:
        yield from tracked(pool.imap(function, items, chunksize=16), len(items), what)
