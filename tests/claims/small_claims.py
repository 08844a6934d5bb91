"""Small claims on the digits, and the values with which their results are compared."""

import json
from pathlib import Path

from keras_ilsvrc.claims.arms import Study

SET = {
    "net": "resnet_cifar",
    "build.depth": 8,
    "data.train": "train",
    "data.validation": "validation",
    "schedule.steps": 3,
    "schedule.learning_rate": [[0, 0.1]],
}
ARMS = {"eight": {}, "fourteen": {"build.depth": 14}}
EXPECT = [{"higher": "fourteen", "lower": "eight"}]
HEAD = {
    "title": "Depth",
    "says": "Deeper is worse.",
    "source": "the tests",
    "recipe": "quickstart",
    "measure": "training_error",
    "minutes": 1,
    "rates": [1.0],
}


def toml(value):
    """A value as TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(x)}" for key, x in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value)


def write(folder, name="small", arms=ARMS, expect=EXPECT, changes=None, quick=None, **head):
    """Write a claim file and return its path. A key that is None is left out."""
    lines = [f"{key} = {toml(x)}" for key, x in (HEAD | head).items() if x is not None]
    for table, part in (("set", SET | (changes or {})), ("arms", arms)):
        lines += [f"[{table}]", *(f"{json.dumps(key)} = {toml(x)}" for key, x in part.items())]
    lines += [
        "[quick]",
        *(f"{k} = {toml(x)}" for k, x in (quick or {"recipe": "quickstart"}).items()),
    ]
    for row in expect:
        lines += ["[[expect]]", *(f"{key} = {toml(x)}" for key, x in row.items())]
    path = Path(folder) / f"{name}.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def study(folder, seeds=None, **parts):
    """A small claim, checked."""
    return Study(write(folder, **parts), seeds=seeds)
