"""Tests that the README's code runs without changes."""

import re
from pathlib import Path

import fresh
import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


DATASET = """
import tensorflow as tf

tf.config.run_functions_eagerly({eagerly})
images, labels = tf.random.stateless_uniform((2, 224, 224, 3), (0, 0)), tf.constant([3, 5])
dataset = tf.data.Dataset.from_tensors((images, labels))
"""


# In place of VGG-19 and ResNet-50: without values, and narrow.
SMALLER = """
import keras
import keras_ilsvrc

whole = keras_ilsvrc.build

def build(name):
    if name == "resnet50":
        return whole(name, width=0.1)
    with keras.StatelessScope(initialize_variables=False):
        return whole(name)

keras_ilsvrc.build = build
"""


# To trace the graph of a ResNet-50 takes longer than all the rest.
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("before", "eagerly"),
    [
        pytest.param(SMALLER, True, id="smaller"),
        pytest.param("", True, id="eagerly", marks=pytest.mark.slow),
        pytest.param("", False, id="as is", marks=pytest.mark.slow),
    ],
)
def test_the_three_uses_run_one_after_another(before, eagerly, tmp_path):
    """In a process of their own, since one of them opens a strategy."""
    counts = "print(len(model.layers), tuner.oracle.objective.name)"
    script = "\n".join([DATASET.format(eagerly=eagerly), before, *SNIPPETS, counts])
    assert len(SNIPPETS) == 3
    assert fresh.said(script, cwd=tmp_path).split()[-1] == "val_accuracy"


def test_the_parameter_count_it_prints_is_right():
    from keras_ilsvrc import info

    assert f"model.count_params()  # {info('vgg19').parameters}" in README


def test_the_two_commands_are_tox_environments():
    tox = (Path(__file__).parent.parent / "tox.ini").read_text(encoding="utf-8")
    for name in re.findall(r"python -m tox run -e (\w+)", README):
        assert f"[testenv:{name}]" in tox
    ci = (Path(__file__).parent.parent / ".ci" / "run").read_text(encoding="utf-8")
    assert "python -m pip install tox && python -m tox run -e tests" in README
    assert "python -m pip install tox && python -m tox run -e tests" in ci


def test_every_command_it_shows_exists():
    from typer.main import get_command

    from keras_ilsvrc.cli import app

    known = set(get_command(app).commands)
    shown = set(re.findall(r"^keras-ilsvrc (\w+)", README, re.MULTILINE))
    assert shown
    assert shown <= known
