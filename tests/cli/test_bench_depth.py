"""Tests of `bench depth`: what it measures in a new process, and which arguments it refuses."""

import json

import pytest
from commands import refused, said

from keras_ilsvrc.bench import depth as bench

pytestmark = pytest.mark.tensorflow


def test_a_process_takes_first_steps_of_a_graph_of_known_size():
    start = bench.first_steps("resnet20_cifar", 2)
    assert 0 < start.step_seconds < start.first_seconds < start.seconds
    assert 1_000 < start.nodes < 2_500  # about ninety for each of 20 layers


def test_ratios_are_those_to_the_first_net(monkeypatch):
    starts = {
        "resnet20_cifar": bench.Start("resnet20_cifar", 1, 2, 3, 0.5, 100, 10),
        "resnet32_cifar": bench.Start("resnet32_cifar", 2, 4, 3, 0.7, 150, 20),
    }
    monkeypatch.setattr(bench, "measure", lambda nets, *rest: [starts[net] for net in nets])
    rows = json.loads(said("bench", "depth", *starts, "--json"))
    assert [row["seconds"] for row in rows] == [6, 9]
    assert [(row["seconds_ratio"], row["nodes_ratio"]) for row in rows] == [(1, 1), (1.5, 1.5)]
    assert "1.50" in said("bench", "depth", *starts)


def test_an_unknown_net_is_refused():
    assert "resnet21_cifar" in refused("bench", "depth", "resnet21_cifar")


@pytest.mark.slow
def test_each_net_has_its_own_process():
    (row,) = json.loads(said("bench", "depth", "resnet20_cifar", "--batch", "2", "--json"))
    assert row["net"] == "resnet20_cifar"
    assert row["seconds"] > row["step_seconds"] > 0
