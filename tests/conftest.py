"""Fixtures and settings for all tests."""

import gc
import os
import resource
import shutil

import pytest
from filelock import FileLock
from papers import PAPER


def pytest_configure(config):
    if "PYTEST_XDIST_WORKER" in os.environ:  # other threads would wait for the same core
        for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, "1")
    # Keras 3.15 gives NumPy its weights without the keyword `copy`, which NumPy 2 wants.
    config.addinivalue_line("filterwarnings", "ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="session")
def paper():
    """The papers' numbers: name of a net to its table in tests/paper."""
    return PAPER


@pytest.fixture(scope="session", autouse=True)
def peak():
    """Keeps the garbage collector off the modules of Keras, and out of the building of nets.

    A collection would take 0.3 s, and those while nets are built a tenth of the time. The most
    memory that this process had when its garbage was last collected is kept in a list, in GB.
    """
    import keras  # noqa: F401

    gc.freeze()
    gc.disable()
    return [memory()]


def memory():
    """The most memory that this process has had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def collected(peak, more):
    """Collect garbage, such as models, if the process has had so much more memory."""
    if memory() < peak[0] + more:
        return False
    gc.collect()
    peak[0] = memory()
    return True


@pytest.fixture(scope="module", autouse=True)
def freed_memory(peak):
    """Frees the models of a file. What is then left is cached for good.

    Looking through that after each file would take up to 2 s.
    """
    yield
    if collected(peak, 0.1):
        gc.freeze()


@pytest.fixture(autouse=True)
def freed_memory_of_tests(peak):
    """Frees the models of the tests of a file, where they are large."""
    collected(peak, 0.5)


@pytest.fixture(autouse=True)
def fresh_keras():
    """The same random values and layer names in every test, whatever ran before it."""
    import keras

    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)


@pytest.fixture
def quick_values(monkeypatch):
    """He-normal kernels that repeat after 9,973 values: drawing millions takes a second a net."""
    import keras
    import numpy as np

    from keras_ilsvrc.layers import parts

    values = np.random.default_rng(0).normal(size=9973).astype("float32")

    def repeated(shape, dtype=None):
        kernel = np.resize(values, shape) * np.sqrt(2 / np.prod(shape[:-1]))
        return keras.ops.convert_to_tensor(kernel, dtype=dtype)

    monkeypatch.setattr(parts, "KERNEL_INITIALIZER", repeated)


@pytest.fixture
def set_policy():
    """Sets the global dtype policy for one test."""
    import keras

    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """The folder that the processes of pytest-xdist share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def small_run(tmp_path_factory, shared):
    """The directory of a finished run: a small net trained on digits for three epochs.

    The processes of pytest-xdist train it once; each has a copy.
    """
    from keras_ilsvrc.recipe import find, load
    from keras_ilsvrc.runs.directory import RunDirectory
    from keras_ilsvrc.runs.train import train

    own, made = tmp_path_factory.mktemp("run"), shared / "small_run"
    small = ["net=resnet_cifar", "build.depth=8", "schedule.steps=36", "keep_epochs=[1, 3]"]
    with FileLock(f"{made}.lock"):
        if not (made / "result.json").exists():
            recipe = load(find("quickstart"), [*small, "schedule.learning_rate=[[0,0.1]]"])
            train(recipe, RunDirectory(made, recipe))
        return shutil.copytree(made, own / "run")
