"""Exit statuses, options and checks that several commands share."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from keras_ilsvrc.errors import InputError

# Exit statuses. 75 is EX_TEMPFAIL of sysexits.h, and means: run again with --resume.
FAULT, BAD_INPUT, STOPPED, DIVERGED, INTERRUPTED = 1, 2, 75, 76, 130

Replicas = Annotated[
    int | None,
    typer.Option(
        max=4096,
        help="Number of devices to mirror the model on: GPUs (default: all), or, on a machine "
        "without GPUs, logical CPU devices (default: one).",
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        help="Data set to use instead of the recipe's, with the same classes, for example "
        "folder:PATH after the images were moved."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def table_of(headings: Iterable[str], left: Collection[str], **options: Any) -> Table:
    """Return a table without borders. Columns in `left` are left-aligned, others right-aligned."""
    made = Table(box=None, pad_edge=False, **options)
    for heading in headings:
        made.add_column(heading, justify="left" if heading in left else "right", overflow="fold")
    return made


def check_file(option: str, path: Path, suffix: str) -> None:
    """Raise InputError if an output file has the wrong suffix or its folder does not exist."""
    if path.suffix != suffix:
        raise InputError(f"{option} is {path}; expected a file that ends in {suffix}")
    if not path.parent.is_dir():
        raise InputError(f"{option} is {path}; there is no folder {path.parent}")


def check_replicas(replicas: int | None) -> None:
    if replicas is not None and replicas < 1:
        raise InputError(f"--replicas is {replicas}; expected at least 1")
