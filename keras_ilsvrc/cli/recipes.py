"""The `recipes` command, which lists the recipes of this package."""

import fnmatch
import json
from typing import Annotated, Any

import typer
from rich.console import Console

from keras_ilsvrc.cli.options import Json, complete_recipes, print_next, table_of
from keras_ilsvrc.recipe import Recipe, load, published
from keras_ilsvrc.utils.errors import InputError, nearest

ERRORS = ("top1_error", "top5_error")
HEADINGS = ("recipe", "net", "images", "length", "top-1 %", "top-5 %", "from")


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
    table = table_of(HEADINGS, ("recipe", "net", "images", "from"))
    for column in table.columns[:2]:  # never wrap or shorten names that users may copy
        column.no_wrap, column.overflow = True, "ignore"
    for row in rows:
        errors = ("" if row[key] is None else f"{row[key]:.2f}" for key in ERRORS)
        source = "our runs" if row["measured"] else "the paper" if row["protocol"] else ""
        table.add_row(*(row[key] for key in list(row)[:4]), *errors, source)
    Console().print(table, markup=False)
    for row in rows:
        if row["measured"]:
            print(f"{row['recipe']}: measured {row['measured']}")
    print_next("new", "--from", names[0], "--out", "mine.toml")


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
