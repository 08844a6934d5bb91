"""Tests of the callback that watches gradients and responses: its steps and exact values."""

import csv
from functools import cache

import numpy as np
import pytest
import replica_runs
import tensorflow as tf
import toy
from devices import mirrored
from toy_runs import STEPS, StopAt, untrained

from keras_ilsvrc.training.gradient_flow import GradientFlow
from keras_ilsvrc.training.losses import CrossEntropy
from keras_ilsvrc.training.stopping import Stopped, StopRequest
from keras_ilsvrc.training.watch import FLOW_COLUMNS, Watch

BOTH = ("gradients", "responses")


def batch():
    return next(iter(toy.batches(0, tf.distribute.InputContext())))


@cache
def measuring():
    """The measurement of the toy's net; it is traced once for all trainings of a process."""
    return GradientFlow(untrained().model, CrossEntropy())


def watched(directory, stop_after=None, names=BOTH, **options):
    """Train the toy net, or resume it, with a watch; return the rows of the file and the hash."""
    update, stop, lines = untrained(), StopRequest(), []
    images, labels = batch()
    flow = measuring()
    watch = Watch(
        directory / "gradients.csv",
        lambda step: flow(images, labels, step),
        names,
        toy.PER_EPOCH,
        lines.append,
    )
    callbacks = [watch, StopAt(stop, stop_after)]
    trainer = toy.trainer_of(
        update, STEPS, directory / "kept", callbacks, stop=stop, log=lambda line: None, **options
    )
    try:
        trainer.train()
    except Stopped:
        assert stop_after is not None
    assert lines == []
    with open(directory / "gradients.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == FLOW_COLUMNS
    return rows, toy.state_hash(update)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return watched(tmp_path_factory.mktemp("whole"))


def times(rows):
    return list(dict.fromkeys((int(row[0]), int(row[1])) for row in rows))


def test_a_watch_changes_no_weight_and_no_statistic(whole, uninterrupted):
    assert whole[1] == uninterrupted[0]


def test_it_measures_at_the_start_often_at_first_and_after_each_epoch(whole):
    rows = whole[0]
    assert times(rows) == [(0, 0), (1, 1), (2, 1), (5, 1), (10, 2), (12, 3)]
    assert [row[2] for row in rows] == ["conv1", "predictions"] * 6
    values = np.array([row[3:] for row in rows], float)
    assert (values > 0).all()
    assert len(np.unique(values)) == values.size


def test_with_several_steps_a_call_it_measures_at_the_end_of_calls(tmp_path, uninterrupted):
    rows, state = watched(tmp_path, steps_per_call=3)
    assert times(rows) == [(0, 0), (3, 1), (5, 1), (10, 2), (12, 3)]
    assert state == uninterrupted[0]


@pytest.mark.parametrize("stop_after", [1, 7])
def test_a_run_that_is_resumed_writes_the_same_rows(tmp_path, whole, stop_after):
    before, _ = watched(tmp_path, stop_after)
    assert len(before) < len(whole[0])
    assert watched(tmp_path) == whole


def test_what_is_not_watched_stays_empty(tmp_path, whole):
    rows, _ = watched(tmp_path, names=["responses"])
    assert [[*row[:3], "", "", row[5]] for row in whole[0]] == rows


def test_workers_without_a_file_measure_nothing():
    watch = Watch(None, lambda step: pytest.fail("measured"), BOTH, 5)
    watch.on_epoch_begin(0)
    watch.on_train_batch_begin(0)
    watch.on_train_batch_end(0, {"step": 1})
    watch.on_epoch_end(0, {"step": 5})
    assert watch.rows == []


def test_two_replicas_measure_as_one_does_and_keep_their_own_statistics():
    images, labels = batch()
    found = []
    for replicas in (1, 2):
        strategy = mirrored(replicas)
        with strategy.scope():
            update = toy.fresh()
        iterator = replica_runs.feed(strategy)
        flow = GradientFlow(update.model, CrossEntropy())
        found.append([flow(images, labels)])
        update.take(iterator, 0, 1)
        before = toy.state_hash(update)
        found[-1].append(flow(images, labels))
        assert toy.state_hash(update) == before
    (one, one_later), (two, two_later) = found
    assert one == two
    assert one_later != one
    for a, b in zip(one_later, two_later, strict=True):  # their batch statistics differ
        assert a.layer == b.layer
        assert a.response == pytest.approx(b.response, rel=0.2)
