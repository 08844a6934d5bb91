"""Benchmark of our input pipeline against plain JPEG decoding and torchvision's data loader."""

import importlib
import statistics
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_sample_images

from keras_ilsvrc.bench.timing import ENOUGH, Progress, quartiles, take_turns
from keras_ilsvrc.data.device import apply_to_batch, device_ops
from keras_ilsvrc.data.pipeline import training_batches
from keras_ilsvrc.data.prepared import prepared
from keras_ilsvrc.data.preparing import Form, prepare
from keras_ilsvrc.data.source import Shares
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.statistics import measure_statistics
from keras_ilsvrc.data.stores import Files
from keras_ilsvrc.data.types import Rows, Statistics
from keras_ilsvrc.training.strategy import threads

# Number of JPEGs, usual height and width of ImageNet images in pixels, and JPEG quality.
FILES, HEIGHT, WIDTH, QUALITY = 500, 375, 500, 90
BATCH, STEPS = 128, 8  # images per batch, and batches per timed round
MEAN: Rows = [
    {"op": "resize_shorter", "size": 256},
    {"op": "centre_crop", "size": 224},
    {"op": "subtract_pixel_mean"},
]
AREA, ASPECT = [0.08, 1.0], [3 / 4, 4 / 3]
WINDOW = {"op": "area_crop", "size": 224, "interpolation": "bilinear"}
INCEPTION, ALEXNET, CAFFENET, RESNET = "Inception crop", "AlexNet", "CaffeNet", "ResNet"
AUGMENTATIONS: dict[str, Rows] = {
    INCEPTION: [{**WINDOW, "area": AREA, "aspect": ASPECT}, {"op": "flip"}],
    ALEXNET: [
        {"op": "resize_shorter", "size": 256},
        {"op": "random_crop", "size": 224},
        {"op": "flip"},
        {"op": "subtract_pixel_mean"},
        {"op": "pca_noise", "form": "cuda-convnet", "components": "imagenet"},
    ],
    CAFFENET: [
        {"op": "resize_shorter", "size": 256, "antialias": False},
        {"op": "random_crop", "size": 224},
        {"op": "flip"},
    ],
    RESNET: [
        {"op": "scale_jitter", "least": 256, "most": 480},
        {"op": "random_crop", "size": 224},
        {"op": "flip"},
    ],
}
# Shorter side of prepared images in pixels, if it is not 256. ResNet needs 480 pixels, but the
# photos are smaller.
SIZES = {RESNET: HEIGHT}
FORMS = {"JPEGs": 95, "pixels": None}  # quality of prepared images; None for raw pixels
STEP = "ops in the step"
DECODING, TORCHVISION = "decode_jpeg alone", "torchvision Inception crop"


@dataclass(frozen=True)
class ThroughputRatio:
    """Ratio of the images/s of two timed functions, `ours` divided by `over`.

    The median and the quartiles are taken over the timed rounds.
    """

    ours: str
    over: str
    median: float
    lower_quartile: float
    upper_quartile: float


@dataclass(frozen=True)
class InputSpeed:
    """Result of the input benchmark: images/s of each pipeline, their ratios, and the settings.

    `images` is the number of images per round, and `kilobytes` the mean size of a JPEG.
    """

    images_per_second: dict[str, float]
    ratios: list[ThroughputRatio]
    images: int
    kilobytes: float
    rounds: int
    threads: int


def measure(
    torchvision: bool = False, rounds: int = ENOUGH, progress: Progress = lambda what, share: None
) -> InputSpeed:
    """Time the decoding of 1,024 JPEGs without augmentation, and four kinds of augmentation.

    Each augmentation is applied to the JPEGs, to prepared JPEGs, and to prepared raw pixels. Ops
    that the training step applies on the device are timed separately.

    Args:
        torchvision: Whether to time torchvision's loader too; it must already be imported.
        rounds: Number of timed rounds.
        progress: Callback that gets the current activity as text and the completed fraction.
    """
    with tempfile.TemporaryDirectory() as directory:
        progress("making images", 0)
        photos = Path(directory) / "photos"
        paths = make_files(photos)
        split = Split(np.zeros(len(paths), "int32"), store=Files(paths))
        mean = measure_statistics(split, MEAN)
        functions = {DECODING: _consumed(_decoding(paths))}
        for name, rows in AUGMENTATIONS.items():
            for what, own in _forms(split, photos, SIZES.get(name, 256)).items():
                host, later = device_ops(rows)
                batches = training_batches(own, host, mean, BATCH, 0, 0, STEPS, later=later)
                functions[f"{name}, {what}"] = _consumed(batches)
            if later:
                functions[f"{name}, {STEP}"] = _on_device(batches, later, mean)
        if torchvision:
            functions[TORCHVISION] = _consumed(_torchvision_loader(photos))
        times = take_turns(functions, rounds, progress)
        size = statistics.mean(Path(path).stat().st_size for path in paths)
    ours = [name for name in functions if name not in (DECODING, TORCHVISION)]
    pairs = [(name, DECODING) for name in ours]
    pairs += [(x, TORCHVISION) for x in ours if torchvision and x.startswith(INCEPTION)]
    rates = {name: BATCH * STEPS / statistics.median(found) for name, found in times.items()}
    ratios = [_ratio(ours, over, times) for ours, over in pairs]
    return InputSpeed(rates, ratios, BATCH * STEPS, size / 1000, rounds, threads())


def _forms(split: Split, photos: Path, size: int) -> dict[str, Split]:
    """Return the photos as files, and prepared in each of `FORMS` with a shorter side of `size`."""
    found = {"files": split}
    for what, quality in FORMS.items():
        root = photos.with_name(f"{what}{size}")
        prepare(str(photos), root, Form(size, quality), Shares(0, 0))
        found[f"{what} of {size}"] = prepared(root).splits["train"]
    return found


def make_files(directory: Path, count: int = FILES) -> list[str]:
    """Write JPEGs of random crops from scikit-learn's two sample photos; return the paths.

    Each image has 500x375 pixels. Half of the images are mirrored.
    """
    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    random = np.random.default_rng(0)
    (directory / "class").mkdir(parents=True)
    paths = []
    for number in range(count):
        photo = photos[number % len(photos)]
        height = random.uniform(0.6, 1) * photo.height
        width = height * WIDTH / HEIGHT
        left = random.uniform(0, photo.width - width)
        top = random.uniform(0, photo.height - height)
        window = left, top, left + width, top + height
        image = photo.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, window)
        if number // 2 % 2:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        paths.append(str(directory / "class" / f"{number:03}.jpg"))
        image.save(paths[-1], quality=QUALITY)
    return paths


def _decoding(paths: list[str]) -> tf.data.Dataset:
    """Return a dataset that decodes all JPEGs of a timed round, but yields only the last image."""
    numbers = tf.data.Dataset.range(BATCH * STEPS)
    files = tf.constant(paths)

    def decode(number: tf.Tensor) -> tf.Tensor:
        return tf.io.decode_jpeg(tf.io.read_file(tf.gather(files, number % len(paths))), 3)

    return numbers.map(decode, tf.data.AUTOTUNE).skip(BATCH * STEPS - 1)


def _torchvision_loader(directory: Path) -> Iterable[Any]:
    """Return a torchvision data loader that crops, flips and converts images on all cores."""
    data: Any = importlib.import_module("torch.utils.data")
    transforms: Any = importlib.import_module("torchvision.transforms")
    datasets: Any = importlib.import_module("torchvision.datasets")
    augmentation = transforms.Compose(
        [
            transforms.RandomResizedCrop(224, AREA, ASPECT),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
        ]
    )
    images = datasets.ImageFolder(str(directory), augmentation)
    return data.DataLoader(
        images,
        BATCH,
        sampler=data.RandomSampler(images, num_samples=BATCH * STEPS),
        num_workers=threads(),
        persistent_workers=True,
        multiprocessing_context="spawn",  # forked workers may hang after TensorFlow starts threads
    )


def _on_device(batches: tf.data.Dataset, rows: Rows, mean: Statistics) -> Callable[[], None]:
    """Return a function that applies the ops for the device to `STEPS` batches."""
    traced = tf.function(lambda images: apply_to_batch(images, rows, mean))
    images = next(iter(batches))[0]

    def work() -> None:
        for _ in range(STEPS):
            traced(images)

    return work


def _consumed(batches: Iterable[Any]) -> Callable[[], None]:
    """Return a function that iterates once over a dataset.

    The function keeps its iterators, because deleting a tf.data iterator can wait up to a second
    for its tuning thread.
    """
    kept = []

    def work() -> None:
        kept.append(iter(batches))
        for _ in kept[-1]:
            pass

    return work


def _ratio(ours: str, over: str, times: dict[str, list[float]]) -> ThroughputRatio:
    """Return the throughput ratio of two functions, computed from their seconds in each round."""
    ratios = [other / own for own, other in zip(times[ours], times[over])]
    lower, median, upper = quartiles(ratios)
    return ThroughputRatio(ours, over, median, lower, upper)
