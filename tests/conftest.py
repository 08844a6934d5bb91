"""Fixtures and settings for all tests."""

import gc
import os
import shutil

import pytest
from filelock import FileLock
from papers import PAPER


def pytest_configure(config):
    # Keras 3.15 gives NumPy its weights without the keyword `copy`, which NumPy 2 wants.
    config.addinivalue_line("filterwarnings", "ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="session")
def paper():
    """The papers' numbers: name of a net to its table in tests/paper."""
    return PAPER


@pytest.fixture(scope="module", autouse=True)
def freed_memory():
    """Frees the models of a file. Collecting garbage after every test would take 0.03 s each.

    What is left is cached for good. Looking through it after each file would take up to 2 s.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def frozen_imports():
    """Keeps the garbage collector off the modules of Keras, and runs it less often.

    A collection would take 0.3 s, and those while nets are built a tenth of the time.
    """
    import keras  # noqa: F401

    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(autouse=True)
def fresh_keras():
    """The same random values and layer names in every test, whatever ran before it."""
    import keras

    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)


@pytest.fixture
def set_policy():
    """Sets the global dtype policy for one test."""
    import keras

    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """The directory of a finished run: a small net trained on digits for three epochs.

    The processes of pytest-xdist train it once; each has a copy.
    """
    from keras_ilsvrc.recipe import find, load
    from keras_ilsvrc.runs.directory import RunDirectory
    from keras_ilsvrc.runs.train import train

    own, shared = tmp_path_factory.mktemp("run"), tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    made = shared / "small_run"
    small = ["net=resnet_cifar", "build.depth=8", "schedule.steps=36", "keep_epochs=[1, 3]"]
    with FileLock(f"{made}.lock"):
        if not (made / "result.json").exists():
            recipe = load(find("quickstart"), [*small, "schedule.learning_rate=[[0,0.1]]"])
            train(recipe, RunDirectory(made, recipe))
        return shutil.copytree(made, own / "run")
