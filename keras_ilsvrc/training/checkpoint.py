"""Checkpoints: whole or not there, and never damaged in silence."""

import contextlib
import hashlib
import io
import json
import os
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_ilsvrc.errors import InputError

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


def write(path: Path, state: State) -> None:
    """Writes one file: the SHA-256 of all that follows, then a zip of arrays and facts.

    It is written beside its place, flushed to the disk, and renamed, so that a kill at any
    instant leaves the file whole or absent.

    Raises:
        OSError: If it cannot be written; nothing is left of it then.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with open(part, "wb") as file:
            file.write(b"0" * DIGEST + b"\n")
            hashed = _Hashed(file)
            pack(hashed, state)
            file.seek(0)
            file.write(hashed.digest())
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    _flush_directory(path.parent)


def read(path: Path) -> State:
    """Reads what `write` wrote.

    Raises:
        Damaged: If a single bit of it has changed.
    """
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
        keep: How many stay; with two, one is whole whatever happens to the other.
    """

    def __init__(self, directory: Path | None, keep: int = 2):
        self.directory, self.keep = directory, keep

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
        write(path, state)
        held = self.paths()
        damaged = held[: held.index(path)]  # of later steps, which training has come back from
        for old in damaged + held[held.index(path) + self.keep :]:
            old.unlink()
        for part in self.directory.glob(".*.part"):
            part.unlink()
        return path

    def latest(self) -> tuple[State | None, list[str]]:
        """The newest state that is whole, None if there is none; and the damaged files' errors."""
        damaged: list[str] = []
        for path in self.paths():
            try:
                return read(path), damaged
            except (Damaged, OSError) as error:
                damaged.append(str(error))
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


def _flush_directory(directory: Path) -> None:
    """A rename is safe from a power cut when its directory is on the disk."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
