"""Tests of checkpoint files: complete or absent, and every changed bit is detected."""

import errno
import os
import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest

from keras_ilsvrc.training.checkpoint import Checkpoints, Damaged, State, read, write
from keras_ilsvrc.utils import files

FACTS = {"step": 3, "sums": {"loss": 0.1 + 0.2}, "skipped": [], "callbacks": [{"best": None}]}


def state(step=3, size=50):
    random = np.random.default_rng(step)
    arrays = {
        "model/conv1/kernel": random.normal(size=(size, 7)).astype("float32"),
        "optimizer/iteration": np.int64(step),
        "update/loss_scale": np.float32(2**15),
        "model/seed": random.integers(0, 2**32, 2, dtype="uint32"),
    }
    return State(arrays, {**FACTS, "step": step})


def equal(one, other):
    assert one.facts == other.facts
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        found = other.arrays[name]
        assert found.dtype == np.asarray(array).dtype
        np.testing.assert_array_equal(found, array)


def test_reading_needs_the_memory_of_the_arrays_and_little_more(tmp_path):
    arrays = {f"array{number}": np.full(250_000, number, "float32") for number in range(10)}
    write(tmp_path / "one.ckpt", State(arrays, FACTS))
    tracemalloc.start()
    try:
        found = read(tmp_path / "one.ckpt")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    equal(found, State(arrays, FACTS))
    assert peak < 1.2 * (tmp_path / "one.ckpt").stat().st_size


@pytest.fixture
def path(tmp_path):
    return tmp_path / "step-000000003.ckpt"


def test_reads_what_was_written_to_the_bit(path):
    write(path, state())
    equal(read(path), state())
    assert [x.name for x in path.parent.iterdir()] == [path.name]


def test_every_flipped_bit_is_found(path):
    """1,000 of them, spread over digest, headers, arrays, facts and the directory of the zip."""
    write(path, state())
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    edges = np.concatenate([np.arange(200), 8 * len(whole) - 1 - np.arange(200)])
    for bit in [*edges, *random.choice(8 * len(whole), 600, replace=False)]:
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(Damaged, match="SHA-256"):
            read(path)


def test_every_truncation_is_found(path):
    write(path, state())
    whole = path.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 100).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(Damaged):
            read(path)


def test_bytes_behind_the_end_are_found(path):
    write(path, state())
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(Damaged):
        read(path)


@pytest.mark.parametrize("damage", ["flip", "empty", "cut"])
def test_falls_back_to_the_one_before_and_names_both(tmp_path, damage):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(3, state(3))
    newest = checkpoints.save(6, state(6))
    whole = newest.read_bytes()
    newest.write_bytes(
        {"flip": whole[:-9] + b"x" + whole[-8:], "empty": b"", "cut": whole[:99]}[damage]
    )
    found, damaged = checkpoints.latest()
    equal(found, state(3))
    assert len(damaged) == 1
    assert str(newest) in damaged[0]


def test_nothing_is_left_if_all_are_damaged(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(3, state(3)).write_bytes(b"")
    found, damaged = checkpoints.latest()
    assert found is None
    assert len(damaged) == 1


def test_keeps_the_newest_two(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2, 10, 1_000_000_000):
        checkpoints.save(step, state(step))
    assert [x.name for x in checkpoints.paths()] == ["step-1000000000.ckpt", "step-000000010.ckpt"]
    equal(checkpoints.latest()[0], state(1_000_000_000))


def test_damaged_files_of_later_steps_make_way(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (6, 9):
        checkpoints.save(step, state(step)).write_bytes(b"")
    assert checkpoints.latest()[0] is None
    checkpoints.save(0, state(0))
    checkpoints.save(3, state(3))
    assert [x.name for x in checkpoints.paths()] == ["step-000000003.ckpt", "step-000000000.ckpt"]
    equal(checkpoints.latest()[0], state(3))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_never_holds_what_is_not_finite(tmp_path, value):
    bad = state(6)
    bad.arrays["model/conv1/kernel"][4, 2] = value
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(3, state(3))
    with pytest.raises(ValueError, match="kernel contains NaN or infinite values after step 6"):
        checkpoints.save(6, bad)
    equal(checkpoints.latest()[0], state(3))


@pytest.mark.parametrize("after", [0, 65, 500, 1500])
def test_a_full_disk_leaves_the_one_before(tmp_path, monkeypatch, after):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(3, state(3))
    real = files.Hashed.write

    def full(self, data):
        if self.file.tell() >= after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, data)

    monkeypatch.setattr(files.Hashed, "write", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(6, state(6))
    assert [x.name for x in tmp_path.iterdir()] == ["step-000000003.ckpt"]
    equal(checkpoints.latest()[0], state(3))


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, os.environ["TESTS"])
from test_checkpoint import state
from keras_ilsvrc.utils import files
from keras_ilsvrc.training import checkpoint

directory, after = Path(sys.argv[1]), int(sys.argv[2])
checkpoints = checkpoint.Checkpoints(directory)
step = checkpoints.latest()[0].facts["step"] + 1
written = 0
write, replace, fsync = files.Hashed.write, os.replace, os.fsync

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def counted(self, data):
    global written
    written += len(data)
    if written > after:
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        die()
    return write(self, data)

def replaced(*names):
    if after == -1:
        die()
    replace(*names)
    if after == -2:
        die()

def flushed(handle):
    if after == -3:
        die()
    fsync(handle)

files.Hashed.write, os.replace, os.fsync = counted, replaced, flushed
for _ in range(3):
    checkpoints.save(step, state(step))
    step += 1
"""


@pytest.mark.parametrize("kills", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_a_kill_inside_a_write_leaves_a_whole_latest(tmp_path, kills):
    """At every phase of the write, each on what the one before left."""
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(0, state(0))
    size = checkpoints.paths()[0].stat().st_size
    script = textwrap.dedent(KILLED)
    environment = {**os.environ, "TESTS": os.path.dirname(__file__)}
    points = [-1, -2, -3, 0, *np.random.default_rng(1).integers(1, 2 * size, kills - 4)]
    for point in points:
        before = checkpoints.latest()[0].facts["step"]
        command = [sys.executable, "-c", script, str(tmp_path), str(point)]
        done = subprocess.run(command, env=environment, capture_output=True)
        assert done.returncode == -9, done.stderr.decode()
        found, damaged = checkpoints.latest()
        assert not damaged
        assert found.facts["step"] in (before, before + 1, before + 2)
        equal(found, state(found.facts["step"]))
