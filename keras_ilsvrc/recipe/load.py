"""Find, read and validate recipe files. Names of networks and splits are not checked here."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from keras_ilsvrc.recipe.faults import Fault, described, explain
from keras_ilsvrc.recipe.schema import Recipe
from keras_ilsvrc.utils.errors import InputError, nearest
from keras_ilsvrc.utils.files import SMALL, read

DEPTH = 16  # maximum nesting of tables and lists; a recipe needs four levels


def find(name: str, others: Mapping[str, Path] | None = None) -> Path:
    """Find a recipe file by its path, or a recipe of the package by its name.

    Args:
        name: Path of a recipe file, or name of a recipe in the package, for example `alexnet`.
        others: Recipes of another kind to search too, by name.

    Raises:
        InputError: If there is no such recipe; the message suggests similar names.
    """
    with suppress(OSError):  # the name may be too long for a path
        if Path(name).is_file():
            return Path(name)
    known = {**published(), **(others or {})}
    if name in known:
        return known[name]
    hint = nearest(name, [*map(str, Path().glob("*.toml")), *known])
    raise InputError(
        f"{name[:200]}: no such recipe file, and no such recipe in the package; "
        + f"{hint} `keras-ilsvrc recipes` lists all".strip()
    )


def published(folder: str = "") -> dict[str, Path]:
    """Return the recipes in the package by name, or the files in a folder of the recipes."""
    package = Path(__file__).parent.parent
    homes = [x / "recipes" for x in (package, package.parent)]  # installed package, Git checkout
    home = next((x for x in homes if x.is_dir()), package)
    return {file.stem: file for file in sorted((home / folder).glob("*.toml"))}


def load(
    path: Path,
    overrides: Sequence[str] = (),
    check: Callable[[Mapping[str, Any]], list[Fault]] | None = None,
) -> Recipe:
    """Read a recipe file, apply overrides, and validate the result.

    Args:
        path: Path of the TOML file.
        overrides: Changes such as `"schedule.steps=100"`: a dotted key, then a TOML value or a
            word without quotes.
        check: Function that returns further faults of the content of a recipe.

    Raises:
        InputError: If the file is not TOML, or keys are unknown, missing, of the wrong type or out
            of range. The message has one line for each of them, with the line of the file.
    """
    content = read(path, SMALL)
    try:
        text = content.decode("utf-8-sig")  # some editors write a byte order mark
        table = parse(text)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8: {error}; save the file as UTF-8") from error
    except ValueError as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    for override in overrides:
        set_value(table, override)
    recipe, found = _validated(table)
    if recipe and recipe.first:
        _, faults = _validated(recipe.first_table())
        found = [fault._replace(place=("first", *fault.place)) for fault in faults]
    found += check(table) if check else []
    if found or not recipe:
        raise InputError(*described(found, path, text, overrides))
    return recipe


def changed(recipe: Recipe, changes: Mapping[str, Any], label: str) -> Recipe:
    """Return a recipe with other values for some keys.

    Args:
        recipe: Recipe to change.
        changes: New values by dotted key. A part of a key may be an index, as in
            `"data.train_ops.1.size"`.
        label: Source of the changes, named at the start of error messages.

    Raises:
        InputError: If a key is unknown, or its value is of the wrong type or out of range. The
            message has one line for each fault.
    """
    table = recipe.table()
    for key, value in changes.items():
        *parents, last = _steps(key)
        inner: Any = table
        for step in parents:
            inner = _inside(inner, step, f"{label}: {key}")
        if not isinstance(inner, dict) or not isinstance(last, str):
            _inside(inner, last, f"{label}: {key}")
        inner[last] = value
    made, found = _validated(table)
    if found or not made:
        raise InputError(*(f"{label}: {fault}" for fault in found))
    return made


def value_of(recipe: Recipe, key: str) -> Any:
    """Return the value of a dotted key in a recipe, or None if the recipe does not set it."""
    found: Any = recipe.table()
    for step in _steps(key):
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            return None
    return found


def scaled(value: Any, factor: float, label: str = "") -> Any:
    """Return a learning rate, or a list of [step, rate], with all rates multiplied by a factor."""
    if isinstance(value, list) and all(isinstance(x, list) and len(x) == 2 for x in value):
        return [[step, rate * factor] for step, rate in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value * factor
    raise InputError(f"{label}: scale needs a number or a list of [step, rate] in the recipe")


def _steps(key: str) -> list[str | int]:
    return [int(step) if step.isdigit() else step for step in key.split(".")]


def _inside(table: Any, step: str | int, label: str) -> Any:
    """Return the value under a key or index. If a table lacks the key, add an empty table."""
    if isinstance(table, dict) and isinstance(step, str):
        return table.setdefault(step, {})
    if isinstance(table, list) and isinstance(step, int) and step < len(table):
        return table[step]
    kinds: dict[type, str] = {list: "a list", dict: "a table"}
    kind = kinds.get(type(table), "a single value")
    size = f"; expected an index below {len(table)}" if isinstance(table, list) else ""
    raise InputError(f"{label}: there is no {step!r} in {kind}{size}")


def _validated(table: dict[str, Any]) -> tuple[Recipe | None, list[Fault]]:
    """Parse a table; return (recipe, faults). The recipe is None if there are faults."""
    try:
        recipe, errors = Recipe.model_validate(table), []
    except ValidationError as error:
        recipe, errors = None, error.errors(include_url=False)
    found = explain(errors, table)
    return None if found else recipe, found


def set_value(table: dict[str, Any], override: str) -> None:
    """Change a value of a parsed TOML file.

    Args:
        table: Content of the file; changed in place.
        override: Change as `key=value`: a dotted key, then a TOML value or a word without quotes.

    Raises:
        InputError: If the override is not `key=value`, or a part of its key is not a table.
    """
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {override}: expected key=value, e.g. seed=1")
    *parents, last = key.strip().split(".")
    if len(parents) > DEPTH:
        raise InputError(
            f"--set {key[:60]}...: the key has {len(parents) + 1} parts; expected at most {DEPTH}"
        )
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise InputError(f"--set {override}: {parent} is a value, not a table")
    try:
        parsed = parse(f"value = {text}")
    except tomllib.TOMLDecodeError:
        parsed = {"value": text}
    except ValueError as error:
        raise InputError(f"--set {key}: {error}") from error
    if len(parsed) > 1:
        raise InputError(f"--set {key}: {text!r} is more than one value; use one --set per key")
    table[last] = parsed["value"]


def parse(text: str) -> dict[str, Any]:
    """Parse TOML text into a dict.

    Raises:
        ValueError: If the text is not TOML, or is nested deeper than `DEPTH`.
    """
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        if depth > DEPTH:
            raise ValueError(f"brackets are nested deeper than {DEPTH} levels")
    pieces = re.split(r"[\n,\[\]{}]", text)
    if any(piece.partition("=")[0].count(".") > DEPTH for piece in pieces):
        raise ValueError(f"a key has more than {DEPTH} parts")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:  # replace Python's message, which suggests changing the code
        raise ValueError("a number has more than 4,300 digits") from error
