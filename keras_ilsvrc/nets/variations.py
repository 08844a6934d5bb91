"""Variations of nets: options of `build` for design choices that a paper compares.

This module also parses the names of varied nets. It imports only the standard library.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Choice:
    """Variation with a list of valid values, the first of which is the published one."""

    values: tuple[Any, ...]
    same_net: bool = False  # whether a net with any of these values counts as published

    @property
    def default(self) -> Any:
        return self.values[0]

    def with_default(self, value: Any) -> "Choice":
        """Return a copy of this choice with `value` as the published value and default."""
        return replace(self, values=(value, *(x for x in self.values if x != value)))

    def __contains__(self, value: object) -> bool:
        return any(value == known and type(value) is type(known) for known in self.values)

    def __str__(self) -> str:
        return "one of " + ", ".join(map(str, self.values))


@dataclass(frozen=True)
class Number:
    """Variation whose value is a number: at least `least`, and less than `below`.

    If `whole` is True, the number must be an integer. If `default` is None, `build` requires a
    value.
    """

    default: float | None
    least: float
    below: float = float("inf")
    whole: bool = False
    same_net: bool = False

    def __contains__(self, value: object) -> bool:
        kinds = (int,) if self.whole else (int, float)
        return (
            isinstance(value, kinds)
            and not isinstance(value, bool)
            and self.least <= value < self.below
        )

    def __str__(self) -> str:
        above = "" if self.below == float("inf") else f" and below {self.below:g}"
        return f"a {'whole ' * self.whole}number of at least {self.least:g}{above}"


Variation = Choice | Number

# Variations that nets of several papers share.
AUXILIARY = Choice((False, True), same_net=True)
ACTIVATION = Choice(("relu", "tanh", "sigmoid"))  # of all hidden layers
WIDTH = Number(1.0, least=0.01)  # factor for all numbers of filters; not in the papers


def split_name(
    name: str, variations: Mapping[str, Mapping[str, Variation]]
) -> tuple[str, dict[str, Any]]:
    """Split `alexnet[activation=tanh]` into the plain name and the variations in brackets."""
    match = re.fullmatch(r"([^\[\]]+)\[(.*)\]", name)
    if not match:
        return name, {}
    base, inside = match.groups()
    given = dict(pair.partition("=")[::2] for pair in inside.split(","))
    known = variations.get(base, {})
    return base, {key: _read(text, known.get(key)) for key, text in given.items()}


def _read(text: str, variation: Variation | None) -> Any:
    """Convert `text` to the type of the variation's values; return `text` if this is impossible."""
    if isinstance(variation, Choice):
        return next((value for value in variation.values if str(value) == text), text)
    try:
        return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
    except ValueError:
        return text
