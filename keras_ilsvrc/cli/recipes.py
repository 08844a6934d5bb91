"""The `recipes` command, which lists the recipes of this package."""

import fnmatch
import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console

from keras_ilsvrc.cli.options import Json, complete_all_recipes, print_next, table_of
from keras_ilsvrc.rcnn import recipe as detectors
from keras_ilsvrc.recipe import Recipe, load, published
from keras_ilsvrc.utils.errors import InputError, nearest

ERRORS = ("top1_error", "top5_error")
HEADINGS = ("recipe", "net", "images", "length", "top-1 %", "top-5 %", "from")
MEAN = "voc07_map"
DETECTORS = ("detector", "net", "images", "layer", "VOC 2007 %", "from")
LEFT = ("recipe", "detector", "net", "images", "layer", "from")  # left-aligned columns


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
    _print(HEADINGS, rows, ERRORS)
    _print(DETECTORS, found, (MEAN,))
    for row in rows + found:
        if row["measured"]:
            print(f"{row['recipe']}: measured {row['measured']}")
    print_next("new", "--from", names[0], "--out", "mine.toml")


def _print(headings: Sequence[str], rows: Sequence[dict[str, Any]], numbers: Sequence[str]) -> None:
    """Print a table of recipes: the first four facts of each, its numbers, and their source."""
    if not rows:
        return
    table = table_of(headings, LEFT)
    for column in table.columns[:2]:  # never wrap or shorten names that users may copy
        column.no_wrap, column.overflow = True, "ignore"
    for row in rows:
        expected = ("" if row[key] is None else f"{row[key]:.2f}" for key in numbers)
        given = any(row[key] is not None for key in numbers)
        source = "our runs" if row["measured"] else "the paper" if given else ""
        table.add_row(*(row[key] for key in list(row)[:4]), *expected, source)
    Console().print(table, markup=False)


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
