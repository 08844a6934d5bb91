"""Run directories: creation, locking, writing, and cleanup after a failure."""

import contextlib
import errno
import hashlib
import io
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_ilsvrc.recipe.schema import Recipe
from keras_ilsvrc.runs import places
from keras_ilsvrc.runs.places import exists
from keras_ilsvrc.runs.reading import (
    BEST,
    CHECKPOINTS,
    CURVES,
    DOUBTFUL,
    EPOCHS,
    EXPLAINED,
    FIRST,
    FLOW,
    GRADIENTS,
    HISTORY,
    LOCK,
    PAGE,
    RECIPE,
    RESULT,
    RUN,
    STATISTICS,
    TENSORBOARD,
    WEIGHTS,
    RunFiles,
)
from keras_ilsvrc.runs.schema import Identity, differences, parsed
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import InputError

if TYPE_CHECKING:
    import numpy as np

FILES = (RUN, RECIPE, STATISTICS, HISTORY, GRADIENTS, WEIGHTS, CURVES, FLOW, DOUBTFUL, RESULT)
FOLDERS = (CHECKPOINTS, BEST, EPOCHS, TENSORBOARD)
RESULTS: tuple[str, ...] = (HISTORY, GRADIENTS, WEIGHTS, RESULT)
# Pattern of every file that a run may write, relative to its directory.
OWN = re.compile(
    rf"(?:{'|'.join(map(re.escape, (*FILES, PAGE, EXPLAINED, LOCK)))}"
    rf"|(?:(?:{CHECKPOINTS}|{BEST})/)?{re.escape(files.PART)}.*"
    rf"|(?:{CHECKPOINTS}|{BEST})/step-\d+\.ckpt"
    rf"|{EPOCHS}/(?:{re.escape(files.PART)})?epoch-\d+\.weights\.h5"
    rf"|{TENSORBOARD}/events\.out\.tfevents\..*)"
)
STEPS = re.compile(rf"{CHECKPOINTS}/step-0*[1-9]\d*\.ckpt")  # checkpoints of steps above 0
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # errors of a full or read-only disk
ELSEWHERE = "choose another --out"


class RunDirectory(RunFiles):
    """Writable directory of one training run.

    As a context manager, it creates and locks the directory. If the block fails before the first
    checkpoint of a step above 0, all files and directories that the block created are removed.
    Files that existed before the block are never removed.

    Args:
        path: Path of the directory.
        recipe: Recipe of the run.
        resume: Whether the directory may already contain a run of this recipe. An interrupted
            run resumes from its last checkpoint; a finished run is not trained again.
        numbered: Whether to use PATH-2, PATH-3, ... if `path` exists.

    Raises:
        InputError: If the directory is not empty, contains another run, or cannot be written.
    """

    own, results = OWN, RESULTS

    def __init__(
        self,
        path: Path,
        recipe: Recipe,
        resume: bool = False,
        numbered: bool = False,
    ):
        self._recipe, self.resume, self.numbered, self.entered = recipe, resume, numbered, 0
        super().__init__(path)
        if numbered:
            self.path = places.free(self.path)
        places.check(self.path, RUN)
        self._check_content()
        places.check_writable(self.path)

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
            if not exists(self.path / RECIPE):
                self.write(RECIPE, self._recipe.toml().encode())
            self.block = self.block.pop_all()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.entered -= 1
        if not self.entered:
            self.block.__exit__(kind, error, trace)

    @contextlib.contextmanager
    def reserved(self) -> Iterator[None]:
        """Create the directory and its parents; if the block fails, remove those that are empty."""
        self.path, made = places.make(self.path, self.numbered)
        try:
            yield
        except BaseException:
            places.remove_empty(made)
            raise
        self.numbered = False

    def recipe(self) -> Recipe:
        """Return the recipe that the constructor received."""
        return self._recipe

    @property
    def past_first(self) -> bool:
        """Whether the first stage of training is finished."""
        return exists(self.path / RUN) or self.first.finished

    def of_first(self, recipe: Recipe) -> "RunDirectory":
        """Return the run directory of the first stage of training, to begin or resume it."""
        return RunDirectory(self.path / FIRST, recipe, resume=True)

    def begin(self, identity: Identity) -> list[str]:
        """Write `run.json` of a new run; for a resumed run, check that the images are the same.

        Returns:
            Warnings of `check_images`; an empty list for a new run.

        Raises:
            InputError: If the classes or images have changed since the run started.
        """
        if not exists(self.path / RUN):
            self._write_identity(identity)
        return self.check_images(identity, identity.splits)

    def keep_statistics(self, statistics: "Mapping[str, np.ndarray]") -> None:
        """Write the statistics of the training images unless the run already contains them."""
        import numpy as np

        if STATISTICS in self.identity.files:
            return
        content = io.BytesIO()
        np.savez(content, **dict(statistics))  # type: ignore[arg-type]
        self.write(STATISTICS, content.getvalue())
        self._register([STATISTICS])

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write `result.json`, record the SHA-256 of result files, and remove the checkpoints."""
        self.write(RESULT, (json.dumps(result, indent=2) + "\n").encode())
        own = [x for x in places.tree(self.path) if self.own.fullmatch(x)]
        self._register([x for x in own if x.startswith(f"{EPOCHS}/epoch-") or x in self.results])
        places.remove(self.path, [x for x in own if x.startswith((f"{CHECKPOINTS}/", f"{BEST}/"))])

    def write(self, name: str, content: bytes) -> None:
        """Write a file in the run directory atomically."""
        with files.whole(self.path / name) as part:
            part.write_bytes(content)

    def file(self, name: str) -> Path | None:
        """Return the path of a file or folder of the run; None on a worker that writes nothing."""
        return self.path / name

    def _register(self, names: Sequence[str]) -> None:
        found = {x: files.sha256(self.path / x) for x in names if (self.path / x).exists()}
        self._write_identity(
            self.identity.model_copy(update={"files": self.identity.files | found})
        )

    def _write_identity(self, identity: Identity) -> None:
        self.write(RUN, files.sealed(identity.model_dump()))
        self.identity = identity

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the directory during the block, so that no other process trains in it."""
        self._check_kind(LOCK)
        path = self.path / LOCK
        try:
            taken = files.lock(path)
        except files.Timeout as error:
            raise InputError(
                f"{self.path}: another process is training here; wait until it ends, or {ELSEWHERE}"
            ) from error
        except OSError as error:
            reason = f"cannot lock this file: {error.strerror}"
            raise InputError(f"{path}: {reason}; remove it") from error
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
            taken.release()

    def _clean(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Remove the files that a failed block created, unless the run can be resumed."""
        if error is None or self.finished:
            return
        own = [x for x in places.tree(self.path) if self.own.fullmatch(x)]
        has_steps = any(STEPS.fullmatch(x) for x in own) or exists(self.path / f"{FIRST}/{RUN}")
        if not has_steps:
            places.remove(self.path, [x for x in own if x not in self.before])
            places.remove_empty(self.path / name for name in FOLDERS)
        if isinstance(error, OSError) and error.errno in FULL:
            then = "; free some space, then continue with --resume" * has_steps
            raise InputError(f"{self.path}: cannot be written: {error.strerror}{then}") from error

    def _check_kind(self, name: str) -> None:
        """Raise InputError if `name` is a file that should be a folder, or vice versa."""
        path = self.path / name
        right, kind = (path.is_dir, "folder") if name in FOLDERS else (path.is_file, "regular file")
        if exists(self.path / name) and not right():
            raise InputError(f"{path}: not a {kind}; remove it, or {ELSEWHERE}")

    def _check_content(self) -> None:
        """Raise InputError unless the directory is empty, or contains a run that can be resumed."""
        found = [x for x in places.entries(self.path) if x != LOCK and not x.startswith(files.PART)]
        if not found:
            return
        if not self.resume:
            raise InputError(
                f"{self.path}: not empty ({len(found)} entries); {ELSEWHERE}, or pass --resume "
                "to continue a run of this recipe"
            )
        path = self.path / RECIPE
        if not exists(self.path / RECIPE):
            raise InputError(f"{self.path}: contains {found[0]}, but no run; {ELSEWHERE}")
        content = files.read(path, files.SMALL)
        if content != self._recipe.toml().encode():
            table = parsed(path, ELSEWHERE, lambda: tomllib.loads(content.decode()))
            changes = "; ".join(differences(table, self._recipe.table()))
            raise InputError(
                f"{self.path}: contains a run of another recipe: {changes}; {ELSEWHERE}"
            )
        for name in (*FILES, *FOLDERS):
            self._check_kind(name)
        if exists(self.path / RUN):
            if self.identity.recipe != hashlib.sha256(content).hexdigest():
                raise self._changed(RECIPE)
        elif exists(self.path / WEIGHTS) or exists(self.path / RESULT):
            raise InputError(
                f"{self.path}: {RUN} is missing; restore {RUN} from a copy, or {ELSEWHERE}"
            )


class NoDirectory(RunDirectory):
    """Replacement for the run directory on all workers except the chief, which write nothing."""

    def __init__(self) -> None:
        self.path = Path()

    def __enter__(self) -> "RunDirectory":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        return None

    @property
    def owner(self) -> dict[str, Any]:
        return {}

    @property
    def past_first(self) -> bool:
        return False

    def of_first(self, recipe: Recipe) -> "RunDirectory":
        return self

    def statistics(self) -> None:
        return None

    def begin(self, identity: Identity) -> list[str]:
        """Return an empty list, since only the chief worker compares the images."""
        return []

    def keep_statistics(self, statistics: "Mapping[str, np.ndarray]") -> None:
        """Do nothing, since the chief worker writes the statistics."""

    def finish(self, result: Mapping[str, Any]) -> None:
        """Do nothing, since the chief worker writes the result."""

    def file(self, name: str) -> None:
        return None
