"""What the verbs of `visualize` share: options, the net that is looked at, the file it goes to."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from keras_ilsvrc.cli.options import check_file
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.terminal.streams import quiet_tensorflow

if TYPE_CHECKING:
    from keras_ilsvrc.runs.inspection import Inspection

Run = Annotated[Path | None, typer.Option("--run", help="Directory of a finished run.")]
Model = Annotated[Path | None, typer.Option("--model", help="A .keras file, in place of a run.")]
Preprocess = Annotated[
    str | None,
    typer.Option(help="With --model: caffe, tf or torch; 0 to 255 if not given."),
]
Source = Annotated[
    str | None,
    typer.Option(help="Images, as folder:PATH; those that the run was tested on if not given."),
]
Images = Annotated[list[Path] | None, typer.Option("--image", help="An image file; repeatable.")]
Numbers = Annotated[
    list[int] | None, typer.Option("--number", help="Of an image of the source; repeatable.")
]
Layer = Annotated[str, typer.Option(help="As conv5, or conv3_1/conv_2 inside a unit.")]
SomeLayer = Annotated[
    str | None, typer.Option(help="By default the last one with maps larger than 1x1.")
]
Maps = Annotated[str | None, typer.Option(help="Numbers of maps, as 0,3,17.")]
Count = Annotated[int | None, typer.Option(min=1, help="Of the source, only so many images.")]
Out = Annotated[Path | None, typer.Option(help="The PNG; named after the verb if not given.")]


@contextmanager
def drawn(verb: str, out: Path | None) -> Iterator[Path]:
    """Where the picture goes, said when it is there."""
    path = out or Path(f"{verb}.png")
    check_file("--out", path, ".png")
    try:
        yield path
    except OSError as error:
        raise InputError(f"--out is {path}, which cannot be written: {error}") from error
    print(path)


@contextmanager
def starting() -> Iterator[None]:
    with Console(stderr=True).status("starting TensorFlow"):
        yield


def viewed(
    run: Path | None, model: Path | None, preprocess: str | None, source: str | None
) -> "Inspection":
    """The net that is looked at, and its images."""
    if (run is None) == (model is None):
        raise InputError("give the directory of a --run, or a --model, one of them")
    if run is not None and preprocess is not None:
        raise InputError("--preprocess is for --model; a run has the ops of its recipe")
    quiet_tensorflow()
    from keras_ilsvrc.runs import inspection

    if model is not None:
        return inspection.of_file(model, preprocess, source)
    assert run is not None
    return inspection.of_run(run, source)


def sources_of(images: list[Path] | None, numbers: list[int] | None) -> list[Path | int]:
    return [*(images or ()), *(numbers or ())] or [0]


def numbers_of(text: str | None) -> list[int] | None:
    """Whole numbers between commas."""
    if text is None:
        return None
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise InputError(f"--maps is {text!r}; expected numbers, as 0,3,17")
    return [int(word) for word in words]
