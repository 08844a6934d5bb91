"""The `recipes` command, which lists the recipes of this package."""

import fnmatch
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from keras_ilsvrc.cli.options import Json, complete_all_recipes, print_next, table_of
from keras_ilsvrc.rcnn import recipe as detectors
from keras_ilsvrc.recipe import Recipe, load, published
from keras_ilsvrc.utils.errors import InputError, nearest

ERRORS = ("top1_error", "top5_error")
HEADINGS = ("recipe", "net", "images", "steps", "error %")
LEGEND = "error %: top-1, or top-1/top-5; p: in the paper, o: in our runs"
DETECTORS = ("detector", "net", "images", "layer", "mAP %")
PRECISION = "mAP %: mean average precision of VOC 2007; p: in the paper, o: in our runs"
MEAN = "voc07_map"
LEAST = 100  # width of the table in characters on narrower terminals


def recipes(
    pattern: Annotated[
        str,
        typer.Argument(
            help="Shell pattern for recipe names, for example '*_digits'.",
            autocompletion=complete_all_recipes,
        ),
    ] = "*",
    as_json: Json = False,
) -> None:
    """List the recipes, with their networks, images and expected errors.

    Recipes of detectors come last, with their expected mean average precisions on VOC 2007.
    """
    classifiers, others = published(), detectors.recipes()
    names = [x for x in (*classifiers, *others) if fnmatch.fnmatchcase(x, pattern)]
    if not names:
        hint = nearest(pattern, (*classifiers, *others)) or "`keras-ilsvrc recipes` lists all"
        raise InputError(f"no recipe matches {pattern!r}; {hint}")
    rows = [_row(x, load(classifiers[x])) for x in names if x in classifiers]
    found = [_detector(x, detectors.load(others[x])) for x in names if x in others]
    if as_json:
        print(json.dumps(rows + found, indent=2))
        return
    if rows:
        cells = ((row["length"].removesuffix(" steps"), _expected(row, ERRORS)) for row in rows)
        _print(HEADINGS, rows, cells, LEGEND)
    if found:
        cells = ((row["layer"], _expected(row, (MEAN,))) for row in found)
        _print(DETECTORS, found, cells, PRECISION)
    for row in rows + found:
        if row["measured"]:
            print(f"{row['recipe']}: measured {row['measured']}")
    print_next("new", "--from", names[0], "--out", "mine.toml")


def _print(
    headings: tuple[str, ...],
    rows: list[dict[str, Any]],
    cells: Iterable[tuple[str, str]],
    legend: str,
) -> None:
    """Print a table of recipes with their nets, images and two other cells, and a legend."""
    table = table_of(headings, headings[:3])
    for column in table.columns[:2]:  # never wrap or shorten names that users may copy
        column.no_wrap, column.overflow = True, "ignore"
    for row, others in zip(rows, cells):
        net = "" if row["net"] == row["recipe"] else row["net"]
        table.add_row(row["recipe"], net, _short(row["images"]), *others)
    Console(width=max(LEAST, Console().width)).print(table, markup=False)
    print(legend)


def _short(dataset: str) -> str:
    """Return the name of a dataset without its kind, folder and version."""
    path = Path(dataset.partition(":")[2] or dataset)
    return path.name if path.is_absolute() else path.parts[0]


def _expected(row: dict[str, Any], keys: tuple[str, ...]) -> str:
    """Return the expected numbers of a recipe and their origin, for example `40.70/18.20 p`."""
    values = ["" if row[key] is None else f"{row[key]:.2f}" for key in keys]
    if not any(values):
        return ""
    first, *rest = values
    text = "/".join([first or "-", *rest]) if any(rest) else first
    return f"{text} {'o' if row['measured'] else 'p'}"


def _row(name: str, recipe: Recipe) -> dict[str, Any]:
    """Return facts about a recipe. Expected errors are in %, or None if the recipe has none."""
    expect = recipe.expect
    return {
        "recipe": name,
        "net": recipe.net,
        "images": recipe.data.dataset,
        "length": recipe.schedule.length,
        **{key: getattr(expect, key, None) for key in (*ERRORS, "protocol", "measured")},
    }


def _detector(name: str, recipe: detectors.DetectionRecipe) -> dict[str, Any]:
    """Return facts about a recipe of a detector. Its expected average precision is in %."""
    expect = recipe.expect
    return {
        "recipe": name,
        "net": recipe.features.net,
        "images": recipe.data.dataset,
        "layer": recipe.features.layer,
        **{key: getattr(expect, key, None) for key in (MEAN, "measured")},
    }
