"""Tests of `bench deploy`: what it measures, and which arguments it refuses."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from keras_ilsvrc import InputError, build
from keras_ilsvrc.bench.deploy import set_vectors
from keras_ilsvrc.cli import app

pytestmark = pytest.mark.tensorflow


def said(*words):
    result = CliRunner().invoke(app, ["bench", "deploy", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_the_deployed_net_the_net_and_the_exported_file_take_turns():
    words = ("lenet5_modern", "--batch", "2", "--against", "onnxruntime")
    found = json.loads(said(*words, "--json"))
    assert [x["form"] for x in found] == ["deploy", "model", "onnxruntime"]
    for x in found:
        assert x["images_per_second"] == pytest.approx(2 / x["seconds"])
        assert 0 < x["lower_quartile"] <= x["ratio"] <= x["upper_quartile"]
    assert found[0]["ratio"] == 1


def test_the_table_has_a_line_for_each_form():
    lines = said("lenet5_modern").splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["form", "deploy", "model"]
    assert lines[-1] == "lenet5_modern, batch 1, 10 rounds, float32"


def test_no_bias_is_zero():
    model = build("resnet_cifar", depth=8)
    set_vectors(model)
    for weight in model.weights:
        values = np.asarray(weight)
        assert values.ndim != 1 or (0.5 <= values.min() < values.max() <= 1.5)


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (("vgg61",), ["'vgg61'", "'vgg16'"]),
        (("vgg16", "--against", "onnx"), ["'onnx'", "onnxruntime or torchvision"]),
        (("zfnet", "--against", "torchvision"), ["torchvision", "no zfnet"]),
    ],
)
def test_what_cannot_be_timed_is_refused_in_one_line(words, fragments):
    error = CliRunner().invoke(app, ["bench", "deploy", *words]).exception
    assert isinstance(error, InputError)
    assert "\n" not in str(error)
    for fragment in fragments:
        assert fragment in str(error)
