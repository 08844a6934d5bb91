"""Small challenge of three entries, one of which starts from a fourth net; no net is trained."""

import copy
import csv
import hashlib
from importlib.metadata import version

import pytest

from keras_ilsvrc.claims.challenge_file import folder
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.runs.schema import Identity, Images
from keras_ilsvrc.training.records import COLUMNS
from keras_ilsvrc.utils import files

IMAGES = Images(number=10, digest="0" * 64, stamp="0" * 64)
EPOCHS = 2
# Errors of the nets by the recipe of the era, in %; the recipe of today takes GAIN off.
ERRORS = {"alexnet": 40.0, "vgg11": 30.0, "vgg16": 28.0, "resnet18": 20.0}
GAIN = 5.0
BUILT = {}  # entries without runs, by name
TEXT = """
title = "A small challenge"
gap = ["AlexNet", "ResNet"]
[forms.quick]
era = "{folder}/era_digits.toml"
today = "{folder}/today_digits.toml"
size = 32
epochs = 2
seeds = {seeds}
[entries.AlexNet]
net = "alexnet"
rates = {{era = 0.02, today = 0.001}}
why = "no batch normalisation"
era = {{"optimizer.l2" = 0.001}}
set = {{"build.width" = 0.0625}}
[entries.A]
net = "vgg11"
competes = false
rates = {{era = 0.01}}
why = "no batch normalisation"
set = {{"build.width" = 0.0625}}
[entries.VGG]
net = "vgg16"
rates = {{era = 0.01}}
why = "no batch normalisation"
start = "A"
layers = ["conv1_1"]
departs = "trained after A"
set = {{"build.width" = 0.0625}}
[entries.ResNet]
net = "resnet18"
rates = {{era = 0.05}}
why = "batch normalisation"
set = {{"build.width" = 0.0625}}
[[orders]]
higher = "AlexNet"
lower = "VGG"
[[orders]]
higher = "VGG"
lower = "ResNet"
published = "8.8 against 7.46 % top-5"
[[beside]]
what = "someone's net"
accuracy = 85.5
source = "a page"
differs = "128 pixels"
"""


def small(directory, seeds=2, replaced=()):
    """The path of the file of a small challenge, with some pieces of text replaced."""
    text = TEXT.format(folder=folder(), seeds=seeds)
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    path = directory / "small.toml"
    path.write_text(text)
    return path


class InThisProcess:
    """Stand-in for `train`: writes the files of a run, whose errors follow from its recipe.

    `log` are the (net, seed) of all runs. A net in `ends` ends otherwise: "stops" as by a signal,
    or for another reason.
    """

    def __init__(self, environment, stop):
        self.stop = stop

    log: list
    ends: dict

    def train(self, recipe, path):
        self.log.append((recipe.net, recipe.seed))
        end = self.ends.get(recipe.net)
        if end == "stops":
            self.stop.name = "SIGTERM"  # what the handler of signals notes
            return "stopped by SIGTERM"
        return end or write(recipe, path)


def write(recipe, path):
    """Write the files of a finished run."""
    gain = GAIN if recipe.optimizer.name == "adamw" else 0
    error = ERRORS[recipe.net] + recipe.seed - gain
    path.parent.mkdir(parents=True, exist_ok=True)
    with RunDirectory(path, recipe, resume=True) as run:
        facts = {"version": version("keras_ilsvrc"), "seed": recipe.seed, "eval_ops": []}
        digest = hashlib.sha256(recipe.toml().encode()).hexdigest()
        splits = {"train": IMAGES, "test": IMAGES}
        run.begin(Identity(recipe=digest, classes=["a"], splits=splits, **facts))
        with files.whole(path / "history.csv") as part, part.open("w") as file:
            writer = csv.DictWriter(file, COLUMNS, restval=10.0)
            writer.writeheader()
            for epoch in range(1, EPOCHS + 1):
                writer.writerow({"epoch": epoch, "step": 10 * epoch, "error": error + 1})
        (path / "final.weights.h5").write_text("weights")
        result = {"net": recipe.net, "top1_error": error, "top1_interval": [0.0, 100.0]}
        result |= {"protocol": "single_view", "views": 1, "images": 10, "replicas": 1}
        run.finish({**result, "seconds": 1.5, "versions": {}})


def built_once(result):
    """The function that builds the nets of entries, which builds each only once in all tests."""

    def known(contest, name):
        if name not in BUILT:
            BUILT[name] = result(contest, name)
        return copy.deepcopy(BUILT[name])

    return known


@pytest.fixture
def runs(monkeypatch):
    """Lets pools train no net, and find ten crops two points better; returns the stand-in."""
    from keras_ilsvrc.claims import challenge, pool
    from keras_ilsvrc.claims.measures import MEASURES

    monkeypatch.setattr(InThisProcess, "log", [], raising=False)
    monkeypatch.setattr(InThisProcess, "ends", {}, raising=False)
    monkeypatch.setattr(pool, "Apart", InThisProcess)
    monkeypatch.setattr(challenge, "_result", built_once(challenge._result))
    images = pool.ImagesOfRun("digits", "0" * 64, 100)
    monkeypatch.setattr(challenge, "images_of", lambda recipe: images)

    def error(run):
        return run.result["top1_error"] - 2 * (run.test is not None)

    measure = MEASURES["test_error"]._replace(of=error)
    monkeypatch.setitem(MEASURES, "test_error", measure)
    return InThisProcess
