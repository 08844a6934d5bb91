"""Tests that protocols give the same results on two replicas, in a new process, as on one."""

import json

import fresh
import numpy as np
import pytest

SCRIPT = """
import json
import numpy as np
import keras
from keras_ilsvrc import build
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Files
from keras_ilsvrc.evaluation.evaluate import evaluate
from keras_ilsvrc.training.forward import Forward
from keras_ilsvrc.training.strategy import mirrored

rows = [
    {{"op": "resize_shorter", "size": 40}},
    {{"op": "centre_crop", "size": 32}},
    {{"op": "normalise", "mean": [128.0], "std": [64.0]}},
]
split = Split(np.arange(5, dtype="int32"), store=Files(np.array({paths!r})), channels=1)

def found_on(strategy):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = build("lenet5_modern")
    images, found = (model, split, rows, {{}}), []
    for protocol in ("ten_crop", "dense"):
        told = []
        tell = lambda *counts: told.append(counts)
        probabilities = evaluate(*images, protocol, 20, Forward(strategy), progress=tell)
        found.append({{"told": told, "probabilities": probabilities.tolist()}})
    return found

on_two, on_one = (found_on(mirrored(replicas)) for replicas in (2, 1))
print(json.dumps([on_one, on_two]))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each protocol found on one replica, and on two."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("images")
    paths = [str(folder / f"{number}.png") for number in range(5)]
    random = np.random.default_rng(0)
    for number, path in enumerate(paths):
        pixels = random.integers(0, 256, (40 + number, 58 - 2 * number)).astype("uint8")
        Image.fromarray(pixels).save(path)
    output = fresh.said(SCRIPT.format(paths=paths), environment={"CUDA_VISIBLE_DEVICES": "-1"})
    return json.loads(output.splitlines()[-1])


def test_probabilities_on_two_replicas_are_those_on_one(found):
    for one, two in zip(*found, strict=True):
        expected = np.array(one["probabilities"])
        assert expected.shape == (5, 10)
        assert np.ptp(expected, axis=0).max() > 1e-3
        np.testing.assert_allclose(two["probabilities"], expected, rtol=0, atol=1e-5)


def test_progress_counts_every_image_once_on_any_number_of_replicas(found):
    for replicas in found:
        for each in replicas:
            done = [images for images, total in each["told"] if total == 5]
            assert len(done) == len(each["told"])
            assert done == sorted(set(done))
            assert done[-1] == 5
