"""Runs that take seconds: a small net on digits, or on a folder of small photographs."""

import hashlib
import shutil
from importlib.metadata import version

import h5py
import numpy as np
import pytest
from PIL import Image

from keras_ilsvrc.recipe import find, load
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.runs.schema import Identity, Images

SHORT = ["schedule.steps=1", "schedule.learning_rate=[[0,0.1]]", "net=resnet_cifar"]
NORMALISE = '{op = "normalise", mean = [127.0, 127.0, 127.0], std = [60.0, 60.0, 60.0]}'
STANDARDISE = '{op = "standardise"}'
RESIZE = '{op = "resize_shorter", size = 10}, {op = "centre_crop", size = 8}'
PHOTOS = """
net = "resnet_cifar"
seed = 2
initial = "he"
build = {{classes = 2, input_shape = [8, 8, 3], depth = 8}}
batch_norm = {{statistics = "synchronized"}}
loss = {{name = "cross_entropy"}}
optimizer = {{name = "sgd", momentum = 0.9, l2 = 1e-3}}
schedule = {{name = "steps", steps = 12, learning_rate = [[0, 0.1]]}}
[data]
dataset = "folder:{folder}"
train = "train"
validation = "validation"
test = "test"
batch_size = 4
train_ops = [{{op = "centre_crop", size = 8}}, {op}]
eval_ops = [{{op = "centre_crop", size = 8}}, {op}]
"""

RESULT = {
    "net": "resnet20_cifar",
    "top1_error": 1.0,
    "top1_interval": [0.5, 2.0],
    "protocol": "single_view",
    "views": 1,
    "images": 360,
    "replicas": 1,
    "seconds": 60.0,
    "versions": {"keras": "3.15.1"},
}


def short(*overrides):
    """One step of the quickstart."""
    return load(find("quickstart"), [*SHORT, "build.depth=8", *overrides])


def on_photos(folder, *overrides, op=NORMALISE):
    """A recipe of twelve steps on a folder like that of the fixture `photos`."""
    path = folder.with_suffix(".toml")
    path.write_text(PHOTOS.format(folder=folder, op=op))
    return load(path, overrides)


def draw_photos(path):
    """Make a folder of small JPEGs of two classes."""
    random = np.random.default_rng(0)
    for part, count in (("train", 12), ("validation", 3), ("test", 3)):
        for label in ("dark", "light"):
            folder = path / part / label
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 128, (32, 32, 3)) + 127 * (label == "light")
                Image.fromarray(pixels.astype("uint8")).save(folder / f"{number}.jpg")
    return path


def run(recipe, path, drawn=False, **options):
    """Train a recipe in a directory, or resume it there; by default with empty PNG files.

    To draw them would take a quarter of the time.
    """
    from keras_ilsvrc.runs import pictures
    from keras_ilsvrc.runs.train import train

    with pytest.MonkeyPatch.context() as patch:
        if not drawn:
            patch.setattr(pictures, "curves", lambda rows, path, *rest: path.touch())
            patch.setattr(pictures, "doubtful", lambda *rest: rest[4].touch())
        return train(recipe, RunDirectory(path, recipe, resume=True), **options)


def stop_in_first_epoch(recipe, path):
    """Train a recipe in a directory until the end of its first epoch."""
    from keras_ilsvrc.training.records import History
    from keras_ilsvrc.training.stopping import Stopped

    def stop(self, epoch, logs=None):
        raise Stopped("stopped")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(History, "on_epoch_end", stop)
        with pytest.raises(Stopped):
            run(recipe, path)


def weights_of(path):
    """The values of a file of weights, by name."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, x: found.update({name: x[()]} if isinstance(x, h5py.Dataset) else {})
        )
    return found


def as_made(folder):
    """Undo what a test has done in a folder of which there is a copy, and return it."""
    shutil.rmtree(folder)
    return shutil.copytree(folder.with_name(f"{folder.name}-kept"), folder)


def identity(recipe, **changes):
    """What a run of a recipe belongs to."""
    images = Images(number=9, digest="a" * 64, stamp="b" * 64)
    known = {
        "version": version("keras_ilsvrc"),
        "recipe": hashlib.sha256(recipe.toml().encode()).hexdigest(),
        "seed": recipe.seed,
        "classes": ["cat", "dog"],
        "eval_ops": [],
        "splits": {"train": images, "test": images},
    }
    return Identity(**{**known, **changes})
