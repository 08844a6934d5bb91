"""The `new` command, which writes a recipe for the user's own images, or copies a recipe."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from keras_ilsvrc import recipe as recipes
from keras_ilsvrc.cli.options import (
    check_file,
    command,
    complete_all_recipes,
    complete_nets,
    print_next,
)
from keras_ilsvrc.nets import info
from keras_ilsvrc.nets.pretrained import find_source
from keras_ilsvrc.rcnn.recipe import recipes as detectors
from keras_ilsvrc.recipe.tables import read_toml
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import InputError, file_errors
from keras_ilsvrc.utils.streams import quiet_tensorflow

if TYPE_CHECKING:
    from keras_ilsvrc.weights.sources.source import Source


def new(
    folder: Annotated[
        str | None, typer.Argument(help="Your images: a folder, a CSV file, or another data set.")
    ] = None,
    net: Annotated[
        str, typer.Option(help="Network to train.", autocompletion=complete_nets)
    ] = "resnet18",
    weights: Annotated[
        str | None,
        typer.Option(help="Weights to fine-tune: a file, or a source that `info NET` lists."),
    ] = None,
    source_recipe: Annotated[
        str | None,
        typer.Option("--from", help="Recipe to copy instead.", autocompletion=complete_all_recipes),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="TOML file to write (default: NAME.toml, after the images or the recipe)."
        ),
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Maximum hours of training on this machine (default: 0.5 to 24, depending on the "
            "number of images); more if 2,000 steps (400 with --weights) need more.",
        ),
    ] = None,
) -> None:
    """Write a recipe for your own images, or copy a recipe.

    With --weights, the recipe fine-tunes trained weights. It trains the new classifier first, and
    then all layers, or only the last layers if there are few images.
    """
    if weights is not None and folder is None:
        raise InputError("--weights needs a folder of images; name it, or leave out --weights")
    if (folder is None) == (source_recipe is None):
        raise InputError("expected either a folder of images, or --from and the name of a recipe")
    if source_recipe is not None:
        found = recipes.find(source_recipe, detectors())
        out = out or Path(f"{found.stem}.toml")
        # Only recipes of detectors have a table `features`.
        group = ["detect"] if "features" in read_toml(found) else []
        _write(out, lambda: files.read(found, files.SMALL).decode())
    else:
        group = []
        info(net)
        place = Path(os.path.abspath((folder or "").partition(":")[2] or folder or ""))
        name = place.stem if place.is_file() else place.name
        out = out or Path(re.sub(r"[^\w.-]+", "-", name) + ".toml")
        published = None
        if weights is not None:
            published = find_source(info(net).name.partition("[")[0], weights)
            weights = weights if published else os.path.abspath(weights)
        _write(out, lambda: _composed(folder or "", net, hours, out, weights, published))
    print_next(*group, *_training(out))


def _training(out: Path) -> list[object]:
    """Return the arguments of the `keras-ilsvrc` command that trains a recipe."""
    return ["train", out, "--out", Path("runs") / out.stem]


def _write(out: Path, text: Callable[[], str]) -> None:
    """Call a function that returns the text of a recipe, and write the text to a new file.

    Raises:
        InputError: If the file exists, or cannot be written.
    """
    check_file("--out", out, ".toml")
    if out.exists() or out.is_symlink():
        raise InputError(f"{out}: already exists; choose another --out, or remove it")
    content = text()
    with file_errors(out, "written"), files.whole(out) as part:
        part.write_text(content, encoding="utf-8")


def _absolute(name: str) -> str:
    """Return the name of a data source with an absolute path. An unknown name means a folder."""
    from keras_ilsvrc.data.sources import SOURCES, source_name

    name = source_name(name)
    if ":" not in name and not any(form.written == name for form in SOURCES.values()):
        return f"folder:{name}"  # if there is no such folder, opening it raises an error
    kind, _, at = name.partition(":")
    return f"{kind}:{os.path.abspath(at)}" if at and Path(at).exists() else name


def _composed(
    folder: str,
    net: str,
    hours: float | None,
    out: Path,
    weights: str | None,
    published: "Source | None",
) -> str:
    """Return the text of a recipe for a data set, and print the chosen settings."""
    with Console(stderr=True).status("starting TensorFlow"):
        quiet_tensorflow()
        from keras_ilsvrc.data.source import Shares
        from keras_ilsvrc.data.sources import open_source
        from keras_ilsvrc.runs.new import compose
        from keras_ilsvrc.weights.download import fetch

    name, channels = _absolute(folder), info(net).input_shape[-1]
    # With shares of 0, `source` has only the splits of the data set itself.
    source = open_source(name, channels, split=Shares(0, 0))
    for note in source.notes:
        print(note, file=sys.stderr)
    if published:
        fetch(published)
    with Console(stderr=True).status(f"measuring the speed of {net}"):
        text, summary = compose(source, net, hours, command(*_training(out)), weights)
    print(f"{out}: {summary}")
    return text
