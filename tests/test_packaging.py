"""Tests of setup.cfg: compared with the files in the repository."""

import configparser
from pathlib import Path

ROOT = Path(__file__).parent.parent


def options():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser["options"]


def test_every_package_is_installed():
    found = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for file in (ROOT / "keras_ilsvrc").rglob("__init__.py")
    }
    assert set(options()["packages"].split()) == found | {"keras_ilsvrc.recipes"}


def test_what_others_forget_to_ask_for_is_asked_for():
    """tensorflow-datasets imports importlib_resources, keras-tuner tensorboard."""
    import importlib_resources
    import tensorboard

    assert {"importlib_resources>=6", "tensorboard>=2.20"} <= set(
        options()["install_requires"].split()
    )
    assert importlib_resources.__name__
    assert tensorboard.__version__
