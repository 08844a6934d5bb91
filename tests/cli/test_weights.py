"""Tests of `weights list`, `inspect` and `convert`, and of the files that they refuse."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from cases import each_of
from commands import call, refused, said
from graphs import nin_graph
from rich.console import Console
from test_pretrained import know
from writers import write_npz, write_safetensors

from keras_ilsvrc import build
from keras_ilsvrc.weights import reference
from keras_ilsvrc.weights.sources import SOURCES

pytestmark = pytest.mark.tensorflow
NET = "resnet20_cifar"


def state(classes=10):
    """Random tensors of Idelbayev's ResNet-20, with their names."""
    random = np.random.default_rng(0)
    shapes = {"conv1.weight": (16, 3, 3, 3), "linear.weight": (classes, 64), "linear.bias": classes}
    norms = {"bn1": 16}
    before = 16
    for stage, width in enumerate((16, 32, 64), 1):
        for unit in range(3):
            for place in (1, 2):
                shapes[f"layer{stage}.{unit}.conv{place}.weight"] = (width, before, 3, 3)
                norms[f"layer{stage}.{unit}.bn{place}"] = width
                before = width
    for name, width in norms.items():
        shapes |= {f"{name}.{x}": width for x in ("weight", "bias", "running_mean", "running_var")}
    return {
        name: random.uniform(0.1, 0.3, shape).astype("float32") for name, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of weights: of the net, and others that do not fit it."""
    folder, whole = tmp_path_factory.mktemp("weights"), state()
    write_safetensors(folder / "net.safetensors", whole)
    write_safetensors(folder / "five.safetensors", state(5))
    body = {name: one for name, one in whole.items() if not name.startswith("linear")}
    write_npz(folder / "body.npz", body)
    wrong = {**whole, "last.weight": whole["conv1.weight"]}
    wrong["bn1.bias"] = np.zeros(17, "float32")
    write_safetensors(folder / "extra.safetensors", wrong)
    for name in ("layer1.0.bn1.bias", "layer2.1.conv2.weight", "layer3.2.bn2.weight"):
        del whole[name]
    write_safetensors(
        folder / "missing.safetensors", {**whole, "bn1.bias": np.zeros(17, "float32")}
    )
    infinite = state()
    infinite["conv1.weight"][0, 0, 0, 0] = np.nan
    infinite["linear.bias"][3] = np.inf
    write_safetensors(folder / "infinite.safetensors", infinite)
    write_npz(folder / "other.npz", {"a/b": np.zeros(3, "float32")})
    return folder


@each_of("terminal", [False, True])
def test_list_shows_every_source_with_its_licence(terminal, monkeypatch):
    monkeypatch.setattr(Console, "is_terminal", terminal)
    lines = call("weights", "list", columns=80).stdout.splitlines()[1:]
    assert len(lines) == len(SOURCES)
    for line, source in zip(lines, SOURCES, strict=True):
        assert line.split()[:3] == [source.net, source.name, source.file]
        assert (source.licence or "none stated") in line
    assert " 71.6 / 90.4 " in lines[3]
    assert " 91.7 / - " in said("weights", "list", "resnet20_cifar").splitlines()[-1]
    assert len(said("weights", "list", "resnet20*").splitlines()) < len(SOURCES)


def test_inspect_shows_totals_and_what_to_type_next(folder):
    path = folder / "net.safetensors"
    lines = said("weights", "inspect", path).splitlines()
    totals = f"{path.stat().st_size:,} bytes, 97 tensors, 271,098 values, float32"
    assert lines[0] == f"{path}: safetensors, {totals}"
    assert ["conv1.weight", "16x3x3x3", "float32"] in [line.split() for line in lines]
    assert f"fits {NET} as akamaster, 10 classes" in lines
    assert lines[-2] == f"keras_ilsvrc.build({NET!r}, weights={str(path)!r})"
    words = ["--net", NET, "--out", f"{NET}.weights.h5"]
    assert lines[-1] == " ".join(["next: keras-ilsvrc weights convert", str(path), *words])


def test_inspect_shows_all_tensors_only_if_asked(folder):
    path, count = folder / "net.safetensors", len(state())
    short = said("weights", "inspect", path)
    assert f"... {count - 12} more tensors (--all prints every tensor)" in short
    full = said("weights", "inspect", path, "--all")
    assert all(f"\n{name} " in full for name in state())


def test_inspect_as_json(folder):
    facts = json.loads(said("weights", "inspect", folder / "five.safetensors", "--json"))
    assert facts["tensors"] == [
        [name, "x".join(map(str, one.shape)), "float32"] for name, one in state(5).items()
    ]
    assert facts["values"] == sum(one.size for one in state(5).values())
    assert (facts["format"], facts["reason"]) == ("safetensors", None)
    assert facts["fits"] == [[NET, "akamaster", 5]]


@each_of("case", [("five.safetensors", "classes=5"), ("body.npz", "include_top=False")])
def test_inspect_gives_the_arguments_that_a_file_needs(case, folder):
    name, argument = case
    assert f", {argument})\n" in said("weights", "inspect", folder / name)


def test_convert_builds_the_varied_net(folder, tmp_path):
    net, out = f"{NET}[order=relu_before_add]", tmp_path / "net.weights.h5"
    shown = said("weights", "convert", folder / "net.safetensors", "--net", net, "--out", out)
    words = f"weights={str(out)!r}, order='relu_before_add'"
    assert shown.splitlines()[-1] == f"keras_ilsvrc.build({NET!r}, {words})"
    build(net, weights=out)


@each_of(
    "case",
    [
        (
            "missing.safetensors",
            "the most similar weights, akamaster of resnet20_cifar, have 270,448 values",
        ),
        ("extra.safetensors", "lack 1 of the file's 98 tensors: last.weight"),
        ("other.npz", "its tensor names, for example a/b, match no known weights"),
    ],
)
def test_inspect_says_why_a_file_fits_no_net(case, folder):
    name, reason = case
    lines = said("weights", "inspect", folder / name).splitlines()
    assert lines[-1].startswith("fits no network: ")
    assert reason in lines[-1]


def test_inspect_needs_no_framework(folder):
    code = (
        "import sys\nfrom keras_ilsvrc.cli import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "print(sorted({'tensorflow', 'keras', 'torch', 'onnx', 'h5py'} & set(sys.modules)))"
    )
    words = ["weights", "inspect", folder / "net.safetensors"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_convert_lists_each_tensor_and_writes_weights_that_build_loads(folder, tmp_path):
    out = tmp_path / "net.weights.h5"
    shown = said("weights", "convert", folder / "net.safetensors", "--net", NET, "--out", out)
    lines = [line.split() for line in shown.splitlines()]
    assert ["conv1.weight", "16x3x3x3", "transposed", "conv1/kernel", "3x3x3x16"] in lines
    assert all(any(line[:1] == [name] for line in lines) for name in state())
    values = sum(one.size for one in state().values())
    assert f"{len(state())} tensors, {values:,} values" in shown
    assert shown.splitlines()[-1] == f"keras_ilsvrc.build({NET!r}, weights={str(out)!r})"
    kernel = build(NET, weights=out).get_layer("conv1").kernel
    assert np.array_equal(kernel, state()["conv1.weight"].transpose(2, 3, 1, 0))
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    again = said("weights", "inspect", out)
    assert again.splitlines()[-1].startswith("Keras wrote the file")


def test_convert_as_json_for_other_classes_and_for_none(folder, tmp_path):
    for name, classes in (("five.safetensors", 5), ("body.npz", None)):
        out = tmp_path / "net.weights.h5"
        words = (folder / name, "--net", NET, "--out", out, "--json")
        facts = json.loads(said("weights", "convert", *words))
        assert (facts["net"], facts["source"], facts["classes"]) == (NET, "akamaster", classes)
        given = {"classes": classes} if classes else {"include_top": False}
        model = build(NET, weights=out, **given)
        assert [row["ours"] for row in facts["rows"]] == [x.path for x in model.weights]
        assert facts["left_out"] == []


@each_of(
    "case",
    [
        (
            "missing.safetensors",
            "no tensor for conv2_1/bn_1/beta|no tensor for conv3_2/conv_2/kernel|"
            "no tensor for conv4_3/bn_2/gamma|"
            "shapes differ: bn1.bias (17,), expected (16,) for conv1_bn/beta",
        ),
        ("extra.safetensors", "no weight for last.weight|shapes differ: bn1.bias (17,), expected"),
        ("infinite.safetensors", "a value of conv1.weight is not|a value of linear.bias is not"),
    ],
)
def test_convert_lists_all_faults_and_leaves_the_file_of_before(case, folder, tmp_path):
    name, faults = case
    out = tmp_path / "net.weights.h5"
    out.write_text("before")
    done = call("weights", "convert", folder / name, "--net", NET, "--out", out)
    assert (done.status, done.stdout) == (2, "")
    *lines, error = done.stderr.splitlines()
    assert error.startswith(f"error: {folder / name}: ")
    for fault in faults.split("|"):
        assert any(fault in line for line in lines), fault
    assert out.read_text() == "before"
    assert list(tmp_path.iterdir()) == [out]


CONVERT = ("convert", "{}/net.safetensors", "--net", NET, "--out", "{}/x.weights.h5")


@each_of(
    "case",
    [
        (("list", "resnet21"), "'resnet21' are known; did you mean"),
        (("list", "nosuch*"), "are known; `keras-ilsvrc weights list` shows all"),
        (("inspect", "{}"), "is a folder"),
        (("inspect", "{}/nowhere.npz"), "nowhere.npz"),
        (("inspect", "{}/net.safetensors", "--sha256", "ab"), "64 hexadecimal digits"),
        (("inspect", "{}/net.safetensors", "--sha256", "0" * 64), "expected 0000"),
        ((*CONVERT[:3], "resnet21_cifar", *CONVERT[4:]), "or 'resnet20_cifar' or"),
        ((*CONVERT[:3], "vgg16", *CONVERT[4:]), "resnet20_cifar (akamaster), not of vgg16"),
        ((*CONVERT[:3], f"{NET}[shortcut=B]", *CONVERT[4:]), "no tensor for conv3_1/conv_shortcut"),
        ((*CONVERT[:-1], "{}/no/x.weights.h5"), "there is no folder"),
        ((*CONVERT[:-1], "{}/x.h5"), "expected a file that ends in .weights.h5"),
        ((*CONVERT, "--source", "caffee"), "'caffee'"),
        (
            (*CONVERT, "--source", "pytorchcv"),
            "its tensors are those of the akamaster weights; leave out --source",
        ),
        ((*CONVERT, "--classes", "7"), "10 classes, but --classes is 7"),
        ((*CONVERT, "--sha256", "0" * 64), "expected 0000"),
        ((*CONVERT, "--reference", "caffe"), "reference is 'caffe'; known: onnx, torch, keras"),
        (
            (*CONVERT, "--reference", "keras"),
            "has no model with the file name resnet20-12fca82f.th",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(case, folder):
    words, reason = case
    before = sorted(folder.iterdir())
    done = call("weights", *(word.format(folder) for word in words))
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert reason in done.stderr.splitlines()[-1]
    assert sorted(folder.iterdir()) == before


def test_a_file_is_not_converted_into_itself(folder, tmp_path):
    path = shutil.copy(folder / "net.safetensors", tmp_path / "net.weights.h5")
    line = refused("weights", "convert", path, "--net", NET, "--out", path)
    assert "the file to convert; choose another name" in line


def test_converted_weights_are_not_converted_again(folder, tmp_path):
    words = ("--net", NET, "--out", tmp_path / "one.weights.h5")
    said("weights", "convert", folder / "net.safetensors", *words)
    words = ("--net", NET, "--out", tmp_path / "two.weights.h5")
    line = refused("weights", "convert", tmp_path / "one.weights.h5", *words)
    assert "already a file of this package" in line


def test_a_missing_runtime_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "find_spec", lambda name: None)
    words = (folder / "net.safetensors", "--net", NET, "--out", tmp_path / "x.weights.h5")
    line = refused("weights", "convert", *words, "--reference", "torch")
    assert line == "this reference needs torch; run python -m pip install torch"


def test_an_onnx_file_is_compared_with_onnxruntime(tmp_path):
    """A file as torch writes it, with the names of pytorchcv's tensors."""
    path, out = tmp_path / "nin.onnx", tmp_path / "nin.weights.h5"
    nin_graph(path)
    words = ("weights", "convert", path, "--net", "nin_cifar10", "--out", out)
    shown = said(*words, "--reference", "onnx")
    rows = dict(line.split() for line in shown.splitlines() if len(line.split()) == 2)
    layers = ["conv1", *(f"cccp{x}" for x in (1, 2, 3, 4, 5, 6)), "conv2", "conv3", "predictions"]
    assert all(float(rows[layer]) < 1e-5 for layer in layers)
    out.unlink()
    nin_graph(path, "MaxPool")
    done = call(*words, "--reference", "onnx")
    assert done.status == 1
    assert "error: " in done.stderr
    assert "expected at most 0.0001; nothing is written" in done.stderr
    assert not out.exists()


def test_a_graph_with_its_own_size_and_unknown_preprocessing_is_compared(tmp_path, monkeypatch):
    know(monkeypatch, preprocessing=())
    path, out = tmp_path / "nin.onnx", tmp_path / "nin.weights.h5"
    nin_graph(path, shape=("images", 40, 40, 3))
    words = ("weights", "convert", path, "--net", "nin_cifar10", "--out", out, "--json")
    found = json.loads(said(*words, "--reference", "onnx"))["differences"]
    assert len(found) == 10
    assert max(found.values()) < 1e-5
