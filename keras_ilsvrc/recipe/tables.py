"""Search, reading and checks of TOML files other than recipes of training."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from keras_ilsvrc.recipe.load import parse
from keras_ilsvrc.recipe.ops import Table
from keras_ilsvrc.utils.errors import InputError, nearest
from keras_ilsvrc.utils.files import SMALL, read

Model = TypeVar("Model", bound=Table)


def find_file(name: str, known: Mapping[str, Path], what: str, more: str = "") -> Path:
    """Return the path of a file, or that of a known file by its name.

    Args:
        name: Path or name.
        known: Paths of the known files, by name.
        what: What the known files are, for the error message.
        more: Advice at the end of the error message.

    Raises:
        InputError: If there is no such file; the message suggests similar names.
    """
    with suppress(OSError):  # the name may be too long for a path
        if Path(name).is_file():
            return Path(name)
    if name in known:
        return known[name]
    hint = f"{nearest(name, known)} {more}".strip()
    raise InputError(f"{name[:200]}: no such file, and no such {what}; {hint}".rstrip("; "))


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file. Raise InputError if it cannot be read or is not TOML."""
    content = read(path, SMALL)
    try:
        return parse(content.decode("utf-8-sig"))
    except ValueError as error:
        raise InputError(f"{path}: not a TOML file: {error}") from error


def read_table(kind: type[Model], path: Path) -> Model:
    """Read a TOML file and check its schema.

    Raises:
        InputError: If the file is not TOML, or a key is unknown, missing, of the wrong type or out
            of range. The message has one line for each fault.
    """
    return valid(kind, read_toml(path), path)


def valid(kind: type[Model], table: Mapping[str, Any], path: Path, prefix: str = "") -> Model:
    """Check a table against a schema and return it; messages have `prefix` before each key."""
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        start = f"{path}: {prefix}"
        raise InputError(*(_fault(start, kind, each) for each in error.errors())) from error


def _fault(start: str, kind: Any, error: Mapping[str, Any]) -> str:
    """Return a pydantic error as one line of text."""
    place = error["loc"]
    key = ".".join(map(str, place))
    if error["type"] == "extra_forbidden":
        hint = nearest(str(place[-1]), _known(kind, place[:-1]))
        return f"{start}{key}: unknown key; {hint}".rstrip("; ")
    if error["type"] == "missing":
        return f"{start}{key}: missing"
    reason = re.sub("^(Value error, |Input |Dictionary |List )", "", error["msg"])
    if error["type"] == "value_error":
        return f"{start}{key}: {reason}".replace(": :", ":")
    return f"{start}{key} is {error['input']!r:.60}; it {reason}"


def _known(kind: Any, place: Iterable[str | int]) -> Iterable[str]:
    """Return the keys of the table at a place inside a table of this kind."""
    for step in place:
        # A step that is no field is the index of a list or the key of a dict.
        if field := getattr(kind, "model_fields", {}).get(step):
            kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
            kind = next((x for x in kinds if hasattr(x, "model_fields")), None)
    return getattr(kind, "model_fields", ())
