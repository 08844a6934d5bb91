"""Checkpoint files, which are written atomically and checked for damage when they are read."""

import contextlib
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from keras_ilsvrc.utils.errors import InputError, counted
from keras_ilsvrc.utils.files import PART, Damaged, open_sealed, write_sealed

NAME = "step-{:09d}.ckpt"
STATE = "state.json"


class NotFinite(ValueError):
    """Error for a training state with values that are NaN or infinite."""


@dataclass
class State:
    """Snapshot of the training state after a step.

    Args:
        arrays: Values of all variables, by name.
        facts: Other values needed to resume, as JSON types; `Facts` lists them.
    """

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any] = field(default_factory=dict)


class Facts(BaseModel):
    """Values in a checkpoint other than its arrays, for example the number of steps taken.

    Attributes:
        step: Number of steps taken.
        epochs: Number of epochs completed.
        replicas: Number of replicas.
        threads: Number of threads per operation, which affects the rounding of sums.
        sums: Sums over the steps of the current epoch so far: loss, accuracy, seconds of waiting
            for images, number of steps.
        skipped: Numbers of the steps that are skipped because their gradient was not finite.
        left_out: State of `LeftOut`, the list of training images that are left out.
        stop_training: Whether a callback has asked training to stop.
        callbacks: State of each callback, in order.
        owner: Identity of the run that the checkpoint belongs to.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    step: int
    epochs: int
    replicas: int
    threads: int
    sums: dict[str, float]
    skipped: list[int]
    left_out: dict[str, str] | None
    stop_training: bool
    callbacks: list[dict[str, Any]]
    owner: dict[str, Any] = {}

    @classmethod
    def of(cls, state: State, replicas: int) -> "Facts":
        """Parse the facts in a training state, and check that this run can resume from the state.

        Raises:
            InputError: If the facts were written by another version of the package, or by
                training on another number of replicas.
        """
        try:
            facts = cls.model_validate(state.facts)
        except ValidationError as error:
            raise InputError(
                "the checkpoints were written by another version of this package; choose another "
                "directory"
            ) from error
        if facts.replicas != replicas:
            before = counted(facts.replicas, "replica")
            raise InputError(
                f"the checkpoints were written with {before}, but this run has {replicas}; resume "
                f"it with {before} in total"
            )
        return facts


def write(path: Path, state: State) -> None:
    """Write a checkpoint file: a SHA-256 digest, followed by a zip file of arrays and facts.

    Raises:
        OSError: If the file cannot be written; no partial file is left.
    """
    write_sealed(path, lambda file: pack(file, state))


def read(path: Path) -> State:
    """Read a checkpoint file that `write` wrote, and verify its SHA-256 digest.

    Raises:
        Damaged: If the file is missing, or its content does not match the digest.
    """
    if not path.is_file():
        raise Damaged(f"{path}: not a regular file")
    with open_sealed(path) as file:
        return unpack(file)


def pack(file: Any, state: State) -> None:
    """Write a training state to `file` in zip format. The file need not support seeking."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(STATE, json.dumps(state.facts))
        for name, array in state.arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def unpack(file: Any) -> State:
    """Read a training state from a zip file that `pack` wrote, one array at a time.

    Args:
        file: Seekable file; other bytes may come before the zip file.
    """
    with zipfile.ZipFile(file) as archive:
        facts = json.loads(archive.read(STATE))
        names = [name for name in archive.namelist() if name != STATE]
        arrays = {}
        for name in names:
            with archive.open(name) as member:
                arrays[name.removesuffix(".npy")] = np.lib.format.read_array(
                    member, allow_pickle=False
                )
    return State(arrays, facts)


class Checkpoints:
    """Directory with the newest checkpoints of a run.

    Args:
        directory: Path of the directory, which is created with the first checkpoint. None on
            workers other than the chief, which write no checkpoints.
        owner: Identity of the run as JSON types, which is written into every checkpoint.
        keep: Number of checkpoints to keep. With at least two, training can resume from an older
            checkpoint if the newest is damaged.
    """

    def __init__(
        self, directory: Path | None, owner: Mapping[str, Any] | None = None, keep: int = 2
    ):
        self.directory, self.owner, self.keep = directory, dict(owner or {}), keep

    def paths(self) -> list[Path]:
        """Return the checkpoint files, newest first."""
        if self.directory is None or not self.directory.is_dir():
            return []
        named = [x for x in self.directory.iterdir() if re.fullmatch(r"step-\d{9,}\.ckpt", x.name)]
        return sorted(named, reverse=True)

    def save(self, step: int, state: State) -> Path | None:
        """Write the state after `step` steps, and delete all but the newest `keep` checkpoints.

        Raises:
            OSError: If the state cannot be written; earlier checkpoints are untouched.
            NotFinite: If a value in the arrays is not finite.
        """
        for name, array in state.arrays.items():
            if not np.isfinite(array).all():
                raise NotFinite(f"{name} contains NaN or infinite values after step {step}")
        if self.directory is None:
            return None
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / NAME.format(step)
        owner = {"owner": self.owner} if self.owner else {}
        write(path, State(state.arrays, state.facts | owner))
        found = self.paths()
        # Checkpoints of later steps are deleted too. They are damaged: otherwise training would
        # have resumed from them.
        later = found[: found.index(path)]
        left = [*later, *found[found.index(path) + self.keep :], *self.directory.glob(f"{PART}*")]
        for old in left:
            with contextlib.suppress(OSError):  # `unlink` fails if the path is a directory
                old.unlink()
        return path

    def latest(self) -> tuple[State | None, list[str]]:
        """Return the newest undamaged state, or None, and a message for each damaged file.

        Raises:
            InputError: If the newest undamaged checkpoint belongs to another run.
        """
        damaged: list[str] = []
        for path in self.paths():
            try:
                state = read(path)
            except (Damaged, OSError) as error:
                damaged.append(str(error))
                continue
            owner = state.facts.get("owner", {})
            others = [key for key in self.owner if owner.get(key) != self.owner[key]]
            if others:
                raise InputError(
                    f"{path}: belongs to a run with another {' and '.join(others)}; remove this "
                    "file, or choose another directory"
                )
            return state, damaged
        return None, damaged
