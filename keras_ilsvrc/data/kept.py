"""Cache files with results about a data set, such as the headers of its files, for later runs."""

import hashlib
import logging
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import reason

LEAST = 10_000  # minimum number of images for which results are cached
STAMP = "stamp"  # name of the array that contains the stamp
log = logging.getLogger(__name__)


class Kept:
    """Cache file with arrays about one data set, such as the index of a tar or the mean image.

    The file is written atomically. It is not used if it is damaged, if its stamp differs, or if
    another version of this package or of Pillow wrote it. Several processes may use it at once.

    Args:
        kind: Kind of the content in one word, such as `statistics`.
        place: Text that identifies the data set. There is one file per kind and place.
        stamp: Text that changes when the cached content becomes invalid.

    Attributes:
        loaded: Whether `load` has found a valid file.
    """

    def __init__(self, kind: str, place: str, stamp: str = ""):
        self.loaded = False
        digest = hashlib.sha256(os.fsencode(place)).hexdigest()[:32]
        self.path = files.cache_folder() / "data" / f"{kind}-{digest}"
        writers = f"{version('keras_ilsvrc')} {PIL.__version__}"
        self.stamp = np.frombuffer(
            hashlib.sha256(os.fsencode(f"{writers}\0{stamp}")).digest(), "u1"
        )

    def load(self) -> dict[str, np.ndarray]:
        """Return the arrays; an empty dict if there is no valid file. A damaged file is logged."""
        try:
            with files.open_sealed(self.path) as file, np.load(file, allow_pickle=False) as held:
                found = dict(held)
        except FileNotFoundError:
            return {}
        except (files.Damaged, OSError) as error:
            log.info("%s; computing its content again", reason(error))
            return {}
        self.loaded = np.array_equal(found.pop(STAMP), self.stamp)
        return found if self.loaded else {}

    def save(self, **arrays: Any) -> None:
        """Write the file, unless another process is writing it. If this fails, log the reason."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = files.lock(Path(f"{self.path}.lock"))
        except files.Timeout:
            return
        except OSError as error:
            self._log_unkept(error)
            return
        try:
            arrays |= {STAMP: self.stamp}
            files.write_sealed(self.path, lambda file: np.savez(file, **arrays))
        except OSError as error:
            self._log_unkept(error)
        finally:
            lock.release()

    def _log_unkept(self, error: OSError) -> None:
        log.info("%s: cannot be written: %s; the next start is slower", self.path, reason(error))
