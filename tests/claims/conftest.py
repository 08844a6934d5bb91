"""Fixtures for the tests of claims: runs that train no network."""

from functools import cache

import claim_stand_in
import pytest

from keras_ilsvrc.claims import pool as pools
from keras_ilsvrc.claims import study as studies
from keras_ilsvrc.claims.pool import ImagesOfRun, Pool
from keras_ilsvrc.nets.build import build


class InThisProcess:
    """Runs a stand-in for `train` without a process of its own, which would take a second."""

    def __init__(self, environment, stop):
        self.environment = environment

    def train(self, recipe, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        status, line = claim_stand_in.run(recipe, path)
        return line if status else None


@cache
def depth_net(depth):
    return build("resnet_cifar", depth=depth, input_shape=(8, 8, 1), classes=10)


def small_net(net, depth, **arguments):
    """Builds a net once for all tests."""
    return depth_net(depth)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """The names and seeds of the runs of all stand-ins, which read no images."""
    path = tmp_path / "stand_in.log"
    path.touch()
    monkeypatch.setenv(claim_stand_in.LOG, str(path))
    monkeypatch.setattr(pools, "Apart", InThisProcess)
    monkeypatch.setattr(studies, "build", small_net)
    monkeypatch.setattr(studies, "account", cache(studies.account))
    images = ImagesOfRun("digits", "0" * 64, 1077)
    monkeypatch.setattr(studies, "images_of", lambda recipe: images)
    return lambda: [tuple(line.split()) for line in path.read_text().splitlines()]


@pytest.fixture
def messages():
    """Messages of pools."""
    return []


@pytest.fixture
def pool(stand_in, tmp_path, messages):
    """Makes the pool of a folder, one run at a time."""

    def made(**options):
        (tmp_path / "claims").mkdir(exist_ok=True)
        return Pool(tmp_path / "claims", 1, log=messages.append, **options)

    return made
