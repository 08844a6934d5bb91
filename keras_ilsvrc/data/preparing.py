"""Preparation of a data set: its images are resized once, and stored as JPEGs or raw pixels."""

import shutil
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.apply import NO_SEED
from keras_ilsvrc.data.decode import decode_bytes, is_plain_jpeg, raw_image
from keras_ilsvrc.data.fingerprint import common_folder, fingerprint
from keras_ilsvrc.data.ops import resize_shorter
from keras_ilsvrc.data.pipeline import CORES, as_written, naming_the_file, untuned
from keras_ilsvrc.data.prepared import (
    FORMAT,
    MANIFEST,
    SETTINGS,
    WRITING,
    array_record,
    check_sizes,
    index_record,
    read_table,
)
from keras_ilsvrc.data.source import Shares, Source
from keras_ilsvrc.data.sources import open_source
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.bars import bar
from keras_ilsvrc.utils.errors import InputError, reason

SHARD = 4096  # images per file
SAMPLE = 64  # number of images that are resized to estimate the size of the result
MARGIN = 1.05  # safety factor of the estimate, because the sample may differ from the other images
AHEAD = 16  # number of images that are encoded ahead of writing


@dataclass(frozen=True)
class Form:
    """Settings for resizing and storing images.

    Attributes:
        size: Length of the shorter side in pixels. Smaller images keep their size.
        quality: Quality of the JPEGs, 1 to 100; None to store raw pixels.
        antialias: Whether to resize with antialiasing, as in the op `resize_shorter`.
        channels: Number of channels, 1 or 3.
    """

    size: int = 256
    quality: int | None = 95
    antialias: bool = True
    channels: int = 3

    def __post_init__(self) -> None:
        for name, most in (("size", 2**15), ("quality", 100)):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= most:
                raise InputError(f"{name} is {value}; expected 1 to {most:,}")


@dataclass(frozen=True)
class Prepared:
    """Result of `prepare`.

    Attributes:
        images: Number of images of each split.
        size: Total size of the files in bytes.
        notes: Remarks on the source, and on splits that are left out, one line each.
    """

    images: dict[str, int]
    size: int
    notes: list[str]


def prepare(
    name: str, root: Path, form: Form, shares: Shares | None = None, shard: int = SHARD
) -> Prepared:
    """Resize all images of a source, and write them into a folder for the source `prepared:ROOT`.

    The process may be stopped or killed at any time. The next call keeps all complete files, and
    checks their SHA-256 if the folder was finished. JPEGs that need no resizing are copied.

    Args:
        name: Name of the source, as for `open_source`.
        root: Path of the new folder, or of a folder from a call with the same arguments.
        form: Settings for resizing and storing the images.
        shares: Shares of the images for splits that the source lacks, as for `open_source`.
        shard: Number of images per file.

    Raises:
        InputError: If an image is bad, if no image of a sample is larger than `form.size`, if the
            disk is too small, or if `root` was made from other images or with other settings.
    """
    array_record()
    source = open_source(name, form.channels, split=shares)
    splits, notes = _splits(source)
    settings = _settings(source, splits, form, shard)
    if root.exists():
        _compare(root, settings)
    _check_sample(splits, root, form)
    root.mkdir(parents=True, exist_ok=True)
    try:
        lock = files.lock(root / "lock")
    except files.Timeout as error:
        raise InputError(f"{root}: another process is writing into this folder") from error
    try:
        _compare(root, settings)  # again, since another process may have written meanwhile
        _write(root / SETTINGS, files.sealed(settings))
        shards = _write_shards(root, splits, form, shard)
        _write(root / MANIFEST, files.sealed({"shards": shards}))
    except (OSError, RuntimeError) as error:  # array_record raises RuntimeError
        raise InputError(
            f"{root}: cannot be written: {reason(error)}; run the same command again to continue"
        ) from error
    finally:
        lock.release()
    images = {title: len(split) for title, split in splits.items()}
    return Prepared(images, sum(one["bytes"] for one in shards.values()), notes)


def _splits(source: Source) -> tuple[dict[str, Split], list[str]]:
    """Return {name: split} of a source, and its notes with one on each split that is left out."""
    found: dict[str, Split] = {}
    notes = list(source.notes)
    for title in source.splits:
        try:
            found[title] = source.splits[title]
        except InputError as error:  # for example, a split of TFDS without labels
            notes.append(f"{title} is left out: {error}")
    if not any(map(len, found.values())):
        raise InputError(f"{source.name}: no split contains images that can be prepared")
    return found, notes


def _settings(source: Source, splits: dict[str, Split], form: Form, shard: int) -> dict[str, Any]:
    rows: dict[str, dict[str, Any]] = {}
    for title, split in splits.items():
        same = next((x for x in rows if splits[x] is split), None)
        rows[title] = {"same_as": same, **fingerprint(split)._asdict()}
    return {
        "format": FORMAT,
        "version": version("keras_ilsvrc"),
        "source": source.name,
        **asdict(form),
        "images_per_file": shard,
        "classes": list(source.classes),
        "splits": rows,
    }


def _compare(root: Path, settings: dict[str, Any]) -> None:
    """Raise an InputError if a folder was not made with these settings."""
    if not (root / SETTINGS).is_file():
        ours = ("lock", f"{files.PART}{SETTINGS}")  # remain if the process is killed at the start
        if not root.is_dir() or any(x.name not in ours for x in root.iterdir()):
            raise InputError(
                f"{root}: exists, and is not a folder of prepared data; choose another folder"
            )
        return
    old = read_table(root / SETTINGS)
    for key in settings:
        if key != "source" and old.get(key) != settings[key]:  # the images may have another path
            short = key not in ("classes", "splits")
            values = f" is {old.get(key)!r}, now it is {settings[key]!r}" if short else " differ"
            raise InputError(
                f"{root}: prepared from other images or with other settings: {key}{values}; "
                "delete it, or choose another folder"
            )


def _check_sample(splits: dict[str, Split], root: Path, form: Form) -> None:
    """Prepare a sample of the images, to check `form.size` and the free space on the disk."""
    stored = _stored(splits)
    total = sum(map(len, stored.values()))
    sizes, sides = [], []
    for split in stored.values():
        count = min(len(split), -(-SAMPLE * len(split) // total))
        chosen = np.linspace(0, len(split) - 1, count).astype("int64")
        for content, side in _contents(split, chosen, form):
            sizes.append(len(content))
            sides.append(side)
    if max(sides) < form.size:
        raise InputError(
            f"size is {form.size}, but none of {len(sides)} images has a shorter side above "
            f"{max(sides)}; choose a size of at most {max(sides)}"
        )
    there = sum(x.stat().st_size for x in root.glob("[!.]*.array_record"))
    wanted = int(np.mean(sizes) * total * MARGIN) - there
    place = next(x for x in (root, *root.absolute().parents) if x.exists())
    free = shutil.disk_usage(place).free
    if wanted > free:
        raise InputError(
            f"{root}: about {wanted / 1e9:,.1f} GB are needed, but {free / 1e9:,.1f} GB are free; "
            "free space, or choose another disk, a smaller size or JPEGs"
        )


def _stored(splits: dict[str, Split]) -> dict[str, Split]:
    """Return the splits, without those that are identical to an earlier split."""
    return {
        title: split
        for number, (title, split) in enumerate(splits.items())
        if not any(split is other for other in list(splits.values())[:number])
    }


def _write_shards(root: Path, splits: dict[str, Split], form: Form, shard: int) -> dict[str, Any]:
    """Write all missing files, and return {file name: size and SHA-256} for all files."""
    finished = (root / MANIFEST).is_file()
    known = read_table(root / MANIFEST)["shards"] if finished else {}
    check_sizes(root, {name: one for name, one in known.items() if (root / name).exists()})
    shards: dict[str, Any] = {}
    stored = _stored(splits)
    total, before = sum(map(len, stored.values())), 0
    with bar(f"preparing {root.name}") as progress:
        for title, split in stored.items():
            base = common_folder(split.name(index) for index in range(len(split)))
            for first in range(0, len(split), shard):
                path = root / f"{title}-{first // shard:05}.array_record"
                chosen = np.arange(first, min(first + shard, len(split)))
                if not path.exists():
                    for count in _written(path, split, chosen, form, base):
                        progress(before + count, total)
                before += len(chosen)
                progress(before, total)
                own = {"bytes": path.stat().st_size, "sha256": files.sha256(path)}
                if known.get(path.name, own) != own:
                    raise InputError(
                        f"{path}: damaged: its SHA-256 has changed; delete it, and run the same "
                        "command again"
                    )
                shards[path.name] = own
    return shards


def _written(path: Path, split: Split, chosen: np.ndarray, form: Form, base: str) -> Iterator[int]:
    """Write one file; after each image, yield the number of images in it so far."""
    with files.whole(path) as part:
        writer = array_record().ArrayRecordWriter(str(part), WRITING)
        contents = []
        for content, _ in _contents(split, chosen, form):
            writer.write(content)
            contents.append((len(content), zlib.crc32(content)))
            yield len(contents)
        names = [split.name(index)[len(base) :].lstrip("/") for index in chosen.tolist()]
        writer.write(index_record(split.labels[chosen].tolist(), names, contents))
        writer.close()


def _contents(split: Split, chosen: np.ndarray, form: Form) -> Iterator[tuple[bytes, int]]:
    """Yield, for each image, the bytes to store and the original length of its shorter side."""

    @as_written
    def made(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        content = None if split.pixels is not None else split.encoded(index)
        image = split.image(index) if content is None else decode_bytes(content, split.channels)
        side = tf.reduce_min(tf.shape(image)[:2])
        larger = side > form.size

        def resized() -> tf.Tensor:
            return resize_shorter(image, NO_SEED, form.size, form.antialias)

        pixels = tf.cond(larger, resized, lambda: image)
        if form.quality is None:
            return pixels, side

        def encoded() -> tf.Tensor:
            return tf.io.encode_jpeg(pixels, quality=form.quality)

        if content is None:
            return encoded(), side
        return tf.cond(is_plain_jpeg(content) & ~larger, lambda: content, encoded), side

    images = tf.data.Dataset.from_tensor_slices(chosen).map(made, CORES).prefetch(AHEAD)
    done = 0
    with naming_the_file(split, [], {}, lambda: chosen[done : done + AHEAD + 2 * CORES].tolist()):
        for one, side in images.with_options(untuned()).as_numpy_iterator():
            done += 1
            yield raw_image(one) if form.quality is None else one, int(side)


def _write(path: Path, content: bytes) -> None:
    with files.whole(path) as part:
        part.write_bytes(content)
