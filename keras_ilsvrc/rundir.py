"""The directory of a run: claimed before the work, complete or gone after it, or gone on with."""

import errno
import fcntl
import io
import json
import os
import shutil
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.tables import Recipe

if TYPE_CHECKING:
    import numpy as np

RESULT, STATISTICS = "result.json", "statistics.npz"
FILES = (
    "recipe.toml",
    STATISTICS,
    "history.csv",
    "final.weights.h5",
    "curves.png",
    "doubtful.png",
    RESULT,
)
PART = ".part"  # of a file, until it is whole
RECIPE, PAGE = "recipe.toml", "report.html"
PROBE = ".probe"
LOCK = ".lock"
HIDDEN = (PART, PROBE, LOCK)
CHECKPOINTS, EPOCHS, TENSORBOARD = "checkpoints", "epochs", "tensorboard"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class RunDirectory:
    """Where a run is kept.

    As a context it makes the directory. If the work in it fails before there is a checkpoint of
    any step, it removes what it made; else all stays, to be gone on with.

    Args:
        recipe: What is run.
        name: Of the run, for `runs/NAME`, `runs/NAME-2`, ... where `out` is None.
        out: The directory.
        resume: Whether `out`, or `runs/NAME`, may hold this recipe's run already. A finished one
            is not run again; an interrupted one goes on from its last checkpoint.
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
        base = Path("runs") / name
        self.path = out or (base if resume else _free(base))
        self.resume = resume
        self.finished = self.path / RESULT
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: not a directory; choose another --out")
        self._check_content()
        self._check_writable()

    def result(self) -> dict[str, Any] | None:
        """What a finished run found; None if it is not finished."""
        if not self.finished.is_file():
            return None
        try:
            return json.loads(self.finished.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{self.finished}: damaged; remove it, and --resume") from error

    def statistics(self) -> dict[str, "np.ndarray"] | None:
        """Those of the training images, if an interrupted run has measured them."""
        return read_statistics(self.path) if (self.path / STATISTICS).is_file() else None

    def keep_statistics(self, statistics: dict[str, "np.ndarray"]) -> None:
        """Writes those of the training images."""
        import numpy as np

        held = io.BytesIO()
        np.savez(held, **statistics)  # type: ignore[arg-type]
        self.write(STATISTICS, held.getvalue())

    def __enter__(self) -> Path:
        self.made = self._make()
        self._lock()
        try:
            self._check_content()
        except InputError:
            self._unlock()
            raise
        try:
            if not (self.path / RECIPE).is_file():
                self.write(RECIPE, self.recipe.toml().encode())
        except OSError as error:
            self.__exit__(type(error), error, None)
            raise
        return self.path

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        kept = self._has_steps()
        if error is not None and not kept:
            for name in (*FILES, PART):
                (self.path / name).unlink(missing_ok=True)
            for name in (CHECKPOINTS, EPOCHS, TENSORBOARD):
                shutil.rmtree(self.path / name, ignore_errors=True)
        self._unlock()
        for directory in self.made if error is not None else ():
            if not any(directory.iterdir()):
                directory.rmdir()
        if isinstance(error, OSError) and error.errno in FULL:
            then = "; make room, and go on with --resume" if kept else ""
            raise InputError(f"{self.path}: cannot be written: {error.strerror}{then}") from error

    def finish(self, result: dict[str, Any]) -> None:
        """Writes `result.json`; then no checkpoint is needed any more."""
        self.write(self.finished.name, (json.dumps(result, indent=2) + "\n").encode())
        shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)

    def write(self, name: str, content: bytes) -> None:
        """Writes a file, whole or not at all."""
        part = self.path / PART
        part.write_bytes(content)
        self.flush(PART)
        os.replace(part, self.path / name)
        self.flush(".")

    def flush(self, name: str) -> None:
        """Waits until a file is on the disk."""
        handle = os.open(self.path / name, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _lock(self) -> None:
        """So that no two processes train in one directory."""
        self.lock = open(self.path / LOCK, "wb")  # noqa: SIM115
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.lock.close()
            raise InputError(
                f"{self.path}: another process trains here; wait for it, or choose another --out"
            ) from error

    def _unlock(self) -> None:
        (self.path / LOCK).unlink(missing_ok=True)
        self.lock.close()

    def _has_steps(self) -> bool:
        files = (self.path / CHECKPOINTS).glob("step-*.ckpt")
        return any(int(file.stem.removeprefix("step-")) > 0 for file in files)

    def _check_content(self) -> None:
        """Refuses what is no run, or another one, or there though nothing should go on."""
        found = [] if not self.path.is_dir() else sorted(x.name for x in self.path.iterdir())
        found = [name for name in found if name not in HIDDEN]
        if not found:
            return
        if not self.resume:
            raise InputError(
                f"{self.path}: not empty ({len(found)} entries); choose another --out, or give "
                "--resume if it holds this run"
            )
        held = self.path / RECIPE
        if not held.is_file():
            raise InputError(f"{self.path}: holds {found[0]} but no run; choose another --out")
        text = held.read_bytes()
        if text == self.recipe.toml().encode():
            return
        try:
            changes = differences(tomllib.loads(text.decode()), self.recipe.table())
        except ValueError as error:
            raise InputError(f"{held}: damaged; choose another --out") from error
        said = "; ".join(changes)
        raise InputError(
            f"{self.path}: holds a run of another recipe: {said}; choose another --out"
        )

    def _check_writable(self) -> None:
        made = self._make()
        probe = self.path / PROBE
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


def read_statistics(path: Path) -> dict[str, "np.ndarray"]:
    """What a run's directory keeps of the training images.

    Raises:
        InputError: If the file is damaged.
    """
    import numpy as np

    try:
        with np.load(path / STATISTICS, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path / STATISTICS}: damaged; remove it, and they are measured again"
        ) from error


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
