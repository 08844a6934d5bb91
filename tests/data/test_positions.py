"""Tests that a stream of training images can start at any step and continues exactly."""

import numpy as np
import pytest

from keras_ilsvrc.data.pipeline import training_batches
from keras_ilsvrc.data.split import Split

IMAGES, END = 400, 480  # an epoch, and a part of the next one
ROWS = [{"op": "pad", "size": 1}, {"op": "random_crop", "size": 4}, {"op": "flip"}]


@pytest.fixture(scope="module")
def rest():
    """What comes from a position on, augmented: images and labels."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (IMAGES, 4, 4, 1)).astype("uint8")
    split = Split(np.arange(IMAGES, dtype="int32"), pixels, channels=1)

    def stream(position):
        batches = training_batches(split, ROWS, {}, 1, 5, position, END)
        images, labels = next(batches.unbatch().batch(END).as_numpy_iterator())
        return images, labels

    return stream


@pytest.fixture(scope="module")
def whole(rest):
    return rest(0)


def check(rest, whole, positions):
    for position in positions:
        images, labels = rest(position)
        np.testing.assert_array_equal(labels, whole[1][position:])
        np.testing.assert_array_equal(images, whole[0][position:])


def test_an_epoch_holds_every_image_once_in_an_order_of_its_own(whole):
    labels = whole[1]
    assert sorted(labels[:IMAGES]) == list(range(IMAGES))
    assert len(set(labels[IMAGES:])) == END - IMAGES
    assert (labels[IMAGES:] != labels[: END - IMAGES]).mean() > 0.9


def test_images_are_augmented_anew_in_every_epoch(whole):
    images, labels = whole
    first = {label: image for image, label in zip(images[:IMAGES], labels)}
    changed = [(first[x] != image).any() for image, x in zip(images[IMAGES:], labels[IMAGES:])]
    assert np.mean(changed) > 0.8


def test_every_fiftieth_position_restores_to_an_identical_remainder(rest, whole):
    check(rest, whole, range(1, IMAGES, 50))


@pytest.mark.slow
def test_every_position_restores_to_an_identical_remainder(rest, whole):
    check(rest, whole, range(IMAGES))
