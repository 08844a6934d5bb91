"""Tests that `train --out` changes nothing outside the run's directory."""

import os
import random
import shutil
import socket
from pathlib import Path

import pytest

from keras_ilsvrc import InputError
from keras_ilsvrc import recipe as recipes
from keras_ilsvrc.runs.directory import RunDirectory

STEPS = [
    "runs",
    "old",
    "new",
    "..",
    ".",
    "precious",
    "file",
    "link",
    "loop",
    "nowhere",
    "typo",
    "checkpoints",
    "socket",
    "empty",
]
SHAPES = 200


@pytest.fixture
def recipe():
    return recipes.load(recipes.find("quickstart"))


@pytest.fixture
def neighbours(tmp_path, monkeypatch):
    """A working directory, deep in a folder, with all around it that a run must not touch."""
    home = tmp_path / "/".join("abcdefg")
    home.mkdir(parents=True)
    monkeypatch.chdir(home)
    for name in ("precious/deep", "runs/old/checkpoints", "empty/empty"):
        Path(name).mkdir(parents=True)
    for name in ("precious/a", "precious/deep/b", "runs/old/run.json", "file"):
        Path(name).write_text(name)
    Path("link").symlink_to("precious")
    Path("loop").symlink_to("loop")
    Path("nowhere").symlink_to("runs/none")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    return tmp_path


def tree(path):
    """Every entry below a path, with what it is and contains."""
    found = {}
    for folder, folders, files in os.walk(path):
        for name in folders + files:
            entry = Path(folder) / name
            kind = entry.lstat().st_mode
            content = entry.read_bytes() if entry.is_file() and not entry.is_symlink() else b""
            found[str(entry.relative_to(path))] = kind, content
    return found


def attempt(recipe, out, failing):
    """Begin a run; return its path, or None where it is refused or fails."""
    try:
        with RunDirectory(out, recipe) as directory:
            directory.write("history.csv", b"epoch\n")
            if failing:
                raise RuntimeError
            return directory.path
    except (InputError, RuntimeError):
        return None


def test_nothing_outside_of_the_run_changes(recipe, neighbours):
    draw, before, made = random.Random(0), tree(neighbours), 0
    for number in range(SHAPES):
        words = "/".join(draw.choices(STEPS, k=draw.randint(1, 6)))
        out = Path(draw.choice(["", f"{Path.cwd()}/", "./"]) + words + draw.choice(["", "/", "//"]))
        path = attempt(recipe, out, failing=bool(number % 2))
        if path is None:
            assert tree(neighbours) == before, f"{out} changed something"
            continue
        made += 1
        after = tree(neighbours)
        assert before.items() <= after.items(), f"{out} changed something"
        own = str(path.absolute().relative_to(neighbours))
        new = after.keys() - before.keys()
        assert all(x.startswith(own) or own.startswith(x) for x in new), f"{out} made {new}"
        for name in sorted(new, reverse=True):
            entry = neighbours / name
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)
    assert made > 20


def test_what_cannot_be_a_run_is_refused_in_one_line(recipe, neighbours):
    for out, reason in (
        ("file", "not a directory"),
        ("socket", "not a directory"),
        ("loop", "link to itself"),
        ("loop/x", "link to itself"),
        ("runs/old/checkpoints/x", "inside the run"),
        ("file/x", "Not a directory"),
        ("x" * 300, "File name too long"),
        ("x/" * 3000, "File name too long"),
        ("/", "not empty"),
        (".", "not empty"),
        ("/proc/x", "cannot be created"),
    ):
        with pytest.raises(InputError, match=reason) as caught:
            RunDirectory(Path(out), recipe)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500


def test_a_path_through_a_folder_that_is_not_there_is_resolved_first(recipe, neighbours):
    with RunDirectory(Path("typo/../runs/new"), recipe) as directory:
        pass
    assert str(directory.path) == "runs/new"
    assert not Path("typo").exists()
