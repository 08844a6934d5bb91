"""Reader of tests/paper/methods: numbers in papers about training, testing and visualising."""

import tomllib
from pathlib import Path

# The tables by the name of their file.
METHODS = {
    path.stem: tomllib.loads(path.read_text(encoding="utf-8"))
    for path in sorted(Path(__file__).parent.glob("paper/methods/*.toml"))
}


def differences(source, said, found):
    """A line for each value that is not the source's: what the source says, what was found."""
    return [
        f"{key}: {source} says {value!r}, found {found.get(key)!r}"
        for key, value in said.items()
        if found.get(key) != value
    ]


def take(row, keys, optional=""):
    """The values of a row under these keys; a key that no test reads fails."""
    unknown = row.keys() - {*keys.split(), *optional.split()}
    assert not unknown, f"no test reads {sorted(unknown)} of {row}"
    return [row[key] for key in keys.split()] + [row.get(key) for key in optional.split()]
