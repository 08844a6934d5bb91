"""Progress bars for long work, and a thread pool with a progress bar."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.pool import ThreadPool
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PATIENCE = 2.0  # seconds after which a bar is shown

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def bar(label: str, shown: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar during a `with` block that takes more than two seconds.

    There is no bar if stderr is not a terminal.

    Args:
        label: Label of the bar.
        shown: Whether to show the bar; False disables it.

    Yields:
        Function to call with the number of items done and the total number.
    """
    screen = Console(stderr=True)
    shown_bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        disable=not (shown and screen.is_terminal),
    )
    task = shown_bar.add_task(label, total=None)
    start = time.monotonic() + PATIENCE

    def progress(done: int, total: int) -> None:
        shown_bar.update(task, completed=done, total=total)
        if not shown_bar.live.is_started and time.monotonic() > start:
            shown_bar.start()

    try:
        yield progress
    finally:
        shown_bar.stop()


def tracked(items: Iterable[Item], total: int, label: str, shown: bool = True) -> Iterator[Item]:
    """Yield the items, and show in a progress bar how many have been yielded."""
    with bar(label, shown) as progress:
        for number, item in enumerate(items, 1):
            yield item
            progress(number, total)


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], label: str, together: int = 16
) -> Iterator[Result]:
    """Yield a function's result for each item in order, using one thread per core.

    Args:
        function: Function that is applied to each item.
        items: List or range of items.
        label: Label of the progress bar.
        together: Number of items that a thread takes at a time.
    """

    def results(first: int) -> list[Result]:
        return [function(item) for item in items[first : first + together]]

    with ThreadPool() as pool, bar(label) as progress:
        done = 0
        for some in pool.imap(results, range(0, len(items), together)):
            yield from some
            done += len(some)
            progress(done, len(items))
