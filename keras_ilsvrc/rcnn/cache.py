"""Cache of arrays on disk: proposals and features of images, so that work can be resumed."""

import hashlib
import io
import logging
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_ilsvrc.runs import places
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import InputError, reason

KEY = "cache.json"  # file with the key of a cache, which describes its content
END = ".npz"
GIGABYTE = 10**9
log = logging.getLogger("keras_ilsvrc")


def default_folder(kind: str, key: Mapping[str, Any]) -> Path:
    """Return the folder in the package's cache for the arrays that a key describes."""
    digest = hashlib.sha256(files.sealed(key)).hexdigest()[:24]
    return files.cache_folder() / "rcnn" / kind / digest


class Cache:
    """Cache folder with one file of arrays per image, all computed with the same settings.

    A damaged file counts as missing. If this cache and the other caches in the parent folder
    exceed the size limit, the least recently used of the others are removed. If this is not
    enough, nothing more is added.

    Args:
        folder: Path of the folder.
        key: Settings that determine the arrays, for example the digest of the weights; JSON types.
        limit: Maximum size in bytes of all caches in the parent folder together.
        alone: Whether the user chose the folder. Other folders are then ignored.

    Raises:
        InputError: If the folder belongs to another key, or cannot be written.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any], limit: int, alone: bool = False):
        self.folder, self.limit, self.alone = folder, limit, alone
        self.full = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / KEY).exists():
                self._check(key)
                os.utime(folder / KEY)
            elif any(folder.iterdir()):
                raise InputError(f"{folder}: contains other files; choose another --cache")
            else:
                with files.whole(folder / KEY) as part:
                    part.write_bytes(files.sealed(key))
        except OSError as error:
            raise InputError(f"{folder}: cannot be written: {reason(error)}") from error
        self.size = sum(_size(each) for each in self._folders())

    def _check(self, key: Mapping[str, Any]) -> None:
        path = self.folder / KEY
        try:
            stored = files.unsealed(files.read(path, files.SMALL))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path}: damaged; remove {self.folder}") from error
        for name in [*key, *stored]:
            if stored.get(name) != key.get(name):
                raise InputError(
                    f"{self.folder}: the cache of another run: its {name} is "
                    f"{stored.get(name)!r:.60}, but this run has {key.get(name)!r:.60}; choose "
                    "another --cache"
                )

    def get(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays of an image; None if there are none, or if their file is damaged."""
        try:
            with (
                files.open_sealed(self.folder / f"{name}{END}") as file,
                np.load(io.BytesIO(file.read()), allow_pickle=False) as archive,
            ):
                return dict(archive)
        except FileNotFoundError:
            return None
        except (files.Damaged, OSError, ValueError, zipfile.BadZipFile) as error:
            log.info("%s; computing it again", reason(error))
            return None

    def put(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the arrays of an image, unless the cache or the disk is full."""
        need = sum(each.nbytes for each in arrays.values())
        if self.full or (self.size + need > self.limit and not self._make_room(need)):
            return
        try:
            named: dict[str, Any] = dict(arrays)
            files.write_sealed(self.folder / f"{name}{END}", lambda file: np.savez(file, **named))
            self.size += need
        except OSError as error:
            self._stop(reason(error))

    def _make_room(self, need: int) -> bool:
        """Remove the least recently used other caches until `need` bytes fit; return whether so."""
        for each in self._folders()[:-1]:
            for path in (*each.glob(f"*{END}"), each / KEY):
                path.unlink(missing_ok=True)
            places.remove_empty([each])
            self.size = sum(_size(one) for one in self._folders())
            if self.size + need <= self.limit:
                return True
        self._stop(f"it has reached {self.limit / GIGABYTE:g} GB (--cache-size)")
        return False

    def _stop(self, why: str) -> None:
        self.full = True
        log.warning("%s: nothing more is added to this cache: %s", self.folder, why)

    def _folders(self) -> list[Path]:
        """Return the other caches, the least recently used first, and this folder as the last."""
        if self.alone:
            return [self.folder]
        others = [x for x in self.folder.parent.iterdir() if (x / KEY).is_file()]
        others.sort(key=lambda path: (path / KEY).stat().st_mtime)
        return [*(x for x in others if x != self.folder), self.folder]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"*{END}"))
