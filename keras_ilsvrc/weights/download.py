"""Download of published weight files into a cache folder. Each use checks the file's SHA-256."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.bars import bar
from keras_ilsvrc.utils.errors import InputError, reason
from keras_ilsvrc.weights.sources.source import Source

if TYPE_CHECKING:
    from pooch.typing import Downloader

OFFLINE = "KERAS_ILSVRC_OFFLINE"  # environment variable that turns off downloads
RETRIES = 2  # attempts after a failed download
CHUNK = 1 << 20  # bytes of a download that are read at a time


class _Progress:
    """Adapter that passes pooch's progress in bytes on to a progress bar in megabytes."""

    def __init__(self, show: Callable[[int, int], None]):
        self.show, self.total, self.done = show, 0, 0

    def update(self, count: int) -> None:
        self.done += count
        self.show(self.done >> 20, max(self.done, self.total) >> 20)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        """Do nothing, since the bar is closed where it was opened."""


def fetch(source: Source, sha256: str | None = None) -> Path:
    """Return the path of a published file in the cache folder; download it if it is missing.

    The environment variable KERAS_ILSVRC_CACHE names the folder; by default, it is in the user's
    cache folder. If KERAS_ILSVRC_OFFLINE is set to anything but 0, nothing is downloaded.

    Args:
        source: The published weights.
        sha256: SHA-256 that the user expects, which must be that of `source`; None for no check.

    Raises:
        InputError: If the SHA-256 or the address is not known, the download fails, or the file has
            another SHA-256. No part of such a download is kept.
    """
    known = _check_hash(source, sha256)
    folder = files.cache_folder()
    if _has(folder / source.file, known):
        return folder / source.file
    if os.environ.get(OFFLINE, "0") not in ("", "0"):
        raise InputError(
            f"{source.file}: {folder} has no such file with SHA-256 {known}, and downloads are off "
            f"because {OFFLINE} is set; get the file from {_place(source)} and put it into "
            f"{folder}"
        )
    if source.url is None or not source.url.startswith("https://"):
        raise InputError(
            f"{source.file} cannot be downloaded, because no HTTPS address is known; get it from "
            f"{_place(source)} and put it into {folder}, or pass weights=PATH"
        )
    with bar(f"{source.file} (MB)") as show:
        return _download(source.file, source.url, known, folder, downloader(_Progress(show)))


def downloader(progress: _Progress) -> "Downloader":
    """Return the function that pooch calls to download a file."""
    import pooch

    made: Downloader = pooch.HTTPDownloader(progress, CHUNK)
    return made


def _check_hash(source: Source, sha256: str | None) -> str:
    """Return the SHA-256 that a file must have. Raise an InputError if it is not known."""
    given, known = sha256 and files.check_sha256(sha256), source.sha256
    if known is None:
        raise InputError(
            f"{source.name} weights of {source.net} cannot be downloaded by name, because the "
            f"SHA-256 of {source.file} is not known; get the file from {_place(source)} and pass "
            "weights=PATH, with sha256= (--sha256) to pin it"
        )
    if given not in (None, known):
        raise InputError(f"sha256 is {sha256}, but the SHA-256 of {source.file} is {known}")
    return known


def _place(source: Source) -> str:
    """Return where to get a file by hand: the address, and notes if it is not that of the file."""
    place = source.url or "its publisher"
    if place.endswith(source.file) or not source.notes:
        return place
    return f"{place} ({'; '.join(source.notes)})"


def _has(path: Path, known: str) -> bool:
    """Return whether the file at `path` exists and has this SHA-256."""
    import pooch

    try:
        return path.is_file() and pooch.file_hash(path) == known
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error


def _download(file: str, url: str, known: str, folder: Path, by: "Downloader") -> Path:
    import pooch

    pooch.get_logger().setLevel("ERROR")  # our progress bar and errors replace pooch's messages
    store = pooch.create(
        folder, "", registry={file: f"sha256:{known}"}, urls={file: url}, retry_if_failed=RETRIES
    )
    try:
        return Path(store.fetch(file, downloader=by))
    except ValueError as error:  # raised by pooch if the SHA-256 is wrong
        raise InputError(
            f"{file}: the download from {url} did not have the SHA-256 {known}, and was "
            "deleted; try again later, or get the file elsewhere and pass weights=PATH"
        ) from error
    except OSError as error:  # base class of the errors of requests
        raise InputError(
            f"{file}: cannot be downloaded from {url} into {folder}: {reason(error)}; try again, "
            "or get the file elsewhere and pass weights=PATH"
        ) from error
