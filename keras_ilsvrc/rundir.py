"""The directory of a run: claimed before the work, complete or gone after it, or gone on with."""

import errno
import json
import os
import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.tables import Recipe

FILES = (
    "recipe.toml",
    "statistics.npz",
    "history.csv",
    "final.weights.h5",
    "curves.png",
    "doubtful.png",
    "result.json",
)
PART = ".part"  # of a file, until it is whole
RECIPE = "recipe.toml"
CHECKPOINTS = "checkpoints"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class RunDirectory:
    """Where a run is kept.

    As a context it makes the directory. If the work in it fails before there is a checkpoint of
    any step, it removes what it made; else all stays, to be gone on with.

    Args:
        recipe: What is run.
        name: Of the run, for `runs/NAME`, `runs/NAME-2`, ... where `out` is None.
        out: The directory.
        resume: Whether `out` may hold this recipe's run already. A finished one is not run
            again; an interrupted one goes on from its last checkpoint.
        overrides: What the recipe was changed by, to be told in `result.json`.

    Raises:
        InputError: If the directory is not empty, of another recipe, or cannot be written.
    """

    def __init__(
        self,
        recipe: Recipe,
        name: str,
        out: Path | None = None,
        resume: bool = False,
        overrides: Sequence[str] = (),
    ):
        self.recipe, self.overrides = recipe, tuple(overrides)
        self.path = out or _free(Path("runs") / name)
        self.finished = self.path / "result.json"
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: not a directory; choose another --out")
        found = sorted(x.name for x in self.path.iterdir()) if self.path.is_dir() else []
        if found and not resume:
            raise InputError(
                f"{self.path}: not empty ({len(found)} entries); choose another --out, or give "
                "--resume if it holds this run"
            )
        if found:
            self._check_same(found)
        self._check_writable()

    def result(self) -> dict[str, Any] | None:
        """What a finished run found; None if it is not finished."""
        if not self.finished.is_file():
            return None
        return json.loads(self.finished.read_text(encoding="utf-8"))

    def __enter__(self) -> Path:
        self.made = self._make()
        if not (self.path / RECIPE).is_file():
            self.write(RECIPE, self.recipe.toml().encode())
        return self.path

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        kept = self._has_steps()
        if error is not None and not kept:
            self._clear()
        if isinstance(error, OSError) and error.errno in FULL:
            then = "; make room, and go on with --resume" if kept else ""
            raise InputError(f"{self.path}: cannot be written: {error.strerror}{then}") from error

    def _clear(self) -> None:
        for name in (*FILES, PART):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)
        for directory in self.made:
            if not any(directory.iterdir()):
                directory.rmdir()

    def finish(self, result: dict[str, Any]) -> None:
        """Writes `result.json`; then no checkpoint is needed any more."""
        self.write(self.finished.name, (json.dumps(result, indent=2) + "\n").encode())
        shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)

    def write(self, name: str, content: bytes) -> None:
        """Writes a file, whole or not at all."""
        part = self.path / PART
        part.write_bytes(content)
        os.replace(part, self.path / name)

    def _has_steps(self) -> bool:
        files = (self.path / CHECKPOINTS).glob("step-*.ckpt")
        return any(int(file.stem.removeprefix("step-")) > 0 for file in files)

    def _check_same(self, found: list[str]) -> None:
        held = self.path / RECIPE
        if found == [PART]:
            return
        if not held.is_file():
            raise InputError(f"{self.path}: holds {found[0]} but no run; choose another --out")
        text = held.read_text(encoding="utf-8")
        if text != self.recipe.toml():
            changes = "; ".join(differences(tomllib.loads(text), self.recipe.table()))
            raise InputError(
                f"{self.path}: holds a run of another recipe: {changes}; choose another --out"
            )

    def _check_writable(self) -> None:
        made = self._make()
        probe = self.path / ".probe"
        try:
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror}") from error
        finally:
            for directory in made:
                shutil.rmtree(directory, ignore_errors=True)

    def _make(self) -> list[Path]:
        """Makes the directory; returns what was made, the innermost first."""
        made = [x for x in (self.path, *self.path.parents) if not x.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be made: {error.strerror}") from error
        return made


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """Where two recipes differ, as `schedule.steps 100 -> 200`."""
    if old == new:
        return []
    if not isinstance(old, dict) or not isinstance(new, dict):
        said = ["none" if value is None else repr(value) for value in (old, new)]
        return [f"{key} {said[0]} -> {said[1]}"]
    found = []
    for name in [*old, *(x for x in new if x not in old)]:
        found += differences(old.get(name), new.get(name), f"{key}.{name}".strip("."))
    return found


def _free(base: Path) -> Path:
    """`base`, or with the first number behind it that no directory has yet."""
    path, number = base, 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path
