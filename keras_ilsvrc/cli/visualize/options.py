"""Options of the `visualize` commands, and functions to load a model and to save a figure."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.status import Status

from keras_ilsvrc.cli.options import check_file, complete_runs
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.utils.streams import quiet_tensorflow

if TYPE_CHECKING:
    from keras_ilsvrc.runs.inspection import Inspection

Run = Annotated[
    Path | None,
    typer.Option("--run", help="Directory of a finished run.", autocompletion=complete_runs),
]
Model = Annotated[
    Path | None, typer.Option("--model", help="Model file (.keras) to load instead of a run.")
]
Preprocess = Annotated[
    str | None,
    typer.Option(
        help="Preprocessing for --model: caffe, tf or torch (default: pixels from 0 to 255)."
    ),
]
Source = Annotated[
    str | None,
    typer.Option(
        help="Data set with the images, for example folder:PATH (default: the run's test images)."
    ),
]
Images = Annotated[list[Path] | None, typer.Option("--image", help="Image file; repeatable.")]
Numbers = Annotated[
    list[int] | None,
    typer.Option("--number", help="Index of an image in the data set; repeatable."),
]
Layer = Annotated[
    str, typer.Option(help="Name of a layer, for example conv5, or conv3_1/conv_2 inside a unit.")
]
SomeLayer = Annotated[
    str | None,
    typer.Option(help="Name of a layer (default: the last one with feature maps larger than 1x1)."),
]
Maps = Annotated[str | None, typer.Option(help="Indices of feature maps, for example 0,3,17.")]
Class = Annotated[
    str | None,
    typer.Option(
        "--class", help="Name or index of the class to explain (default: the predicted class)."
    ),
]
Count = Annotated[int | None, typer.Option(min=1, help="Maximum number of images to use.")]
Out = Annotated[Path | None, typer.Option(help="PNG file to write (default: COMMAND.png).")]


def saver(
    verb: str, out: Path | None, images: Sequence[Path] | None = None
) -> Callable[[Any], None]:
    """Check --out, and return a function that saves a figure there and prints the path.

    The figure must not replace one of the `images`, from which it is drawn.
    """
    path = out or Path(f"{verb}.png")
    check_file("--out", path, ".png")
    if path.resolve() in {image.resolve() for image in images or ()}:
        raise InputError(f"--out: the picture would replace the image {path}; choose another file")

    def save(figure: Any) -> None:
        from keras_ilsvrc.visualize import figures

        try:
            figures.save(figure, path)
        except OSError as error:
            raise InputError(f"--out is {path}, which cannot be written: {error}") from error
        print(path)

    return save


def starting() -> Status:
    return Console(stderr=True).status("starting TensorFlow")


def viewed(
    run: Path | None,
    model: Path | None,
    preprocess: str | None,
    source: str | None,
    images: Sequence[Path | int] = (0,),
) -> "Inspection":
    """Load a run or a .keras file, and return its model with the images for inspecting it.

    The run's test images are opened only if there is an index among `images`.
    """
    if (run is None) == (model is None):
        raise InputError("expected either --run DIRECTORY or --model FILE; pass one of them")
    if run is not None and preprocess is not None:
        raise InputError(
            "--preprocess is for --model only; a run uses the preprocessing of its recipe"
        )
    quiet_tensorflow()
    from keras_ilsvrc.runs import inspection

    if model is not None:
        return inspection.of_file(model, preprocess, source)
    assert run is not None
    return inspection.of_run(run, source, any(isinstance(one, int) for one in images))


def sources_of(images: list[Path] | None, numbers: list[int] | None) -> list[Path | int]:
    return [*(images or ()), *(numbers or ())] or [0]


def parse_numbers(text: str | None) -> list[int] | None:
    """Parse `--maps`: whole numbers separated by commas."""
    if text is None:
        return None
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise InputError(f"--maps is {text!r}; expected whole numbers, for example 0,3,17")
    return [int(word) for word in words]
