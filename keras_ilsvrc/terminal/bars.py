"""Work on many images: by all cores, with a bar where it takes long."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.pool import ThreadPool
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PATIENCE = 2.0  # seconds without a bar

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def bar(what: str, shown: bool = True) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal's stderr when work takes over two seconds.

    Args:
        what: Is done.
        shown: Whether there may be a bar at all.

    Yields:
        What is to be told how much is done, and of how much.
    """
    screen = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        disable=not (shown and screen.is_terminal),
    )
    task = progress.add_task(what, total=None)
    start = time.monotonic() + PATIENCE

    def tell(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total)
        if not progress.live.is_started and time.monotonic() > start:
            progress.start()

    try:
        yield tell
    finally:
        progress.stop()


def tracked(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """The items, with a bar."""
    with bar(what) as tell:
        for number, item in enumerate(items, 1):
            yield item
            tell(number, total)


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], what: str
) -> Iterator[Result]:
    """What a function returns for each item, in order; worked out by a thread a core."""
    with ThreadPool() as pool:
        yield from tracked(pool.imap(function, items, chunksize=16), len(items), what)
