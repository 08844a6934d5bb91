"""Tests of hostile and damaged weight files: each is refused, and no other file is opened.

A single process with limited memory reads all files, and records the files that it opens and the
code that it runs.
"""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import hostile_hdf5
import hostile_legacy
import hostile_torch
import numpy as np
import pytest
from test_readers_refuse import REFUSED
from writers import (
    write_caffe,
    write_hdf5,
    write_keras,
    write_legacy,
    write_npz,
    write_onnx,
    write_safetensors,
    write_torch,
)

import keras_ilsvrc
from keras_ilsvrc import InputError
from keras_ilsvrc.weights import read
from keras_ilsvrc.weights.load import assign

SECONDS = 5
ARRAYS = {"w": np.ones((20, 30), "f4")}
GOOD = {
    "weights.h5": write_hdf5,
    "a.keras": write_keras,
    "a.npz": write_npz,
    "a.onnx": write_onnx,
    "a.pth": write_torch,
    "a.th": write_legacy,
    "a.safetensors": write_safetensors,
}
WRITTEN = {**hostile_torch.FILES, **hostile_legacy.FILES, **hostile_hdf5.FILES}
WORDS = {name: words for name, (_, words) in {**WRITTEN, **REFUSED}.items()}


def read_all(top):
    """Write all files to a folder, and read them in another process."""
    folders = [top / name for name in ("files", "good", "outside")]
    for folder in folders:
        folder.mkdir()
    files, good, outside = folders
    for name, write in GOOD.items():
        write(good / name, ARRAYS)
    write_caffe(good / "a.caffemodel", {"w": ARRAYS.values()})
    write_hdf5(outside / "weights.h5", ARRAYS)
    write_hdf5(outside / "weights0.h5", ARRAYS)
    for name, (write, _) in WRITTEN.items():
        write(files / name)
    for name, (content, _) in REFUSED.items():
        (files / name).write_bytes(content)
    before = sorted(top.rglob("*"))
    command = [sys.executable, Path(__file__).with_name("hostile_process.py"), *folders]
    done = subprocess.run(command, cwd=files, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(top.rglob("*")) == before  # nothing was written
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """{file name: (error, seconds, what was opened or run but the file)}."""
    return read_all(tmp_path_factory.mktemp("hostile"))


def test_number(results):
    assert set(results) == set(WORDS)
    assert len(WORDS) >= 80


def test_each_is_refused_with_file_and_reason(results):
    wrong = {
        name: error
        for name, (error, _, _) in results.items()
        if not re.match(rf"\S*/{re.escape(name)}\b.*; ", error)
        or not re.search(WORDS[name], error)
        or len(error) > 700
    }
    assert wrong == {}


def test_nothing_else_is_opened_or_run(results):
    assert {name: events for name, (_, _, events) in results.items() if events} == {}


def test_each_takes_little_time(results):
    assert {name: took for name, (_, took, _) in results.items() if took > SECONDS} == {}


def tensors_of_resnet20():
    """Tensors with the names and shapes of akamaster's resnet20."""
    random, tensors = np.random.default_rng(0), {}
    convolutions = [("conv1", "bn1", 16, 3)]
    for stage, width in enumerate((16, 32, 64), 1):
        for unit in range(3):
            before = width // 2 if stage > 1 and unit == 0 else width
            place = f"layer{stage}.{unit}."
            convolutions += [(f"{place}conv1", f"{place}bn1", width, before)]
            convolutions += [(f"{place}conv2", f"{place}bn2", width, width)]
    for conv, bn, width, before in convolutions:
        tensors[f"{conv}.weight"] = random.standard_normal((width, before, 3, 3), "f4")
        for name in ("weight", "bias", "running_mean", "running_var"):
            tensors[f"{bn}.{name}"] = random.random(width, "f4")
    tensors["linear.weight"] = random.standard_normal((10, 64), "f4")
    return {**tensors, "linear.bias": random.random(10, "f4")}


LAST = "layer3.2.bn2.running_var"
# {what is wrong: (tensors that are changed, None for one that is left out; what the error says)}
UNFIT = {
    "nan": ({LAST: np.full(64, np.nan, "f4")}, f"a value of {LAST} is not finite"),
    "infinite": ({LAST: np.full(64, -np.inf, "f4")}, f"a value of {LAST} is not finite"),
    "misshapen": ({LAST: np.ones(63, "f4")}, rf"shapes differ: {LAST} \(63,\), expected \(64,\)"),
    "missing": ({LAST: None}, "no tensor for conv4_3"),
    "extra": ({"layer9.weight": np.ones(3, "f4")}, "no weight for layer9.weight"),
}


@pytest.fixture(scope="module")
def resnet20():
    from keras_ilsvrc import build

    return build("resnet20_cifar")


@pytest.mark.parametrize("suffix", ["pth", "th", "h5", "keras", "npz", "onnx", "safetensors"])
@pytest.mark.parametrize("fault", UNFIT)
def test_tensors_that_do_not_fit_change_nothing(tmp_path, resnet20, suffix, fault):
    changes, words = UNFIT[fault]
    tensors = {**tensors_of_resnet20(), **changes}
    tensors = {name: values for name, values in tensors.items() if values is not None}
    path = tmp_path / f"a.{suffix}"
    writers = {name.rpartition(".")[2]: write for name, write in GOOD.items()}
    writers[suffix](path, tensors)
    before = [weight.numpy() for weight in resnet20.weights]
    with pytest.raises(InputError, match=words) as caught:
        assign(resnet20, read(path), "akamaster")
    assert str(path) in str(caught.value)
    assert all(np.array_equal(old, new) for old, new in zip(before, resnet20.weights))


# Modules that run code in data, or that load it; and arguments that allow it.
MODULES = {"pickle", "_pickle", "marshal", "dill", "cloudpickle", "joblib", "shelve"}
FUNCTIONS = {"eval", "exec", "__import__", "enable_unsafe_deserialization", "load_model"}
ARGUMENTS = {"allow_pickle": True, "shell": True, "safe_mode": False, "weights_only": False}
# Keras' `load_model` reads models that this package has saved: exports, and files that the user
# names as a model. Readers of weight files do not call it.
ALLOWED = {
    ("cli/draw.py", "load_model"),
    ("nets/loading.py", "load_model"),
    ("runs/inspection.py", "load_model"),
    ("weights/export.py", "load_model"),
    ("weights/reference.py", "eval"),  # `model.eval()` of torch
}


def risks(tree):
    """Yield the names of modules, functions and arguments in code that may run other code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from {name.name.partition(".")[0] for name in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            yield from {(node.module or "").partition(".")[0]} & MODULES
        elif isinstance(node, ast.Call):
            yield from {getattr(node.func, "attr", getattr(node.func, "id", ""))} & FUNCTIONS
            for word in node.keywords:
                if word.arg in ARGUMENTS and getattr(word.value, "value", 0) is ARGUMENTS[word.arg]:
                    yield word.arg


def test_no_module_of_the_package_runs_code_in_data():
    found = set()
    for path in Path(keras_ilsvrc.__file__).parent.rglob("*.py"):
        name = path.relative_to(Path(keras_ilsvrc.__file__).parent).as_posix()
        found |= {(name, risk) for risk in risks(ast.parse(path.read_text()))}
    assert found == ALLOWED
