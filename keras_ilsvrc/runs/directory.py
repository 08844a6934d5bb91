"""The directory of one training run: the only place that names, writes and reads its files."""

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import re
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_ilsvrc import files
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.recipe import load
from keras_ilsvrc.runs import places
from keras_ilsvrc.runs.schema import (
    Identity,
    Result,
    check_version,
    differences,
    parsed,
    sealed,
    unsealed,
)
from keras_ilsvrc.tables import Recipe

if TYPE_CHECKING:
    import numpy as np

RUN, RECIPE, RESULT, STATISTICS = "run.json", "recipe.toml", "result.json", "statistics.npz"
HISTORY, WEIGHTS = "history.csv", "final.weights.h5"
CURVES, DOUBTFUL, PAGE = "curves.png", "doubtful.png", "report.html"
LOCK, CHECKPOINTS, EPOCHS, TENSORBOARD = ".lock", "checkpoints", "epochs", "tensorboard"
FOLDERS = (CHECKPOINTS, EPOCHS, TENSORBOARD)
FILES = (RUN, RECIPE, STATISTICS, HISTORY, WEIGHTS, CURVES, DOUBTFUL, RESULT)
# Every file that a run may write, below its directory.
OWN = re.compile(
    rf"(?:{'|'.join(map(re.escape, (*FILES, PAGE, LOCK)))}"
    rf"|(?:{CHECKPOINTS}/)?{re.escape(files.PART)}.*|{CHECKPOINTS}/step-\d+\.ckpt"
    rf"|{EPOCHS}/(?:{re.escape(files.PART)})?epoch-\d+\.weights\.h5"
    rf"|{TENSORBOARD}/events\.out\.tfevents\..*)"
)
KEPT = re.compile(r"epoch-(\d+)\.weights\.h5")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
ELSEWHERE = "choose another --out"
Rows = list[dict[str, float | None]]


class RunDirectory:
    """The files of one training run.

    As a context it creates the directory and locks it. If the block fails before the first
    checkpoint of a step, every file that came into being in the block is removed again, and so
    are the directories that were made for it. Nothing that was there before is ever removed.

    Args:
        path: Of the directory.
        recipe: Of the run to be trained; None to read a finished run.
        resume: Whether the directory may contain this recipe's run already. A finished run is
            not trained again; an interrupted one resumes from its last checkpoint.
        numbered: Whether to use PATH-2, PATH-3, ... where `path` is not free.

    Raises:
        InputError: If the directory is not empty, is of another recipe, or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        recipe: Recipe | None = None,
        resume: bool = False,
        numbered: bool = False,
    ):
        self._recipe, self.resume, self.numbered = recipe, resume, numbered
        self.path = places.resolved(path)
        self.entered = 0
        if recipe:
            if numbered:
                self.path = places.free(self.path)
            places.check(self.path, RUN)
            self._check_content()
            places.check_writable(self.path)

    # Reading

    @cached_property
    def identity(self) -> Identity:
        """What the run belongs to.

        Raises:
            InputError: If `run.json` is missing, damaged or of a newer version.
        """
        path = self.path / RUN
        advice = f"restore it from a copy, or {ELSEWHERE}"
        table = parsed(path, advice, lambda: unsealed(files.read(path)))
        check_version(path, table)
        return parsed(path, advice, lambda: Identity.model_validate(table))

    @property
    def finished(self) -> bool:
        """Whether the run has ended with a result, which may be damaged since."""
        return self._has(RUN) and RESULT in self.identity.files

    def check_finished(self) -> "RunDirectory":
        """Return this directory.

        Raises:
            InputError: If it contains no finished run.
        """
        path = self.path
        for name in (RECIPE, RUN):
            if not self._has(name):
                raise InputError(f"{path}: no finished run: {name} is missing")
        if not self.finished:
            raise InputError(f"{path}: no finished run: finish it with `train ... --resume`")
        return self

    def recipe(self) -> Recipe:
        """Return the recipe of the run."""
        self._verified(RECIPE, self.identity.recipe)
        return load(self.path / RECIPE)

    def result(self) -> dict[str, Any]:
        """Return the test errors of the finished run, with the keys of `Result`."""
        content = self._verified(RESULT, self.check_finished().identity.files[RESULT])
        advice = f"`keras-ilsvrc evaluate --run {self.path}` tests its weights again"
        table = parsed(self.path / RESULT, advice, lambda: json.loads(content))
        parsed(self.path / RESULT, advice, lambda: Result.model_validate(table))
        return table

    def statistics(self) -> "dict[str, np.ndarray] | None":
        """Return the statistics of the training images; None if they were not measured yet."""
        import numpy as np

        if not self._has(RUN) or STATISTICS not in self.identity.files:
            return None
        content = self._verified(STATISTICS, self.identity.files[STATISTICS])

        def arrays() -> "dict[str, np.ndarray]":
            try:
                with np.load(io.BytesIO(content), allow_pickle=False) as file:
                    return dict(file)
            except zipfile.BadZipFile as error:
                raise ValueError("no archive of arrays") from error

        return parsed(self.path / STATISTICS, "restore it from a copy", arrays)

    def history(self) -> Rows:
        """Return the rows of `history.csv`, an epoch each; None is an empty cell."""
        from keras_ilsvrc.training.records import COLUMNS

        if HISTORY not in self.identity.files:  # the disk was full
            return []
        content = self._verified(HISTORY, self.identity.files[HISTORY])

        def rows() -> Rows:
            reader = csv.DictReader(io.StringIO(content.decode(), newline=""))
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"no column {missing[0]}")
            return [
                {name: float(value) if value else None for name, value in row.items()}
                for row in reader
            ]

        return parsed(self.path / HISTORY, "restore it from a copy", rows)

    def weights(self) -> Path:
        """Return the file of the trained weights, as they were written."""
        return self._verified_weights(WEIGHTS)

    def kept_weights(self) -> dict[int, Path]:
        """Return the weight files of the epochs that were kept, as {epoch: path}, in order."""
        names = [name for name in self.identity.files if name.startswith(f"{EPOCHS}/")]
        found = [(KEPT.fullmatch(Path(name).name), name) for name in sorted(names)]
        return {int(match[1]): self._verified_weights(name) for match, name in found if match}

    def check_images(self, now: Identity, splits: Iterable[str]) -> list[str]:
        """Compare the images that are there now with those of the run.

        Returns:
            A warning for each split whose files were changed under the same names and sizes.

        Raises:
            InputError: If classes, or the images of one of the splits, are others.
        """
        if changes := self.identity.changes(now, list(splits)):
            raise InputError(
                f"{self.path}: the images are not those of this run: {'; '.join(changes)}; "
                f"restore them, or train a new run"
            )
        return [
            f"{self.path}: files of {name} were written again since this run began, with the same "
            "names and sizes; if their pixels are others, so are the results"
            for name in self.identity.touched(now)
        ]

    # Writing

    def __enter__(self) -> "RunDirectory":
        self.entered += 1
        if self.entered > 1:
            return self
        self.block = contextlib.ExitStack()
        with self.block:
            self.block.enter_context(self.reserved())
            self.block.enter_context(self._locked())
            self._check_content()
            self.before = set(places.tree(self.path))
            self.block.push(self._clean)
            if self._recipe and not self._has(RECIPE):
                self.write(RECIPE, self._recipe.toml().encode())
            self.block = self.block.pop_all()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.entered -= 1
        if not self.entered:
            self.block.__exit__(kind, error, trace)

    @contextlib.contextmanager
    def reserved(self) -> Iterator[None]:
        """Create the directory; if the block fails, remove it and its parents while empty."""
        self.path, made = places.make(self.path, self.numbered)
        try:
            yield
        except BaseException:
            places.remove_empty(made)
            raise
        self.numbered = False

    def begin(self, identity: Identity) -> list[str]:
        """Keep what the run belongs to, or compare it with what the run was begun with.

        Returns:
            Warnings; see `check_images`.

        Raises:
            InputError: If classes or images are not those with which the run was begun.
        """
        if self._has(RUN):
            return self.check_images(identity, identity.splits)
        self._write_identity(identity)
        return []

    def keep_statistics(self, statistics: "Mapping[str, np.ndarray]") -> None:
        """Write the statistics of the training images, unless they are there."""
        import numpy as np

        if STATISTICS in self.identity.files:
            return
        content = io.BytesIO()
        np.savez(content, **dict(statistics))  # type: ignore[arg-type]
        self.write(STATISTICS, content.getvalue())
        self._register([STATISTICS])

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write `result.json` and the SHA-256 of all files; then remove the checkpoints."""
        self.write(RESULT, (json.dumps(result, indent=2) + "\n").encode())
        kept = [path for path in places.tree(self.path) if KEPT.fullmatch(Path(path).name)]
        self._register([HISTORY, WEIGHTS, *kept, RESULT])
        own = [x for x in places.tree(self.path) if OWN.fullmatch(x)]
        places.remove(self.path, [x for x in own if x.startswith(f"{CHECKPOINTS}/")])

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        with files.whole(self.path / name) as part:
            part.write_bytes(content)

    def file(self, name: str) -> Path | None:
        """Return the path of a file or folder to be written; None where nothing is written."""
        return self.path / name

    def _register(self, names: Sequence[str]) -> None:
        found = {x: files.sha256(self.path / x) for x in names if (self.path / x).exists()}
        old = self.identity
        self._write_identity(old.model_copy(update={"files": {**old.files, **found}}))

    def _write_identity(self, identity: Identity) -> None:
        self.write(RUN, sealed(identity.model_dump()))
        self.identity = identity

    def _verified(self, name: str, digest: str | None) -> bytes:
        content = files.read(self.path / name)
        if hashlib.sha256(content).hexdigest() != digest:
            raise self._changed(name)
        return content

    def _verified_weights(self, name: str) -> Path:
        if files.sha256(self.path / name) != self.identity.files.get(name):
            raise self._changed(name)
        return self.path / name

    def _changed(self, name: str) -> InputError:
        return InputError(
            f"{self.path / name}: damaged, or of another run: its SHA-256 is not the one in {RUN}; "
            "restore it from a copy"
        )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Refuse a second process that would train in the same directory."""
        self._check_kind(LOCK)
        path = self.path / LOCK
        try:
            taken = files.lock(path)
        except files.Timeout as error:
            raise InputError(
                f"{self.path}: another process trains here; wait for it, or {ELSEWHERE}"
            ) from error
        except OSError as error:
            raise InputError(f"{path}: cannot be locked: {error.strerror}; remove it") from error
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
            taken.release()

    def _clean(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Remove what a failed block has made, unless it can be resumed."""
        if error is None or self.finished:
            return
        has_steps = any(
            int(path.stem.removeprefix("step-")) for path in self.path.glob("checkpoints/step-*")
        )
        if not has_steps:
            new = [x for x in places.tree(self.path) if x not in self.before and OWN.fullmatch(x)]
            places.remove(self.path, new)
        if isinstance(error, OSError) and error.errno in FULL:
            then = "; make room, and resume with --resume" if has_steps else ""
            raise InputError(f"{self.path}: cannot be written: {error.strerror}{then}") from error

    def _has(self, name: str) -> bool:
        return os.path.lexists(self.path / name)  # also a link to nowhere

    def _check_kind(self, name: str) -> None:
        """Refuse what is in the way of a file or folder of the run."""
        path = self.path / name
        right, kind = (path.is_dir, "folder") if name in FOLDERS else (path.is_file, "regular file")
        if self._has(name) and not right():
            raise InputError(f"{path}: not a {kind}; remove it, or {ELSEWHERE}")

    def _check_content(self) -> None:
        """Refuse what is no run, or another one, or is there although nothing is to be resumed."""
        found = places.entries(self.path)
        found = [x for x in found if x != LOCK and not x.startswith(files.PART)]
        if not found or self._recipe is None:
            return
        if not self.resume:
            raise InputError(
                f"{self.path}: not empty ({len(found)} entries); {ELSEWHERE}, or give --resume "
                "if it contains this run"
            )
        path = self.path / RECIPE
        if not self._has(RECIPE):
            raise InputError(f"{self.path}: contains {found[0]} but no run; {ELSEWHERE}")
        content = files.read(path, files.SMALL)
        if content != self._recipe.toml().encode():
            table = parsed(path, ELSEWHERE, lambda: tomllib.loads(content.decode()))
            changes = "; ".join(differences(table, self._recipe.table()))
            raise InputError(f"{self.path}: a run of another recipe: {changes}; {ELSEWHERE}")
        for name in (*FILES, *FOLDERS):
            self._check_kind(name)
        if self._has(RUN):
            if self.identity.recipe != hashlib.sha256(content).hexdigest():
                raise self._changed(RECIPE)
        elif self._has(WEIGHTS) or self._has(RESULT):
            raise InputError(
                f"{self.path}: a finished run without {RUN}; restore it from a copy, or {ELSEWHERE}"
            )


class NoDirectory(RunDirectory):
    """The directory of a worker that writes nothing."""

    def __init__(self) -> None:
        self.path = Path()

    def __enter__(self) -> "RunDirectory":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        return None

    def statistics(self) -> None:
        return None

    def begin(self, identity: Identity) -> list[str]:
        return []

    def keep_statistics(self, statistics: "Mapping[str, np.ndarray]") -> None:
        """Write nothing."""

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write nothing."""

    def file(self, name: str) -> None:
        return None
