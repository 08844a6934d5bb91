"""Tests of top activations whose pictures are cropped to the signal."""

import numpy as np

from keras_ilsvrc.visualize.top import TopActivations, cut, focused


def signals(*spots, side=60, spot=10):
    """Two maps of one activation each, whose signal is a square at a spot of a field of an image.

    Each image is two pixels larger than the field, which begins at (1, 2).
    """
    images = np.random.default_rng(0).random((2, side + 2, side + 2, 1))
    projections = np.zeros((2, 1, side, side, 1), "float32")
    for own, (row, column) in zip(projections, spots):
        own[0, row : row + spot, column : column + spot] = -2.0
    windows = np.tile([1, 2, side, side], (2, 1, 1))
    patches = np.stack([[cut(image, window[0])] for image, window in zip(images, windows)])
    indices = np.array([[0], [1]])
    return images, TopActivations(
        "x", indices[:, 0], indices, indices, windows, patches, projections
    )


def test_projections_and_patches_are_cut_to_the_signal():
    images, found = signals((30, 5), (45, 50))
    made = focused(found)
    assert made.patches.shape == made.projections.shape == (2, 1, 20, 20, 1)  # a third of 60
    for image, window, patch, own, whole in zip(
        images, made.windows, made.patches, made.projections, found.projections
    ):
        np.testing.assert_array_equal(patch[0], cut(image, window[0]))
        assert own.sum() == whole.sum()  # all of the signal is inside
    assert made.windows[0, 0].tolist() == [1 + 25, 2 + 0, 20, 20]
    assert made.windows[1, 0].tolist() == [1 + 40, 2 + 40, 20, 20]  # moved inside the field


def test_a_signal_that_fills_its_field_is_not_cut():
    _, found = signals((0, 0), (0, 0), spot=60)
    assert focused(found) is found
    _, small = signals((2, 2), (2, 2), side=8, spot=1)
    assert focused(small) is small
