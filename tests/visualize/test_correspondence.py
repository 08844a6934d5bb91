"""Tests of the correspondence of object parts: compared with NumPy loops."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.correspondence import correspondence, random_boxes
from keras_ilsvrc.visualize.probe import Probe


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.fixture
def net():
    inputs = keras.Input((30, 30, 1))
    conv = layers.Conv2D(3, 7, activation="relu", name="conv1")
    net = keras.Model(inputs, conv(inputs), name="net")
    conv.set_weights([noise(7, 7, 1, 3, seed=1), np.zeros(3)])
    return net


def test_correspondence_is_the_share_of_signs_that_differ(net):
    images = noise(4, 30, 30, 1)
    boxes = np.array([[0, 0, 5, 6], [24, 25, 6, 5], [10, 3, 1, 1], [2, 2, 28, 28]])
    found = correspondence(net, images, boxes, "conv1", fill=0.25)
    probe, changes = Probe(net, "conv1"), []
    for image, (top, left, height, width) in zip(images, boxes):
        covered = image.copy()
        covered[top : top + height, left : left + width] = 0.25
        one, other = probe.activations(np.stack([image, covered])).numpy()
        changes.append(np.sign(one - other).reshape(-1))
    shares = [np.mean(changes[i] != changes[j]) for i in range(4) for j in range(i)]
    assert found.mean == pytest.approx(np.mean(shares), abs=1e-3)  # rounding can turn a sign
    assert found.std == pytest.approx(np.std(shares), abs=1e-3)
    assert found.pairs == 6


def test_the_same_part_of_the_same_image_corresponds_wholly(net):
    images = np.repeat(noise(1, 30, 30, 1), 3, 0)
    assert correspondence(net, images, [[3, 4, 8, 8]] * 3, "conv1").mean == 0


def test_a_part_that_brightens_one_image_and_darkens_the_other_does_not_correspond():
    """All features that see the part change, and in opposite ways; the others stay alike."""
    inputs = keras.Input((6, 6, 1))
    conv = layers.Conv2D(1, 1, name="conv1")
    net = keras.Model(inputs, conv(inputs))
    conv.set_weights([np.ones((1, 1, 1, 1)), np.zeros(1)])
    images = np.ones((2, 6, 6, 1), "float32") * np.array([[[[1]]], [[[-1]]]], "float32")
    found = correspondence(net, images, [[0, 0, 2, 3], [0, 0, 2, 3]], "conv1")
    assert found.mean == pytest.approx(6 / 36)
    assert (found.std, found.pairs) == (0, 1)
    for fill in ([0.0], np.zeros((6, 6, 1))):
        boxes = [[0, 0, 2, 3], [4, 3, 2, 3]]
        assert correspondence(net, images, boxes, "conv1", fill).mean == pytest.approx(12 / 36)


def test_random_boxes_lie_inside_and_reach_the_borders():
    boxes = random_boxes(2000, (4, 3), (8, 9), seed=1)
    assert boxes[:, 2:].tolist() == [[4, 3]] * 2000
    assert set(boxes[:, 0]) == set(range(5))
    assert set(boxes[:, 1]) == set(range(7))


@pytest.mark.parametrize(
    ("images", "boxes", "said"),
    [
        (1, [[0, 0, 2, 2]], "at least two"),
        (2, [[0, 0, 2, 2]], "for each of 2 images"),
        (2, [[0, 0, 2, 2], [29, 0, 2, 2]], "not inside an image of 30x30"),
        (2, [[0, 0, 2, 2], [0, -1, 2, 2]], "not inside"),
        (2, [[0, 0, 2, 2], [0, 0, 2, 0]], "not inside"),
        (2, [[0, 0, 2, 2.5], [0, 0, 2, 2]], "whole numbers"),
    ],
)
def test_boxes_that_are_none_are_refused(net, images, boxes, said):
    with pytest.raises(InputError, match=said):
        correspondence(net, noise(images, 30, 30, 1), boxes, "conv1")


def test_random_boxes_larger_than_the_images_are_refused():
    assert random_boxes(1, (8, 9), (8, 9), seed=0).tolist() == [[0, 0, 8, 9]]
    with pytest.raises(InputError, match="a box of 8x10 is larger than an image of 8x9"):
        random_boxes(1, (8, 10), (8, 9), seed=0)
