"""The `draw` command, which draws networks as in the papers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from keras_ilsvrc.cli.options import complete_nets
from keras_ilsvrc.nets import info
from keras_ilsvrc.utils.errors import printable
from keras_ilsvrc.utils.streams import quiet_tensorflow

if TYPE_CHECKING:
    import keras


def draw(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAMES",
            help="Networks to draw side by side. Each one is a name, for example resnet34 or "
            "'googlenet\\[auxiliary=True]', a file that ends in .keras, or the directory of a "
            "finished run.",
            autocompletion=complete_nets,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="File to write: .svg, .png or .pdf (default: FIRST_NAME.svg)."),
    ] = None,
    opened: Annotated[
        bool, typer.Option("--open", help="Also draw the layers inside units, modules and models.")
    ] = False,
    volumes: Annotated[
        bool, typer.Option("--volumes", help="Draw the outputs of layers as boxes, to scale.")
    ] = False,
    upward: Annotated[
        bool | None,
        typer.Option(
            "--upward/--downward",
            help="Draw the input at the bottom, or at the top (default: at the bottom for networks "
            "with concatenated branches, for example googlenet).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Draw networks as in the papers: as graphs of layers, or as volumes to scale."""
    places = [Path(name) for name in names]
    for name, place in zip(names, places):
        if not _is_path(place):
            info(name)
    path = out or Path(f"{places[0].stem}.svg")
    quiet_tensorflow()
    with Console(stderr=True).status("starting TensorFlow"):
        from keras_ilsvrc.visualize.drawing import check_picture, draw_model

        check_picture("--out", path)
        models = [_model(name, place) for name, place in zip(names, places)]
        draw_model(models, path, opened, volumes, upward)
    print(printable(str(path)))


def _is_path(place: Path) -> bool:
    return place.suffix == ".keras" or place.is_dir()


def _model(name: str, place: Path) -> "keras.Model":
    """Return the model of a file or run, or build the net of this name without initial weights."""
    import keras

    if place.suffix == ".keras":
        from keras_ilsvrc.nets.loading import load_model

        return load_model(place, compile=False)
    if place.is_dir():
        from keras_ilsvrc.runs.evaluate import without_images

        return without_images(place).model
    from keras_ilsvrc.nets.build import build

    with keras.StatelessScope(initialize_variables=False):
        return build(name)
