"""The data source `prepared:FOLDER`: images that `data prepare` has resized and stored once."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from keras_ilsvrc.data.source import Source
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import ReadByPython
from keras_ilsvrc.utils.errors import InputError, reason
from keras_ilsvrc.utils.files import read, unsealed

FORMAT = 1  # version of the format of prepared folders; folders of other versions are rejected
SETTINGS, MANIFEST = "settings.json", "manifest.json"
# Options of array_record: each image is one record, and is read without reading ahead.
WRITING, READING = "group_size:1,uncompressed", "readahead_buffer_size:0"
BUFFER = 1 << 15  # bytes


class Shards(ReadByPython):
    """Store of images in array_record files. The last record of each file is its index.

    Args:
        title: Name of the store for messages, such as `photos256/train`.
        paths: Paths of the files, in order.

    Raises:
        InputError: If the index of a file is damaged.
    """

    def __init__(self, title: str, paths: Sequence[Path]):
        self.title, self.paths = title, paths
        opened = array_record().ArrayRecordReader
        self.readers = [opened(str(x), READING, file_reader_buffer_size=BUFFER) for x in paths]
        self.indices = [_index(path, own) for path, own in zip(paths, self.readers)]
        self.starts = np.array([0, *accumulate(len(x["labels"]) for x in self.indices)])

    def _all(self, key: str) -> list[Any]:
        return [value for index in self.indices for value in index[key]]

    @cached_property
    def labels(self) -> np.ndarray:
        """Class indices of all images, (images,), int32."""
        return np.array(self._all("labels"), "int32")

    @cached_property
    def _names(self) -> list[str]:
        return self._all("names")

    @cached_property
    def _versions(self) -> list[tuple[int, int]]:
        return list(zip(self._all("sizes"), self._all("checksums")))

    def name(self, row: int) -> str:
        return f"{self.title}!{self._names[row]}"

    def read(self, row: int) -> bytes:
        which = int(np.searchsorted(self.starts, row, "right")) - 1
        return self.readers[which].read([row - int(self.starts[which])])[0]

    def version(self, row: int) -> tuple[int, int]:
        return self._versions[row]


def array_record() -> Any:
    """Import and return the module `array_record_module`.

    Raises:
        InputError: If the package is not installed.
    """
    try:
        from array_record.python import array_record_module
    except ImportError as error:
        raise InputError(
            "prepared data needs the package array_record; install it: "
            "python -m pip install array_record"
        ) from error
    return array_record_module


def prepared(root: Path, channels: int = 3) -> Source:
    """Open a folder that `data prepare` has written, and check the size of every file.

    The images are read later, by index. Whenever an image is read, array_record verifies the
    checksum of its bytes.

    Args:
        root: Path of the folder.
        channels: Number of channels of the prepared images, 1 or 3.

    Raises:
        InputError: If the preparation is not finished, if the folder has another format or number
            of channels, or if a file is missing or damaged.
    """
    if not (root / SETTINGS).is_file():
        raise InputError(f"{root}: not a folder of prepared data: it contains no {SETTINGS}")
    settings = read_table(root / SETTINGS)
    if settings.get("format") != FORMAT:
        raise InputError(
            f"{root}: prepared data of format {settings.get('format')}, but this version reads "
            f"format {FORMAT}; prepare the data again"
        )
    if not (root / MANIFEST).is_file():
        raise InputError(
            f"{root}: the preparation is not finished; run the same `data prepare` command again"
        )
    if settings["channels"] != channels:
        raise InputError(
            f"{root}: prepared with {settings['channels']} channels, but {channels} are needed; "
            f"prepare the data again with --channels {channels}"
        )
    shards = read_table(root / MANIFEST)["shards"]
    check_sizes(root, shards)
    splits: dict[str, Split] = {}
    for name, own in settings["splits"].items():
        if own["same_as"]:
            splits[name] = splits[own["same_as"]]
            continue
        store = Shards(f"{root}/{name}", [root / x for x in shards if stem(x) == name])
        splits[name] = Split(store.labels, None, store, channels)
    return Source(f"prepared:{root}", splits, tuple(settings["classes"]))


def stem(shard: str) -> str:
    """Return the split from a file name: `train` from `train-00000.array_record`."""
    return shard.rpartition("-")[0]


def check_sizes(root: Path, shards: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise an InputError if a file is missing, or does not have the size that was written."""
    for name, own in shards.items():
        path = root / name
        found = path.stat().st_size if path.is_file() else None
        if found != own["bytes"]:
            what = "is missing" if found is None else f"has {found:,} bytes"
            raise InputError(
                f"{path}: {what}, expected {own['bytes']:,} bytes; delete it and run the same "
                "`data prepare` command again"
            )


def read_table(path: Path) -> dict[str, Any]:
    """Read `SETTINGS` or `MANIFEST`.

    Raises:
        InputError: If the file is damaged.
    """
    content = read(path)
    try:
        return unsealed(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged: {reason(error)}; prepare the data again") from error


def index_record(labels: list[int], names: list[str], contents: Sequence[Any]) -> bytes:
    """Return the index record, which is the last record of a file.

    Args:
        labels: Class index of each image in the file.
        names: Name of each image.
        contents: Size in bytes and CRC-32 of each image.
    """
    sizes, checksums = zip(*contents)
    table = {"labels": labels, "names": names, "sizes": sizes, "checksums": checksums}
    return json.dumps(table).encode()


def _index(path: Path, reader: Any) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(reader.read([reader.num_records() - 1])[0])
    except Exception as error:  # array_record raises errors of several types
        raise InputError(
            f"{path}: damaged: its index cannot be read; delete it, and run the same "
            "`data prepare` command again"
        ) from error
    return found
