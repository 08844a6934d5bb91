"""Options and functions that the `bench` commands share."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from keras_ilsvrc.utils.streams import quiet_tensorflow

Inference = Annotated[bool, typer.Option("--inference", help="Run only the forward pass.")]
Batch = Annotated[int, typer.Option(min=1, help="Number of images per step.")]
Dtype = Annotated[
    Literal["float32", "bfloat16"],
    typer.Option(help="Number format; bfloat16 is mixed precision, which few CPUs support."),
]


@contextmanager
def timing(name: str) -> Iterator[Callable[[str, float], None]]:
    """Show a progress bar; yield a function that sets its text and completed fraction."""
    print("starting TensorFlow", file=sys.stderr)
    quiet_tensorflow()
    screen = Console(stderr=True)
    with Progress(
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    ) as progress:
        task = progress.add_task(f"building {name}", total=1)
        yield lambda what, share: progress.update(task, description=what, completed=share)


def start_torch() -> None:
    """Import torchvision. Call this before importing TensorFlow; the reverse order crashes."""
    print("starting torch", file=sys.stderr)
    importlib.import_module("torchvision")


def quartiles_of(ratio: Any) -> str:
    """Return the quartiles of a ratio as text."""
    return f"quartiles {ratio.lower_quartile:.3f} to {ratio.upper_quartile:.3f}"
