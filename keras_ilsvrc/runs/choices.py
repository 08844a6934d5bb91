"""Choice of settings for a new recipe, based on the number and sizes of the training images."""

import io
import math
import time
from typing import NamedTuple

import keras
import numpy as np

from keras_ilsvrc.data.headers import own_limit, read_header
from keras_ilsvrc.data.source import Shares, Source
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.types import Rows
from keras_ilsvrc.layers.graph import batch_norms
from keras_ilsvrc.nets import info
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.nets.pretrained import Found
from keras_ilsvrc.runs.tuning import Tuning, size_of, tuning_of
from keras_ilsvrc.utils.errors import InputError, counted

SAMPLED = 300  # maximum number of images whose sizes are read
SIDE = 32  # image sizes are multiples of this, which is the total stride of many networks
SMALLEST = 96  # photographs are not made smaller (pixels), since objects become hard to see
BASE_BATCH = 64  # batch size for which the learning rates in `WAYS` are given


class Amount(NamedTuple):
    """Settings for datasets with at most `images` training images. The values are our own choice.

    Attributes:
        images: Maximum number of training images for these settings.
        batch_size: Images per step. Small datasets use small batches, which give enough steps per
            epoch.
        epochs: Number of epochs. With fewer images, each image must be seen more often.
        size: Largest image size in pixels. Fine details help only if there are many images.
        hours: Maximum hours of training. If training would take longer, the image size is reduced
            first, then the number of epochs.
        steps: Minimum number of steps, even if they take more than `hours`. With fewer steps, a
            network does not learn.
        frozen: Fraction of the units (layers or blocks) that are frozen in fine-tuning. The fewer
            images there are, the larger it is.
    """

    images: float
    batch_size: int
    epochs: int
    size: int
    hours: float
    steps: int = 2000
    frozen: float = 0.0


AMOUNTS = (
    Amount(1_000, 16, 60, 128, 0.5),
    Amount(5_000, 32, 60, 128, 3),
    Amount(20_000, 64, 40, 160, 6),
    Amount(math.inf, 128, 30, 224, 24),
)
# Settings for fine-tuning. The size is 0, because the weights determine the image size.
TUNED = (
    Amount(1_000, 16, 20, 0, 0.5, 400, 0.75),
    Amount(5_000, 32, 20, 0, 3, 400, 0.5),
    Amount(20_000, 64, 15, 0, 6, 400, 0.25),
    Amount(math.inf, 128, 10, 0, 24, 400),
)
FIRST = 0.25  # epochs of the first stage (new layers only) per epoch of the main stage


class Way(NamedTuple):
    """Optimizer for one kind of network, with the reason for it, and its learning rate.

    The learning rate is given for batches of `BASE_BATCH` images.
    """

    why: str
    optimizer: dict[str, object]
    learning_rate: float


# Optimizers by whether the network has batch normalisation. The values are our own choice.
WAYS = {
    True: Way(
        "batch normalisation allows high learning rates, with which SGD finds the best minima",
        {"name": "sgd", "momentum": 0.9, "l2": 5e-4},
        0.05,
    ),
    False: Way(
        "without batch normalisation, AdamW adapts the steps to each layer; higher rates diverge",
        {
            "name": "adamw",
            "beta_1": 0.9,
            "beta_2": 0.999,
            "epsilon": 1e-8,
            "weight_decay": 0.05,
            "clip_norm": 1.0,
        },
        1e-4,
    ),
}
# Optimizer for fine-tuning. The first stage uses ten times this learning rate.
TUNING = Way(
    "SGD with a low rate, as in Caffe's fine-tuning examples, changes trained weights slightly",
    {"name": "sgd", "momentum": 0.9, "l2": 5e-4},
    2e-3,
)


class Facts(NamedTuple):
    """Facts about the images of a source that determine the settings of a new recipe.

    Attributes:
        train: Number of training images.
        made: Names of the splits ("validation", "test") that the source lacks. They are split off
            from the training images.
        classes: Number of classes.
        imbalance: Number of training images of the largest class, divided by that of the smallest.
        shorter: Median length of the shorter side of the images, in pixels.
    """

    train: int
    made: tuple[str, ...]
    classes: int
    imbalance: float
    shorter: int


class Plan(NamedTuple):
    """Settings chosen for one network and one source of images.

    Attributes:
        size: Height and width of the images in pixels.
        batch_size: Images per step.
        epochs: Number of epochs of the main stage.
        hours: Estimated training time on this machine, in hours.
        way: Optimizer.
        tuning: Settings for fine-tuning; None to train from random weights.
        steps: Minimum number of steps, even if they take longer than was asked for.
    """

    size: int
    batch_size: int
    epochs: int
    hours: float
    way: Way
    tuning: Tuning | None = None
    steps: int = 0

    @property
    def time(self) -> str:
        """Estimated training time on this machine, as text."""
        minutes = max(1, round(60 * self.hours))
        return counted(minutes, "minute") if minutes < 90 else f"{self.hours:.1f} hours"

    @property
    def learning_rate(self) -> float:
        """Highest learning rate of the schedule, proportional to the batch size."""
        return float(f"{self.way.learning_rate * self.batch_size / BASE_BATCH:.2g}")

    @property
    def train_rows(self) -> Rows:
        """Preprocessing ops that follow the random crop of training images."""
        rows = self.tuning.source.preprocessing if self.tuning else [{"op": "standardise"}]
        return [row for row in rows if "size" not in row]

    @property
    def eval_rows(self) -> Rows:
        """Preprocessing ops for validation and test images."""
        size, source = self.size, self.tuning and self.tuning.source
        if source and any("size" in row for row in source.preprocessing):
            return source.preprocessing
        crop = {"op": "centre_crop", "size": size}
        return [{"op": "resize_shorter", "size": size * 8 // 7}, crop, *self.train_rows]


def facts_of(source: Source) -> Facts:
    """Return the facts about a source's images. Only some images are read, and only their headers.

    Args:
        source: Opened source of images. Splits that the dataset itself lacks are empty.

    Raises:
        InputError: If there is only one class, or if a missing split cannot be made from the
            training images, for example because a class has too few images.
    """
    if "train" not in source.splits or not {"validation", "test"} & {*source.splits}:
        raise InputError(
            f"{source.name} has the splits {', '.join(source.splits)}; expected train, and "
            "validation or test; write a recipe by hand that uses parts of these splits, for "
            "example train[:500]"
        )
    train = source.splits["train"]
    counts = np.bincount(train.labels, minlength=len(source.classes))
    if len(source.classes) < 2:
        raise InputError(f"{source.name}: only one class; add images of another class")
    # Only these sources can lack splits, so do not read the splits of other sources.
    listed = source.name.startswith(("folder:", "csv:"))
    shares = {
        name: share
        for name, share in Shares()._asdict().items()
        if listed and name in source.splits and not len(source.splits[name])
    }
    least, needed = int(counts.min()), 1 + len(shares)
    if shares and least < needed:
        raise InputError(
            f"{source.name}: class {source.classes[counts.argmin()]!r} has {least} of the {needed} "
            "images that splitting needs per class; add images"
        )
    taken = sum(int(np.maximum(1, np.round(counts * share)).sum()) for share in shares.values())
    imbalance = int(counts.max()) / max(1, least)
    return Facts(len(train) - taken, tuple(shares), len(counts), imbalance, _shorter(train))


def _shorter(split: Split) -> int:
    """Return the median shorter side of at most `SAMPLED` images, in pixels."""
    sides = []
    with own_limit():
        for index in np.linspace(0, len(split) - 1, min(len(split), SAMPLED)).astype(int):
            if split.pixels is not None:
                sides.append(min(split.pixels[index].shape[:2]))
                continue
            header = read_header(io.BytesIO(split.store.read(int(split.rows[index]))))
            sides.append(min(header.height, header.width))
    return int(np.median(sides))


def plan_of(
    name: str, facts: Facts, hours: float | None = None, weights: Found | None = None
) -> Plan:
    """Choose image size, batch size, epochs and optimizer for a network.

    Args:
        name: Name of the network.
        facts: Facts about the images.
        hours: Maximum hours of training on this machine; None for those of `AMOUNTS` or `TUNED`.
        weights: Trained weights with a known source, or None to train from random weights.

    Raises:
        InputError: If there is no such network, or the images are too small for it.
    """
    source = weights.source if weights else None
    amount = next(row for row in (TUNED if source else AMOUNTS) if facts.train <= row.images)
    sizes = [size_of(source)] if source else _sizes(name, min(amount.size, facts.shorter))
    shape, options = (sizes[0], sizes[0], info(name).input_shape[-1]), source and source.options
    model = build(name, input_shape=shape, classes=facts.classes, **(options or {}))
    # Hours per epoch and per pixel of an image.
    per_pixel = _seconds(model) * facts.train / 3600 / sizes[0] ** 2
    if source:  # frozen layers need only the forward pass, a quarter of the time
        per_pixel *= 1 - 0.75 * amount.frozen + 0.25 * FIRST
    batch = min(amount.batch_size, 2 ** int(math.log2(facts.train)))
    least = math.ceil(amount.steps / math.ceil(facts.train / batch))
    epochs = max(amount.epochs, least)
    most = amount.hours if hours is None else hours
    size = next((x for x in sizes if per_pixel * x**2 * epochs <= most), sizes[-1])
    fitting = int(most / (per_pixel * size**2))
    epochs = min(epochs, max(least, fitting))
    way = TUNING if weights else WAYS[bool(batch_norms(model))]
    tuning = tuning_of(model, weights, amount.frozen, epochs * FIRST) if weights else None
    return Plan(size, batch, epochs, per_pixel * size**2 * epochs, way, tuning, amount.steps)


def _sizes(name: str, largest: int) -> list[int]:
    """Return the image sizes in pixels to choose from, largest first.

    Raises:
        InputError: If images of the largest size are too small for the network.
    """
    net = info(name)
    largest = min(largest, *net.input_shape[:2])
    if largest < net.minimum:
        raise InputError(
            f"half of the images are smaller than {largest + 1} pixels, but {net.name} needs at "
            f"least {net.minimum}; choose a network for small images, for example resnet20_cifar"
        )
    least = max(SMALLEST, math.ceil(net.minimum / SIDE) * SIDE)
    return list(range(largest // SIDE * SIDE, least - 1, -SIDE)) or [
        largest if largest < SIDE else max(net.minimum, largest // SIDE * SIDE)
    ]


def _seconds(model: keras.Model) -> float:
    """Estimate the training time per image in seconds, as four times that of a forward pass."""
    height, width, channels = model.input_shape[1:]
    count = min(64, max(8, 2**18 // (height * width)))  # large batches make the timing precise
    images = np.zeros((count, height, width, channels), "float32")
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        keras.ops.convert_to_numpy(model(images, training=True))
        taken.append(time.perf_counter() - start)
    return 4 * min(taken) / count
