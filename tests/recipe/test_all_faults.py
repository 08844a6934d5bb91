"""Tests that all faults of a recipe are reported at once, each with its line."""

import re

import pytest

from keras_ilsvrc import InputError
from keras_ilsvrc.recipe import load
from keras_ilsvrc.runs.checks import net_faults

BAD = """\
net = "resnet20_cifar"
sede = 0  # seed = 0
initial = "paper"
keep = "best"
[build]
input_shape = [8, 8]
classes = 10
[data]
dataset = "digits"
train = "train"
test = "test"
"batchsize" = 32
train_ops = [
  {op = "subtract_pixel_mean"},
  {op = "pad"},
  {op = "random_crop", sise = 8, size = 8}, {op = "randm"},
  "batch_size",
]
eval_ops = []
[batch_norm]
statistics = "sync"
[loss]
name = "cross_entropy"
[optimizer]
name = "sgd"
momentum = 0.9
learning_rate = 0.1
rho = 0.5
[schedule]
name = "steps"
learning_rate = [[0, 0.01], [45, -0.1]]
[[departs]]
what = "digits"
why = "they are small"
[[departs]]
what = "digits"
[expect]
protocol = "single_view"
top1_error = 120
"""
FAULTS = """\
FILE has 18 errors:
FILE:2: sede: unknown key; did you mean 'seed' or 'schedule' or 'keep'?
FILE:4: keep: needs data.validation; set it to the name of a split
FILE:6: build.input_shape: [8, 8]: list should have at least 3 items, not 2
FILE:12: data.batchsize: unknown key; did you mean 'batch_size' or 'dataset'?
FILE:13: data.train_ops.4: 'batch_size' should be a table with a key op
FILE:15: data.train_ops.1.size: missing
FILE:16: data.train_ops.2.sise: unknown key; did you mean 'size'?
FILE:16: data.train_ops.3.op: unknown value 'randm'; did you mean 'random_crop' or 'pad'?
FILE:21: batch_norm.statistics: 'sync' should be 'synchronized' or 'replica'
FILE:24: optimizer.l2: missing
FILE:27: optimizer.learning_rate: unknown key of sgd; it is a key of schedule
FILE:28: optimizer.rho: unknown key of sgd; it is a key of rmsprop
FILE:29: schedule.steps: missing; give steps, or epochs
FILE:31: schedule.learning_rate: [[0, 0.01], [45, -0.1]]: expected rates above 0
FILE:35: departs.1.why: missing
FILE:39: expect.top1_error: 120 should be less than or equal to 100
--set schedule.patience=3: schedule.patience: unknown key of steps; it is a key of plateau
--set shedule.x=3: shedule: unknown key; did you mean 'schedule' or 'seed' or 'baseline'?
"""


def refused(path, *overrides, check=None):
    with pytest.raises(InputError) as caught:
        load(path, overrides, check)
    return str(caught.value).splitlines()


def test_every_fault_is_told_with_its_line_and_the_nearest_key(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(BAD)
    found = refused(path, "shedule.x=3", "schedule.patience=3")
    assert found == FAULTS.replace("FILE", str(path)).splitlines()


def test_comments_and_long_texts_are_not_taken_for_keys(tmp_path):
    path = tmp_path / "bad.toml"
    text = BAD.replace("eval_ops", '  # {op = "flip"},\neval_ops').replace(
        '  {op = "pad"},', '  # {op = "flip"},\n  {op = "pad"},'
    )
    path.write_text(text.replace('"they are small"', '"""\n[data]\nbatchsize = 3\n[expect]\n"""'))
    lines = refused(path)
    for line in (
        "12: data.batchsize: u",
        "16: data.train_ops.1.size: m",
        "45: expect.top1_error: 120",
    ):
        assert any(found.startswith(f"{path}:{line}") for found in lines), (line, lines)


def test_a_thousand_faults_are_twenty_lines_and_a_number(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("".join(f"key{number} = 1\n" for number in range(1000)) + BAD)
    first, *lines, last = refused(path)
    assert first == f"{path} has 1016 errors:"
    assert all(re.match(rf"{re.escape(str(path))}:\d+: .*: unknown", line) for line in lines)
    assert len(lines) == 20
    assert last == "... and 996 more"


def test_the_command_prints_a_line_for_each(tmp_path, capfd, monkeypatch):
    from keras_ilsvrc import cli

    path = tmp_path / "bad.toml"
    path.write_text(BAD)
    monkeypatch.setattr("sys.argv", ["keras-ilsvrc", "train", str(path)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    first, *lines = capfd.readouterr().err.splitlines()
    assert (caught.value.code, first) == (2, f"error: {path} has 16 errors:")
    assert all(line.startswith(f"{path}:") for line in lines)
    assert len(lines) == 16


def test_faults_of_the_net_are_told_with_all_others(tmp_path):
    path = tmp_path / "bad.toml"
    text = BAD.replace("resnet20_cifar", "alexnet")
    path.write_text(text.replace("[build]\n", '[build]\nactivation = "than"\nbranches = 3\n'))
    lines = refused(path, check=net_faults)
    assert lines[0] == f"{path} has 18 errors:"
    assert any(x.startswith(f"{path}:6: build.activation: alexnet: activation is") for x in lines)
    assert f"{path}:7: build.branches: alexnet has no argument 'branches'" in lines
    path.write_text(BAD.replace("resnet20_cifar", "resnet81"))
    lines = refused(path, check=net_faults)
    assert lines[0] == f"{path} has 17 errors:"
    assert lines[1].startswith(f"{path}:1: net: no net is called 'resnet81'; did you mean")
