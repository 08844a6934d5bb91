"""Where images come from: every source is read by index."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_ilsvrc.errors import InputError, nearest

SPLITS = ("train", "validation", "test")
SHARES = {"validation": 0.2, "test": 0.2}  # of a folder without splits, as of the digits


@dataclass(frozen=True)
class Split:
    """Some images of a source.

    Attributes:
        labels: (images,), int32.
        pixels: (images, height, width, channels), uint8, where they are held in memory.
        paths: Of the files, where they are not.
        channels: 1 or 3.
    """

    labels: np.ndarray
    pixels: np.ndarray | None = None
    paths: np.ndarray | None = None
    channels: int = 3

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, key) -> "Split":
        def part(values):
            return None if values is None else values[key]

        return Split(self.labels[key], part(self.pixels), part(self.paths), self.channels)

    def image(self, index) -> tf.Tensor:
        """The uint8 image at an index, as a tensor."""
        if self.pixels is not None:
            return tf.gather(self.pixels, index)
        return decode(tf.gather(self.paths, index), self.channels)


@dataclass(frozen=True)
class Source:
    """Splits by name, and what the labels mean."""

    name: str
    splits: dict[str, Split]
    classes: tuple[str, ...]

    def split(self, expression: str) -> Split:
        """A split by its name; also sums and slices of splits: `train+validation`, `train[:500]`.

        Raises:
            InputError: If there is no such split, or nothing in it.
        """
        parts = []
        for term in expression.split("+"):
            match = re.fullmatch(r"\s*(\w+)\s*(?:\[(-?\d*):(-?\d*)\])?\s*", term)
            if not match or match[1] not in self.splits:
                hint = nearest(match[1] if match else term, self.splits)
                raise InputError(f"{self.name} has no split {term.strip()!r}; {hint}")
            first, last = (int(text) if text else None for text in match.groups()[1:])
            parts.append(self.splits[match[1]][first:last])
        whole = _joined(parts)
        if not len(whole):
            raise InputError(f"{self.name}: the split {expression!r} holds no image")
        return whole


def open_source(name: str, channels: int = 3) -> Source:
    """A source by its name.

    Args:
        name: `digits`, or `folder:PATH`.
        channels: 1 or 3: as what files are decoded.

    Raises:
        InputError: If it is unknown, missing, empty or holds what is no image.
    """
    if channels not in (1, 3):
        raise InputError(f"images have 1 or 3 channels, not {channels}; mend build.input_shape")
    kind, _, path = name.partition(":")
    if name == "digits":
        return digits()
    if kind == "folder" and path:
        return folder(Path(path), channels)
    raise InputError(f"no data set is called {name!r}; known: digits, folder:PATH")


def digits() -> Source:
    """The 1,797 handwritten digits that scikit-learn ships: 8x8, grey, ten classes.

    Stratified splits, seed 0: train 1,077, validation 360, test 360.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    pixels = np.round(data.images * (255 / 16)).astype("uint8")[..., None]
    labels = data.target.astype("int32")
    splits = {
        name: Split(labels[part], pixels[part], channels=1)
        for name, part in _stratified(labels, {"validation": 360, "test": 360}).items()
    }
    return Source("digits", splits, tuple(map(str, range(10))))


def folder(root: Path, channels: int = 3) -> Source:
    """One folder a class, below `train`, `validation` and `test`, or else split by seed 0.

    Args:
        root: The folder.
        channels: 1 or 3: as what the files are decoded.

    Raises:
        InputError: If a folder is missing or empty, or a file is no image; it is named.
    """
    if not root.is_dir():
        found = [x.name for x in root.parent.iterdir()] if root.parent.is_dir() else []
        raise InputError(f"{root}: no such folder; {nearest(root.name, found)}".rstrip("; "))
    named = [name for name in SPLITS if (root / name).is_dir()]
    if named and "train" not in named:
        raise InputError(f"{root}: there is {', '.join(named)} but no folder train")
    classes = _folders(root / "train" if named else root)
    if not classes:
        raise InputError(f"{root}: no class folders; expected one folder of images a class")
    splits = {}
    for name in named or ("all",):
        base = root / name if named else root
        extra = sorted(set(_folders(base)) - set(classes))
        if extra:
            raise InputError(f"{base / extra[0]}: this class is not among those of {root}/train")
        splits[name] = _files(base, classes, channels)
    if not named:
        whole = splits["all"]
        sizes = {name: round(share * len(whole)) for name, share in SHARES.items()}
        parts = _stratified(whole.labels, sizes, str(root))
        splits = {name: whole[part] for name, part in parts.items()}
    return Source(f"folder:{root}", splits, tuple(classes))


def decode(path, channels):
    """The uint8 image in a file: JPEG or PNG; in colour also BMP or a GIF's first frame."""
    image = tf.io.decode_image(tf.io.read_file(path), channels, expand_animations=False)
    image.set_shape((None, None, channels))
    return image


def first_unreadable(split: Split) -> str | None:
    """Path and reason of the first file that cannot be decoded whole; None if all can."""
    for path in () if split.paths is None else split.paths:
        try:
            decode(path, split.channels)
        except (tf.errors.OpError, ValueError) as error:
            reason = " ".join(str(error).split())
            reason = re.sub(r"^\{\{.*?\}\}\s*|\s*\[Op:.*$", "", reason)
            return f"{path}: cannot be decoded ({Path(path).stat().st_size} bytes): {reason}"
    return None


def _folders(root):
    return sorted(x.name for x in root.iterdir() if x.is_dir() and not x.name.startswith("."))


def _files(base, classes, channels):
    paths, labels = [], []
    for label, name in enumerate(classes):
        if not (base / name).is_dir():
            continue
        files = sorted(x for x in (base / name).iterdir() if not x.name.startswith("."))
        if not files:
            raise InputError(f"{base / name}: this class folder is empty; fill it or remove it")
        for file in files:
            _check_image(file)
        paths += map(str, files)
        labels += [label] * len(files)
    return Split(np.array(labels, "int32"), paths=np.array(paths), channels=channels)


def _check_image(path):
    """Reads a file's header, which is quick; whether all of it decodes is seen in training."""
    from PIL import Image, UnidentifiedImageError

    try:
        size = path.stat().st_size
        if size == 0:
            raise InputError(f"{path}: an empty file (0 bytes), not an image")
        with Image.open(path):
            pass
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else str(error)
        raise InputError(f"{path}: cannot be read: {reason}") from error


def _stratified(labels, sizes, name="digits"):
    """Indices of `train` and of the named parts, each with every class in its share."""
    from sklearn.model_selection import train_test_split

    rest = np.arange(len(labels))
    parts = {}
    for part, size in reversed(sizes.items()):
        try:
            rest, taken = train_test_split(
                rest, test_size=size, random_state=0, stratify=labels[rest]
            )
        except ValueError as error:
            smallest = min(np.bincount(labels))
            raise InputError(
                f"{name}: {len(labels)} images, {smallest} in the smallest class, are too few to "
                "split; make folders train, validation and test"
            ) from error
        parts[part] = np.sort(taken)
    return {"train": np.sort(rest), **parts}


def _joined(parts):
    def join(name):
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else np.concatenate(values)

    return Split(join("labels"), join("pixels"), join("paths"), parts[0].channels)
