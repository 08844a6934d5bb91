"""Tests of `bench weights`: what it measures for each file, and which files it refuses."""

import json

import pytest
from commands import refused, said

from keras_ilsvrc import build
from keras_ilsvrc.bench import weights as bench

pytestmark = pytest.mark.tensorflow
NET = "nin_cifar10"


@pytest.mark.parametrize("new", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_times_and_memory_are_those_of_a_process_for_each_file(new, tmp_path, monkeypatch):
    if not new:
        monkeypatch.setattr(bench, "in_process", lambda module, *words: bench._once(*words))
    path = tmp_path / "net.weights.h5"
    build(NET).save_weights(path)
    words = ("bench", "weights", path, "--net", NET, "--rounds", "1")
    plain, loaded = json.loads(said(*words, "--json"))
    assert (plain["file"], plain["read_seconds"]) == (None, pytest.approx(0, abs=0.01))
    assert loaded["file"] == str(path)
    whole = loaded["read_seconds"] + plain["build_seconds"]
    assert loaded["ratio"] == pytest.approx(loaded["build_seconds"] / whole)
    assert min(loaded["build_seconds"], loaded["processor_seconds"]) > 0
    values = 966_986  # of the net; tests/nets compares them with the paper
    assert plain["limit_megabytes"] == pytest.approx(4e-6 * values)
    assert loaded["limit_megabytes"] == pytest.approx(4e-6 * values + 1.2e-6 * path.stat().st_size)
    assert 0 <= loaded["peak_megabytes"] < 200


def test_a_file_of_another_net_is_refused_before_the_first_round(tmp_path):
    path = tmp_path / "net.npz"
    path.write_bytes(b"<html>")
    assert "is a web page" in refused("bench", "weights", path, "--net", NET)
