"""Tests that the README's code runs without changes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


DATASET = """
import tensorflow as tf

tf.config.run_functions_eagerly({eagerly})
images, labels = tf.random.stateless_uniform((2, 224, 224, 3), (0, 0)), tf.constant([3, 5])
dataset = tf.data.Dataset.from_tensors((images, labels))
"""


# To trace the graph of a ResNet-50 takes longer than all the rest.
@pytest.mark.tensorflow
@pytest.mark.parametrize("eagerly", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_three_uses_run_one_after_another(eagerly, tmp_path):
    """In a process of their own, since one of them opens a strategy."""
    counts = "print(len(model.layers), tuner.oracle.objective.name)"
    script = "\n".join([DATASET.format(eagerly=eagerly), *SNIPPETS, counts])
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(SNIPPETS) == 3
    assert done.stdout.split()[-1] == "val_accuracy"


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
