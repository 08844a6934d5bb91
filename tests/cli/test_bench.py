"""Tests of `bench net`: what it measures, and which arguments it refuses."""

import json
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from keras_ilsvrc import InputError, build
from keras_ilsvrc.accounting import account
from keras_ilsvrc.bench.nets import stock
from keras_ilsvrc.bench.peers import PEERS
from keras_ilsvrc.bench.steps import keras_step
from keras_ilsvrc.bench.timing import take_turns
from keras_ilsvrc.cli import app
from keras_ilsvrc.layers.graph import leaves
from keras_ilsvrc.nets import NETS
from keras_ilsvrc.weights.check import check

pytestmark = pytest.mark.tensorflow
MACS = 40_551_040  # of resnet20_cifar; tests/accounting compares them with the paper


def said(*words):
    """What a command prints."""
    result = CliRunner().invoke(app, ["bench", "net", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def refused(*words):
    """The one line with which a command refuses."""
    result = CliRunner().invoke(app, ["bench", "net", *words])
    assert isinstance(result.exception, InputError)
    message = str(result.exception)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("option", "work", "passes"), [((), "training", 3), (("--inference",), "inference", 1)]
)
def test_speeds_follow_from_the_median_step(option, work, passes):
    found = json.loads(said("resnet20_cifar", "--steps", "10", "--batch", "2", "--json", *option))
    assert (found["work"], found["steps"], found["batch"]) == (work, 10, 2)
    assert (found["dtype"], found["peer"], found["ratio"]) == ("float32", None, None)
    ours = found["ours"]
    assert ours["seconds"] > 0
    assert ours["images_per_second"] == pytest.approx(2 / ours["seconds"])
    assert ours["gflops"] == pytest.approx(2e-9 * MACS * passes * ours["images_per_second"])


def test_ours_and_the_peer_take_turns_in_one_table(monkeypatch):
    monkeypatch.setitem(PEERS["keras"], "resnet20_cifar", "MobileNet")  # another net, but small
    options = ("--against", "keras", "--inference", "--batch", "1")
    lines = said("resnet20_cifar", *options).splitlines()
    assert max(map(len, lines)) <= 100
    for start, macs in (
        ("keras_ilsvrc resnet20_cifar", MACS),
        ("keras MobileNet", 569e6),  # Howard et al., arXiv:1704.04861, table 4
    ):
        (line,) = (line for line in lines if line.startswith(start))
        images, gflops = map(float, line.split()[-2:])
        assert gflops / images == pytest.approx(2e-9 * macs, rel=0.01)
    (ratio,) = (line for line in lines if line.startswith("ratio"))
    median, lower, upper, least, most = map(float, re.findall(r"\d+\.\d+", ratio))
    assert least <= lower <= median <= upper <= most
    assert lines[-1].startswith("inference, batch 1, 10 steps, float32, ")


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (("vgg61",), ["'vgg61'", "'vgg16'"]),
        (("vgg16", "--against", "kears"), ["'kears'", "'keras'"]),
        (("vgg16", "--against", "float32"), ["--against float32", "--dtype"]),
        (("zfnet", "--against", "torchvision"), ["torchvision", "no zfnet", "alexnet_owt"]),
        (("vgg16[batch_norm=True]", "--against", "torchvision"), ["no vgg16[batch_norm=True]"]),
        (("resnet_cifar",), ["resnet_cifar", "depth is missing"]),
    ],
)
def test_what_cannot_be_timed_is_refused_in_one_line(words, fragments):
    message = refused(*words)
    for fragment in fragments:
        assert fragment in message


def test_bfloat16_is_refused_if_the_processor_lacks_it(monkeypatch):
    monkeypatch.setattr("keras_ilsvrc.bench.steps.about_processor", lambda field: "sse avx512f")
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind=None: [])
    message = refused("resnet20_cifar", "--dtype", "bfloat16")
    assert "avx512_bf16, amx_bf16 or bf16" in message
    assert "--dtype float32" in message
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("name", ["resnet20_cifar", "alexnet"])
def test_a_net_of_stock_layers_computes_the_same(name):
    model = build(name, include_top=False)
    copy = stock(model)
    assert not [x for x in leaves(copy) if type(x).__module__.startswith("keras_ilsvrc")]
    copy.set_weights(model.get_weights())
    images = np.random.default_rng(0).normal(size=(1, *model.input_shape[1:])).astype("float32")
    ours, theirs = (np.asarray(net(images, training=False)) for net in (model, copy))
    check(ours, theirs, 1e-5, f"maps of {name}")
    assert account(copy).macs == account(model).macs


def test_without_torchvision_its_pip_line_is_shown(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    message = refused("vgg16", "--against", "torchvision")
    assert message.endswith("python -m pip install torchvision")


def test_peers_are_of_nets_that_exist():
    for nets in PEERS.values():
        assert set(nets) <= set(NETS)
    for title in PEERS["keras"].values():
        assert callable(getattr(keras.applications, title))


@pytest.mark.parametrize("name", ["inception_v3", "resnet50", "resnet50_v2_keras", "vgg16"])
def test_keras_peer_has_as_many_multiply_adds_as_ours(name):
    peer = getattr(keras.applications, PEERS["keras"][name])
    with keras.StatelessScope(initialize_variables=False):
        assert account(peer(weights=None)).macs == account(build(name)).macs


def two_outputs():
    image = keras.Input((4, 4, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(2, 3)(image))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    softmax = [keras.layers.Dense(3, "softmax", name=name)(x) for name in ("predictions", "aux")]
    return keras.Model(image, dict(zip(("predictions", "aux"), softmax)))


@pytest.mark.parametrize("jit", [False, True])
def test_a_training_step_updates_kernels_and_statistics_by_every_output(jit):
    model = two_outputs()
    before = [weight.numpy() for weight in model.weights]
    keras_step(model, 2, inference=False, jit=jit)()
    for weight, value in zip(model.weights, before):
        if weight.name == "kernel" or weight.name.startswith("moving"):
            assert not np.array_equal(value, weight.numpy()), weight.path


def test_inference_changes_nothing():
    model = two_outputs()
    before = [weight.numpy() for weight in model.weights]
    keras_step(model, 2, inference=True, jit=False)()
    assert all(np.array_equal(x, y.numpy()) for x, y in zip(before, model.weights))


def test_functions_take_turns_and_two_rounds_do_not_count():
    runs, told = [], []
    works = {name: (lambda name=name: runs.append(name)) for name in ("ours", "theirs")}
    times = take_turns(works, 3, lambda what, share: told.append((what, share)))
    assert runs == ["ours", "theirs"] * 5
    assert told == [(f"timing {name}", n / 5) for n in range(5) for name in ("ours", "theirs")]
    assert {name: len(values) for name, values in times.items()} == {"ours": 3, "theirs": 3}


@pytest.mark.parity
def test_torchvision_runs_in_its_best_form():
    program = "from keras_ilsvrc.cli import main; main()"
    words = ("resnet18_v1_5", "--against", "torchvision", "--batch", "1", "--json")
    done = subprocess.run(  # torch must be imported before TensorFlow
        [sys.executable, "-c", program, "bench", "net", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["peer"]["net"] == "torchvision resnet18"
    assert found["peer"]["form"] in {
        f"{mode}{layout}" for mode in ("eager", "compiled") for layout in ("", ", channels last")
    }
    assert found["ratio"]["median"] > 0
