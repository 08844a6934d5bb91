"""The commands `visualize health` and `visualize correspondence`, which print tables."""

import dataclasses
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from keras_ilsvrc.cli.options import Json, table_of
from keras_ilsvrc.cli.visualize.options import (
    Count,
    Layer,
    Model,
    Preprocess,
    Run,
    Source,
    starting,
    viewed,
)
from keras_ilsvrc.utils.bars import bar
from keras_ilsvrc.utils.errors import InputError

WIDTH = 120

Parts = Annotated[
    Path,
    typer.Option(
        help="TOML file of object parts, with one box per image: "
        "nose = \\[\\[top, left, height, width], ...]."
    ),
]
PartImages = Annotated[
    list[Path],
    typer.Option("--image", help="Image file; repeat the option for at least two images."),
]


def correspondence(
    layer: Layer,
    parts: Parts,
    image: PartImages,
    run: Run = None,
    model: Model = None,
    preprocess: Preprocess = None,
    as_json: Json = False,
) -> None:
    """Print whether covering an object part changes the features of all images in the same way."""
    boxes = _parts(parts, len(image))
    with starting():
        view = viewed(run, model, preprocess, None, image)
        import numpy as np

        from keras_ilsvrc.visualize.correspondence import correspondence as measure
        from keras_ilsvrc.visualize.correspondence import random_boxes

        images = np.stack([view.image(name) for name in image])
        size = np.median([box[2:] for rows in boxes.values() for box in rows], 0).astype(int)
        boxes["random"] = random_boxes(
            len(images), tuple(map(int, size)), images.shape[1:3], seed=0
        )
        found = {
            part: measure(view.model, images, where, layer, view.grey())
            for part, where in boxes.items()
        }
    if as_json:
        print(json.dumps({part: dataclasses.asdict(row) for part, row in found.items()}, indent=2))
        return
    table = table_of(("part", "signs that differ", "standard deviation", "pairs"), ("part",))
    for part, row in found.items():
        table.add_row(part, f"{row.mean:.3f}", f"{row.std:.3f}", str(row.pairs))
    Console(width=WIDTH).print(table, markup=False)


def health(
    run: Run = None,
    model: Model = None,
    preprocess: Preprocess = None,
    source: Source = None,
    images: Count = 1000,
    as_json: Json = False,
) -> None:
    """Count dead, duplicate, low- and high-frequency filters per layer, and measure aliasing."""
    with starting():
        view = viewed(run, model, preprocess, source)
        from keras_ilsvrc.visualize.health import health as examine
    with bar("reading images") as progress:
        batches = view.batches(images, progress) if view.split is not None else None
        found = examine(view.model, batches, view.batch_size)
    if as_json:
        print(json.dumps([dataclasses.asdict(row) for row in found], indent=2))
        return
    measures = ("kernel", "stride", "filters", "dead", "alike", "low", "high", "aliased")
    table = table_of(("layer", *measures), ("layer",))
    for row in found:
        kernel = "x".join(map(str, row.kernel or ()))
        numbers = (row.stride, row.filters, row.dead, row.duplicates, row.low, row.high)
        cells = ["" if value is None else str(value) for value in numbers]
        aliased = "" if row.aliased is None else f"{row.aliased:.0%}"
        table.add_row(row.layer, kernel, *cells, aliased)
    Console(width=WIDTH).print(table, markup=False)
    for row in found:
        for hint in row.hints:
            print(f"{row.layer}: {hint}")


def _parts(path: Path, images: int) -> dict[str, Any]:
    """Read the boxes of object parts from a TOML file: for each part, one box per image."""
    try:
        parts = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--parts is {path}, which cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    for name, rows in parts.items():
        good = isinstance(rows, list) and all(
            isinstance(row, list) and len(row) == 4 and all(isinstance(x, int) for x in row)
            for row in rows
        )
        if not good or len(rows) != images:
            raise InputError(
                f"{path}: {name} is {str(rows)[:60]}; expected [top, left, height, width] for each "
                f"of the {images} images"
            )
    if "random" in parts:
        raise InputError(f"{path}: the name random is reserved for random boxes; rename this part")
    if not parts:
        raise InputError(
            f"{path} has no object part; add one, e.g. nose = [[top, left, height, width], ...]"
        )
    return parts
