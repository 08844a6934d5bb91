"""Names of the files in a run directory, and a reader that checks their schemas and SHA-256."""

import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel

from keras_ilsvrc.recipe import load
from keras_ilsvrc.recipe.schema import Recipe
from keras_ilsvrc.runs.places import exists, resolved
from keras_ilsvrc.runs.schema import Identity, Result, check_version, parsed
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import InputError, nearest

if TYPE_CHECKING:
    import numpy as np

RUN, RECIPE, RESULT, STATISTICS = "run.json", "recipe.toml", "result.json", "statistics.npz"
HISTORY, GRADIENTS, WEIGHTS = "history.csv", "gradients.csv", "final.weights.h5"
CURVES, FLOW, DOUBTFUL, PAGE = "curves.png", "gradients.png", "doubtful.png", "report.html"
DETECTOR, DETECTIONS = "detector.npz", "detections.csv"  # only in the runs of detectors
EXPLAINED = "explain.html"
LOCK, CHECKPOINTS, EPOCHS, TENSORBOARD = ".lock", "checkpoints", "epochs", "tensorboard"
FIRST = "first"  # run directory of the first stage of training, inside that of the main stage
BEST = "best"  # folder with the best weights so far; emptied when the run is finished
KEPT = re.compile(rf"^{EPOCHS}/epoch-(\d+)\.weights\.h5$")
COPY = "restore it from a copy"
Rows = list[dict[str, float | None]]


class RunFiles:
    """Reader of the files of one training run.

    Args:
        path: Path of the run directory.
    """

    kind: ClassVar[str] = "classifier"
    schema: ClassVar[type[BaseModel]] = Result
    train: ClassVar[str] = "train"  # command that resumes the run
    retest: ClassVar[str] = "test the weights again with `keras-ilsvrc evaluate {}`"

    def __init__(self, path: Path):
        self.path = resolved(path)

    @cached_property
    def _stored(self) -> Identity:
        path = self.path / RUN
        advice = f"{COPY}, or choose another directory"
        table = parsed(path, advice, lambda: files.unsealed(files.read(path)))
        check_version(path, table)
        return parsed(path, advice, lambda: Identity.model_validate(table))

    @property
    def is_detector(self) -> bool:
        """Whether `run.json` says that the run is that of a detector."""
        return exists(self.path / RUN) and self._stored.kind == "detector"

    @cached_property
    def identity(self) -> Identity:
        """Content of `run.json`, which identifies the run.

        Raises:
            InputError: If `run.json` is missing, damaged, of another kind of run, or from a newer
                version of the package.
        """
        found = self._stored
        if found.kind != self.kind:
            detect = "`keras-ilsvrc detect ...`"
            use = f"use {detect}" if found.kind == "detector" else f"do not use {detect}"
            raise InputError(f"{self.path}: contains the run of a {found.kind}; {use}")
        return found

    @property
    def owner(self) -> dict[str, Any]:
        """Seed, recipe digest and image digest of the run. Every checkpoint contains a copy."""
        return self.identity.owner

    @property
    def finished(self) -> bool:
        """Whether `run.json` records the run as finished; `result.json` itself is not read."""
        return exists(self.path / RUN) and RESULT in self.identity.files

    @property
    def first(self) -> "RunFiles":
        """Reader of the run directory of the first stage of training."""
        return RunFiles(self.path / FIRST)

    def check_finished(self) -> Self:
        """Return this object if the run is finished.

        Raises:
            InputError: If the directory contains no finished run.
        """
        path = self.path
        if not exists(path):
            hint = nearest(path.name, [x.parent.name for x in path.parent.glob(f"*/{RUN}")])
            raise InputError(f"{path}: no such folder; {hint}".removesuffix("; "))
        for name in (RECIPE, RUN):
            if not exists(self.path / name):
                raise InputError(f"{path}: contains no finished run: {name} is missing")
        if not self.finished:
            advice = f"resume it: `{self.train} ... --resume`"
            raise InputError(f"{path}: the run is not finished; {advice}")
        return self

    def recipe(self) -> Recipe:
        """Return the recipe of the run; check its SHA-256."""
        self._verified(RECIPE, self.identity.recipe)
        return load(self.path / RECIPE)

    def result(self) -> dict[str, Any]:
        """Return the content of `result.json`, checked against its schema."""
        digest = self.check_finished().identity.files[RESULT]
        advice = self.retest.format(self.path)
        if not exists(self.path / RESULT):
            raise InputError(f"{self.path / RESULT}: missing; {COPY}, or {advice}")
        content = self._verified(RESULT, digest)
        table = parsed(self.path / RESULT, advice, lambda: json.loads(content))
        parsed(self.path / RESULT, advice, lambda: self.schema.model_validate(table))
        return table

    def statistics(self) -> "dict[str, np.ndarray] | None":
        """Return the statistics of the training images; None if they are not measured yet."""
        import numpy as np

        if not exists(self.path / RUN) or STATISTICS not in self.identity.files:
            return None
        content = self._verified(STATISTICS, self.identity.files[STATISTICS])

        def arrays() -> "dict[str, np.ndarray]":
            try:
                with np.load(io.BytesIO(content), allow_pickle=False) as file:
                    return dict(file)
            except zipfile.BadZipFile as error:
                raise ValueError("not an .npz file") from error

        return parsed(self.path / STATISTICS, COPY, arrays)

    def history(self) -> Rows:
        """Return the rows of `history.csv`, one per epoch; an empty cell is None."""
        from keras_ilsvrc.training.records import COLUMNS

        return self._table(HISTORY, COLUMNS)

    def gradients(self) -> list[dict[str, Any]]:
        """Return the rows of `gradients.csv`, one per layer and measurement.

        An empty cell is None. There are no rows if the recipe has no key `watch`.
        """
        from keras_ilsvrc.training.watch import FLOW_COLUMNS

        return self._table(GRADIENTS, FLOW_COLUMNS)

    def _table(self, name: str, columns: Sequence[str]) -> Rows:
        """Return the rows of a CSV file. All values except those of `layer` are numbers."""
        if name not in self.identity.files:  # not measured, or the disk was full
            return []
        content = self._verified(name, self.identity.files[name])

        def value(column: str, text: str) -> Any:
            return text if column == "layer" else float(text) if text else None

        def rows() -> Rows:
            reader = csv.DictReader(io.StringIO(content.decode(), newline=""))
            missing = [x for x in columns if x not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"column {missing[0]} is missing")
            return [{x: value(x, text) for x, text in row.items()} for row in reader]

        return parsed(self.path / name, COPY, rows)

    def weights(self) -> Path:
        """Check the SHA-256 of the trained weights, and return the path of their file."""
        return self._verified_weights(WEIGHTS)

    def kept_weights(self) -> dict[int, Path]:
        """Return the weight files kept after some epochs, as {epoch: path}; check their SHA-256."""
        names = self.identity.files
        found = {int(match[1]): name for name in names if (match := KEPT.search(name))}
        return {epoch: self._verified_weights(found[epoch]) for epoch in sorted(found)}

    def check_images(self, now: Identity, splits: Iterable[str], others: bool = False) -> list[str]:
        """Check that the classes and images of the current dataset are those of the run.

        Args:
            now: Identity with the current classes and images.
            splits: Names of the splits to compare.
            others: Whether to accept other images of the same classes, with a warning.

        Returns:
            Warnings: the images differ (only with `others`), or files of a split were rewritten
            with the same names and sizes.

        Raises:
            InputError: If the classes, or the images of one of the splits, have changed.
        """
        changes = self.identity.changes(now, list(splits))
        if others and changes and now.classes == self.identity.classes:
            return [f"{self.path}: the images differ from those of this run: {'; '.join(changes)}"]
        if changes:
            raise InputError(
                f"{self.path}: the images are not those of this run: {'; '.join(changes)}; "
                "restore them, or train a new run"
            )
        return [
            f"{self.path}: files of {name} were rewritten since this run started, with the same "
            "names and sizes; if their pixels have changed, the results will change"
            for name in self.identity.touched(now)
        ]

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
        reason = f"damaged, or from another run: its SHA-256 is not that in {RUN}"
        return InputError(f"{self.path / name}: {reason}; {COPY}")


class DetectorRun(RunFiles):
    """Reader of the files that a detector's run has in common with other runs."""

    kind: ClassVar[str] = "detector"
    train: ClassVar[str] = "detect train"
    retest: ClassVar[str] = "train a new run with `keras-ilsvrc detect train`"
