"""The data source `tfds:NAME`: data sets that TensorFlow Datasets has prepared on this machine."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_ilsvrc.data.pipeline import untuned
from keras_ilsvrc.data.source import Source, reading
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Held, Records
from keras_ilsvrc.utils.bars import tracked
from keras_ilsvrc.utils.errors import InputError, nearest

IN_MEMORY = 4 << 30  # splits with fewer bytes than this are kept in memory
VERSION = re.compile(r"\d+\.\d+\.\d+")


class Lazy(Mapping[str, Split]):
    """Mapping from split names to splits, each of which is read when it is first used."""

    def __init__(self, names: Iterable[str], read: Callable[[str], Split]):
        self.names, self.read = tuple(names), read
        self.known: dict[str, Split] = {}

    def __getitem__(self, name: str) -> Split:
        if name not in self.names:
            raise KeyError(name)
        if name not in self.known:
            self.known[name] = self.read(name)
        return self.known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def tfds_source(name: str, channels: int = 3) -> Source:
    """Open an image classification data set that TensorFlow Datasets has prepared.

    The data set is searched for in `TFDS_DATA_DIR`, by default `~/tensorflow_datasets`; nothing is
    downloaded. The splits have the same names as in TFDS, and are read when they are first used. If
    a split is smaller than 4 GiB, all its encoded images are read into memory. A larger split must
    be prepared in the file format array_record; then only its labels are read into memory.

    Args:
        name: `NAME` or `NAME/CONFIG`, optionally followed by `:VERSION`.
        channels: Number of channels to decode to, 1 or 3.

    Raises:
        InputError: If the data set is not prepared (the message gives the command that prepares
            it), or if it does not contain images with one class each.
    """
    path = find_prepared(name)
    import tensorflow_datasets as tfds

    with reading(f"tfds:{name}: {path}"):
        builder = tfds.builder_from_directory(path)
    features, keys = builder.info.features, builder.info.supervised_keys
    try:
        image, label = keys
        fits = isinstance(features[image], tfds.features.Image) and isinstance(
            features[label], tfds.features.ClassLabel
        )
    except (TypeError, ValueError, KeyError):
        fits = False
    if not fits or features[image].dtype != np.uint8:
        raise InputError(
            f"tfds:{name}: its supervised keys are {keys}; expected a uint8 image and a class label"
        )

    def read(split: str) -> Split:
        with reading(f"tfds:{name} {split}: {path}"):
            return _read(builder, f"{name} {split}", split, image, label, channels)

    return Source(f"tfds:{name}", Lazy(builder.info.splits, read), tuple(features[label].names))


def find_prepared(name: str) -> Path:
    """Return the directory of a prepared TFDS data set, by default of its newest version.

    Raises:
        InputError: If the data set is not prepared; the message gives the command that prepares it.
    """
    match = re.fullmatch(r"(\w+)(?:/([\w.-]+))?(?::([\d.]+))?", name)
    if not match:
        raise InputError(f"tfds:{name}: expected tfds:NAME, optionally with /CONFIG and :VERSION")
    dataset, config, version = match.groups()
    home = Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    base = home / dataset
    if config is None and not _versions(base):
        configs = [x.name for x in sorted(base.glob("*")) if _versions(x)]
        if len(configs) > 1:
            raise InputError(
                f"tfds:{name}: choose a config, e.g. {dataset}/{configs[0]}; prepared: "
                + ", ".join(configs)
            )
        config = configs[0] if configs else None
    base = base / (config or "")
    versions = _versions(base)
    if version in versions or (version is None and versions):
        return base / (version or versions[-1])
    wanted = f"{dataset}/{config}" if config else dataset
    raise InputError(
        f"tfds:{name}: {_expected(dataset, version)} is not prepared in {home}"
        + (f", only {', '.join(versions)}" if versions else "")
        + f"; prepare it: tfds build {wanted}{f':{version}' if version else ''}"
    )


def _versions(base: Path) -> list[str]:
    found = [x.name for x in base.glob("*") if VERSION.fullmatch(x.name)]
    whole = [x for x in found if (base / x / "dataset_info.json").is_file()]
    return sorted(whole, key=lambda x: tuple(map(int, x.split("."))))


def _expected(dataset: str, version: str | None) -> str:
    """Return a phrase for a missing data set in an error message: `version 3.0.2 of mnist`."""
    import tensorflow_datasets as tfds

    try:
        version = version or tfds.builder_cls(dataset).VERSION
    except tfds.core.DatasetNotFoundError:
        hint = nearest(dataset, tfds.list_builders(with_community_datasets=False))
        return f"{dataset} is unknown to TFDS ({hint}) and" if hint else dataset
    return f"version {version} of {dataset}" if version else dataset


def _read(builder: Any, title: str, split: str, image: str, label: str, channels: int) -> Split:
    import tensorflow_datasets as tfds

    info = builder.info.splits[split]
    small = info.num_bytes < IN_MEMORY
    encoded = {
        key: tfds.decode.SkipDecoding()
        for key, feature in builder.info.features.items()
        if isinstance(feature, tfds.features.Image)
    }
    if builder.info.file_format.value == "array_record":
        records = builder.as_data_source(split, decoders=encoded)
    elif small:
        # Files are read one after another, so that records come in the order of their indices.
        config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
        dataset = builder.as_dataset(split=split, decoders=encoded, read_config=config)
        records = dataset.with_options(untuned()).as_numpy_iterator()
    else:
        raise InputError(
            f"tfds:{title}: {info.num_bytes / 2**30:.1f} GiB are too much for memory; prepare "
            f"it as array_record: tfds build {builder.name} --file_format=array_record"
        )
    labels, contents = [], []
    for record in tracked(records, info.num_examples, f"reading {title}"):
        labels.append(record[label])
        if small:
            contents.append(record[image])
    if min(labels, default=0) < 0:
        raise InputError(f"tfds:{title}: this split has images without labels; use another split")
    store = Held(title, contents) if small else Records(title, records, image)
    return Split(np.array(labels, "int32"), None, store, channels)
