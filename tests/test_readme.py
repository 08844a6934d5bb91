"""Tests that the README's code runs without changes."""

import re
from pathlib import Path

import fresh
import pytest
from PIL import Image

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SNIPPETS = [code for code in CODE if "weights=" not in code]


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


@pytest.mark.tensorflow
def test_its_published_weights_classify_images(tmp_path, monkeypatch):
    import keras_ilsvrc
    from keras_ilsvrc.weights.preprocessing import remember

    whole = keras_ilsvrc.build

    def build(name, weights):
        model = whole("resnet18", width=0.1)
        remember(model, keras_ilsvrc.info(name).sources[weights])
        return model

    monkeypatch.setattr(keras_ilsvrc, "build", build)
    monkeypatch.chdir(tmp_path)
    for name in ("cat.jpg", "dog.jpg"):
        Image.new("RGB", (300, 260)).save(name)
    (code,) = (code for code in CODE if "weights=" in code)
    *lines, last = code.splitlines()
    names = {"keras_ilsvrc": keras_ilsvrc}
    exec("\n".join([*lines, f"found = {last}"]), names)
    assert [len(rows) for rows in names["found"]] == [3, 3]


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
