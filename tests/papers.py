"""The numbers in tests/paper."""

import tomllib
from pathlib import Path

_TABLES = {
    name: table
    for path in sorted((Path(__file__).parent / "paper").glob("*.toml"))
    for name, table in tomllib.loads(path.read_text(encoding="utf-8")).items()
}
# The table of every net, by its name.
PAPER = {name: table for name, table in _TABLES.items() if "parameters" in table}
# What a paper says of more than one net: figures and rules, by name.
FIGURES = {name: table for name, table in _TABLES.items() if name not in PAPER}


def said_of(name):
    """A net's table, with everything that it shares with the net it is `like`."""
    own = PAPER[name]
    return {**said_of(own["like"]), **own} if "like" in own else own
