"""Hostile and damaged weight files: each is refused, and nothing but the file is opened.

One process reads them all, with a limit of memory, and a record of what it opens and runs.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import hostile_hdf5
import hostile_torch
import numpy as np
import pytest
from test_readers_refuse import REFUSED
from writers import (
    write_caffe,
    write_hdf5,
    write_keras,
    write_npz,
    write_onnx,
    write_safetensors,
    write_torch,
)

SECONDS = 5
ARRAYS = {"w": np.ones((20, 30), "f4")}
GOOD = {
    "weights.h5": write_hdf5,
    "a.keras": write_keras,
    "a.npz": write_npz,
    "a.onnx": write_onnx,
    "a.pth": write_torch,
    "a.safetensors": write_safetensors,
}
WRITTEN = {**hostile_torch.FILES, **hostile_hdf5.FILES}
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
