"""The `recipes` command, which lists the recipes of this package."""

import fnmatch
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from keras_ilsvrc.cli.options import Json, complete_recipes, print_next, table_of
from keras_ilsvrc.recipe import Recipe, load, published
from keras_ilsvrc.utils.errors import InputError, nearest

ERRORS = ("top1_error", "top5_error")
HEADINGS = ("recipe", "net", "images", "steps", "error %")
LEGEND = "error %: top-1, or top-1/top-5; p: in the paper, o: in our runs"
LEAST = 100  # width of the table in characters on narrower terminals


def recipes(
    pattern: Annotated[
        str,
        typer.Argument(
            help="Shell pattern for recipe names, for example '*_digits'.",
            autocompletion=complete_recipes,
        ),
    ] = "*",
    as_json: Json = False,
) -> None:
    """List the recipes, with their networks, images and expected errors."""
    known = published()
    names = [name for name in known if fnmatch.fnmatchcase(name, pattern)]
    if not names:
        hint = nearest(pattern, known) or "`keras-ilsvrc recipes` lists all"
        raise InputError(f"no recipe matches {pattern!r}; {hint}")
    rows = [_row(name, load(known[name])) for name in names]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = table_of(HEADINGS, ("recipe", "net", "images"))
    for column in table.columns[:2]:  # never wrap or shorten names that users may copy
        column.no_wrap, column.overflow = True, "ignore"
    for row in rows:
        net = "" if row["net"] == row["recipe"] else row["net"]
        steps = row["length"].removesuffix(" steps")
        table.add_row(row["recipe"], net, _short(row["images"]), steps, _errors(row))
    Console(width=max(LEAST, Console().width)).print(table, markup=False)
    print(LEGEND)
    for row in rows:
        if row["measured"]:
            print(f"{row['recipe']}: measured {row['measured']}")
    print_next("new", "--from", names[0], "--out", "mine.toml")


def _short(dataset: str) -> str:
    """Return the name of a dataset without its kind, folder and version."""
    path = Path(dataset.partition(":")[2] or dataset)
    return path.name if path.is_absolute() else path.parts[0]


def _errors(row: dict[str, Any]) -> str:
    """Return the expected errors of a recipe and their origin, for example `40.70/18.20 p`."""
    top1, top5 = ("" if row[key] is None else f"{row[key]:.2f}" for key in ERRORS)
    origin = "o" if row["measured"] else "p" if row["protocol"] else ""
    return f"{top1 or '-'}/{top5} {origin}" if top5 else f"{top1} {origin}".strip()


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
