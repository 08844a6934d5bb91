"""Exit statuses, options and checks that several commands share."""

import shlex
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from keras_ilsvrc.nets import NETS
from keras_ilsvrc.rcnn.recipe import recipes as detectors
from keras_ilsvrc.recipe import published
from keras_ilsvrc.runs.reading import RUN
from keras_ilsvrc.training.cluster import LOST, LostWorker
from keras_ilsvrc.training.stopping import Diverged, Stopped, ignore_signals
from keras_ilsvrc.utils.errors import InputError, printable

# Exit statuses. 75 is EX_TEMPFAIL in sysexits.h; the user can continue with --resume.
FAULT, BAD_INPUT, STOPPED, DIVERGED, INTERRUPTED = 1, 2, 75, 76, 130

# Commands to suggest at the end of a run, by recipe.
AFTER = {
    "quickstart": (
        ("story", "--plot", "story.png"),
        ("claim", "R18", "--quick"),
        ("compare", "alexnet", "googlenet", "vgg19", "resnet152"),
        ("new", "photos/", "--net", "resnet18"),
    )
}

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


@contextmanager
def exit_status(advice: str, labels: Sequence[object] = ()) -> Iterator[None]:
    """Convert an exception that ends training early into a line on stderr and an exit status.

    Args:
        advice: How to continue after a signal.
        labels: The last one, if any, is the start of the line.
    """
    try:
        yield
        return
    except Stopped as error:
        ignore_signals()  # a second signal must not change the exit status
        status, line = STOPPED, f"{error}; {advice}"
    except Diverged as error:
        status, line = DIVERGED, f"diverged at {error}"
    except LostWorker as error:  # its message names the worker
        status, line, labels = LOST, str(error), ()
    print(*labels[-1:], line, sep=": ", file=sys.stderr)
    raise typer.Exit(status)


def check_file(option: str, path: Path, *suffixes: str) -> None:
    """Raise InputError if an output file has no suitable suffix or its folder does not exist."""
    if not path.name.endswith(suffixes) or path.name in suffixes:
        raise InputError(
            f"{option} is {path}; expected a file that ends in {' or '.join(suffixes)}"
        )
    if not path.parent.is_dir():
        raise InputError(f"{option} is {path}; there is no folder {path.parent}")


def check_replicas(replicas: int | None) -> None:
    if replicas is not None and replicas < 1:
        raise InputError(f"--replicas is {replicas}; expected at least 1")


def command(*words: object) -> str:
    """Return a `keras-ilsvrc` command as a line of shell code."""
    return printable(shlex.join(["keras-ilsvrc", *map(str, words)]))


def print_next(*words: object) -> None:
    """Print a command as a suggestion of what to run next."""
    print(f"next: {command(*words)}")


def print_after(recipe: str) -> None:
    """Print the commands to suggest at the end of a run of this recipe."""
    for words in AFTER.get(recipe, ()):
        print_next(*words)


def complete_nets() -> list[str]:
    """Return the names of networks, for shell completion."""
    return list(NETS)


def complete_recipes() -> list[str]:
    """Return the names of recipes and of TOML files in the working directory, for completion."""
    return [*map(str, Path().glob("*.toml")), *published()]


def complete_all_recipes() -> list[str]:
    """Return the names that `complete_recipes` returns, and those of detectors' recipes."""
    return [*complete_recipes(), *detectors()]


def complete_runs() -> list[str]:
    """Return the run directories in the folder `runs`, for completion."""
    return [str(path.parent) for path in Path().glob(f"runs/*/{RUN}")]
