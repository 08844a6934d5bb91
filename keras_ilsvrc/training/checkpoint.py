"""Checkpoints: whole or not there, and never damaged in silence."""

import contextlib
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.files import PART, whole

NAME = "step-{:09d}.ckpt"
DIGEST = 64  # hexadecimal digits of SHA-256, with which a file begins
STATE = "state.json"


class Damaged(InputError):
    """A file that is not what was written."""


@dataclass
class State:
    """A training between two steps.

    Args:
        arrays: Every variable, by name.
        facts: What else is needed to go on, as JSON has it: step, epochs, sums, callbacks.
    """

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any] = field(default_factory=dict)


class Facts(BaseModel):
    """What a checkpoint of a trainer contains beside its arrays.

    Attributes:
        step: Steps taken.
        epochs: Epochs ended.
        replicas: Number of replicas that trained.
        threads: Threads of an operation, on which the rounding of sums depends.
        sums: Of the epoch so far, by the name of the measure.
        skipped: Steps that are passed over, for their gradient was not finite.
        left_out: State of `LeftOut`.
        stop_training: Whether a callback has asked for the end.
        callbacks: State of each callback, in order.
        owner: What the training belongs to.
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


def write(path: Path, state: State) -> None:
    """Write one file: the SHA-256 of all that follows, then a zip of arrays and facts.

    Raises:
        OSError: If it cannot be written; nothing is left of it then.
    """
    with whole(path) as part, open(part, "wb") as file:
        file.write(b"0" * DIGEST + b"\n")
        hashed = _Hashed(file)
        pack(hashed, state)
        file.seek(0)
        file.write(hashed.digest())


def read(path: Path) -> State:
    """Reads what `write` wrote.

    Raises:
        Damaged: If a single bit of it has changed.
    """
    if not path.is_file():
        raise Damaged(f"{path}: not a regular file")
    content = path.read_bytes()
    digest, payload = content[:DIGEST], memoryview(content)[DIGEST + 1 :]
    expected = hashlib.sha256(payload).hexdigest().encode()
    if digest != expected or content[DIGEST : DIGEST + 1] != b"\n":
        raise Damaged(f"{path}: damaged: its {len(content):,} bytes do not match their SHA-256")
    return unpack(payload)


def pack(file: Any, state: State) -> None:
    """Arrays and facts as a zip, written from start to end."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(STATE, json.dumps(state.facts))
        for name, array in state.arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def unpack(content: bytes | memoryview) -> State:
    """What `pack` packed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
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
    """The newest checkpoints of a run, in a directory of their own.

    Args:
        directory: Made when the first is written; None on a worker that is not the chief, which
            keeps none.
        owner: What the training belongs to, as JSON has it; written into every checkpoint.
        keep: How many stay; with two, one is whole whatever happens to the other.
    """

    def __init__(
        self, directory: Path | None, owner: Mapping[str, Any] | None = None, keep: int = 2
    ):
        self.directory, self.owner, self.keep = directory, dict(owner or {}), keep

    def paths(self) -> list[Path]:
        """Newest first."""
        if self.directory is None or not self.directory.is_dir():
            return []
        named = [x for x in self.directory.iterdir() if re.fullmatch(r"step-\d{9,}\.ckpt", x.name)]
        return sorted(named, reverse=True)

    def save(self, step: int, state: State) -> Path | None:
        """Writes the state after so many steps, and removes what is older than `keep`.

        Raises:
            OSError: If it cannot be written; those before it are untouched.
            ValueError: If a value of it is not finite.
        """
        for name, array in state.arrays.items():
            if not np.isfinite(array).all():
                raise ValueError(f"{name} is not finite after step {step}")
        if self.directory is None:
            return None
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / NAME.format(step)
        owner = {"owner": self.owner} if self.owner else {}
        write(path, State(state.arrays, state.facts | owner))
        found = self.paths()
        later = found[: found.index(path)]  # damaged: training has come back from these steps
        left = [*later, *found[found.index(path) + self.keep :], *self.directory.glob(f"{PART}*")]
        for old in left:
            with contextlib.suppress(OSError):  # a folder of that name is not ours
                old.unlink()
        return path

    def latest(self) -> tuple[State | None, list[str]]:
        """Return the newest state that is whole, or None; and a line for each damaged file.

        Raises:
            InputError: If it belongs to another training.
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
                    f"{path}: of another training, with another {' and '.join(others)}; remove it, "
                    "or choose another --out"
                )
            return state, damaged
        return None, damaged


class _Hashed(io.RawIOBase):
    """A file that is written once from start to end, and hashed on the way."""

    def __init__(self, file: Any):
        self.file, self.hash = file, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        self.hash.update(data)
        return self.file.write(data)

    def digest(self) -> bytes:
        return self.hash.hexdigest().encode()
