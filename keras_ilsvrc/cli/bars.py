"""Progress bars of commands."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def image_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal; what it gives is told of the images done and those to do."""
    columns = (TextColumn("testing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("testing", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
