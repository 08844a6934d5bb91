"""Benchmark of tasks that grow with the dataset: time and peak memory, in new processes."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from keras_ilsvrc.bench.processes import in_process, peak, resident
from keras_ilsvrc.bench.timing import Progress
from keras_ilsvrc.utils.files import CACHE

CLASSES = 1000
JPEGS = 300  # number of different images; all other files are hard links to them
SIDE = 40  # height and width of the images, in pixels
MEASURED = 20_000  # number of images whose statistics are measured
TESTED = 50_000  # number of evaluated images, as in the validation set of ILSVRC
ARRAYS, VALUES = 24, 4_000_000  # arrays in the checkpoint, and float32 values in each array
# AlexNet's ops, with principal components of colour that are measured on the images.
ROWS: list[dict[str, Any]] = [
    {"op": "resize_shorter", "size": 32},
    {"op": "centre_crop", "size": 32},
    {"op": "subtract_pixel_mean"},
    {"op": "random_crop", "size": 28},
    {"op": "pca_noise", "form": "cuda-convnet", "components": "measured"},
]


class Cost(NamedTuple):
    """Cost of one task.

    Attributes:
        what: Description of the task.
        seconds: Time without imports.
        megabytes: Peak memory of the process minus its memory after the imports. It can be some
            tens of megabytes too high if the imports had a higher peak.
        base_megabytes: Size of the file or of the predictions, to compare `megabytes` with; None
            for other tasks.
    """

    what: str
    seconds: float
    megabytes: float
    base_megabytes: float | None = None


def measure(files: int, progress: Progress = lambda what, share: None) -> list[Cost]:
    """Measure the start of a training run on many files, and other tasks at ImageNet's size.

    The benchmark begins with a new, empty cache folder.

    Args:
        files: Number of training images, at least one per class. They are links to a few small
            JPEGs.
        progress: Callback that gets the current activity as text and the completed fraction.
    """
    found = []
    with tempfile.TemporaryDirectory() as home:
        progress(f"linking {files:,} files", 0)
        root, checkpoint = Path(home) / "images", Path(home) / "step.ckpt"
        make_files(root, files)
        _write_checkpoint(checkpoint)
        rows = (
            ("reading the folders", "walk", root),
            ("first start", "start", root),
            ("later start", "start", root),
            (f"statistics of {MEASURED:,} images, first start", "statistics", root),
            (f"statistics of {MEASURED:,} images, later start", "statistics", root),
            ("reading a checkpoint", "checkpoint", checkpoint),
            (f"evaluating {TESTED:,} images", "answers", root),
        )
        for number, (what, work, path) in enumerate(rows):
            progress(what, number / len(rows))
            made = in_process(__name__, work, str(path), environment={CACHE: f"{home}/cache"})
            found.append(Cost(what, *made))
    return found


def make_files(root: Path, count: int) -> None:
    """Make a folder with `count` training images and with one validation image per class."""
    seeds = root.with_name("seeds")
    seeds.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(JPEGS):
        small = Image.fromarray(generator.integers(0, 256, (6, 6, 3), "uint8"))
        small.resize((SIDE, SIDE)).save(seeds / str(number), "JPEG")
    made = 0
    for split, images in (("train", count), ("val", CLASSES)):
        for label in range(CLASSES):
            folder = root / split / f"n{label:08}"
            folder.mkdir(parents=True)
            for number in range(label, images, CLASSES):
                os.link(f"{seeds}/{made % JPEGS}", f"{folder}/{folder.name}_{number}.JPEG")
                made += 1


def _write_checkpoint(path: Path) -> None:
    from keras_ilsvrc.training.checkpoint import State, write

    value = np.random.default_rng(0).random(VALUES, "float32")
    write(path, State({f"array{number}": value for number in range(ARRAYS)}))


def _walk(root: str) -> None:
    """List all files with `os.walk` and read the size and time of each."""
    for folder, _, names in os.walk(root):
        for name in names:
            os.stat(f"{folder}/{name}")


def _start(root: str) -> None:
    """Read and fingerprint the data as a training run does, and make the first batch."""
    from keras_ilsvrc.data.fingerprint import fingerprint
    from keras_ilsvrc.data.pipeline import training_batches
    from keras_ilsvrc.data.sources import open_source

    source = open_source(f"folder:{root}")
    for split in source.splits.values():
        fingerprint(split)
    next(iter(training_batches(source.split("train"), ROWS[:2], {}, 32, seed=0)))


def _statistics(root: str) -> None:
    from keras_ilsvrc.data.split import Split
    from keras_ilsvrc.data.statistics import measure_statistics
    from keras_ilsvrc.data.stores import Files

    paths = (f"{folder}/{name}" for folder, _, names in os.walk(root) for name in names)
    files = Files(islice(paths, MEASURED))
    measure_statistics(Split(np.zeros(len(files.paths), "int32"), store=files), ROWS)


def _checkpoint(path: str) -> float:
    from keras_ilsvrc.training.checkpoint import read

    read(Path(path))
    return os.path.getsize(path) / 1e6


def _answers(_: str) -> float:
    import keras
    import tensorflow as tf

    from keras_ilsvrc.data.split import Split
    from keras_ilsvrc.evaluation.errors import top_k_error
    from keras_ilsvrc.evaluation.evaluate import evaluate
    from keras_ilsvrc.training.forward import Forward

    image = keras.Input((2, 2, 3))
    outputs = keras.layers.Dense(CLASSES, "softmax")(keras.layers.Flatten()(image))
    split = Split(np.zeros(TESTED, "int32"), np.zeros((TESTED, 2, 2, 3), "uint8"))
    forward = Forward(tf.distribute.get_strategy())
    model = keras.Model(image, outputs)
    found = evaluate(model, split, [], {}, "single_view", 250, forward)
    for k in (1, 5):
        top_k_error(found, split.labels, k)
    return found.nbytes / 1e6


WORKS: dict[str, Callable[[str], float | None]] = {
    "walk": _walk,
    "start": _start,
    "statistics": _statistics,
    "checkpoint": _checkpoint,
    "answers": _answers,
}


def _once(work: str, path: str) -> list[float | None]:
    """Do one task; return its seconds, its peak megabytes, and the megabytes to compare with."""
    import keras  # noqa: F401
    import tensorflow as tf

    tf.constant(0)  # starts the devices
    before, start = resident(), time.perf_counter()
    base = WORKS[work](path)
    seconds = time.perf_counter() - start
    # The system updates its counters in batches, so the peak may be a little below `before`.
    return [seconds, max(0, peak() - before) / 1e6, base]


if __name__ == "__main__":
    print(json.dumps(_once(*sys.argv[1:])))
