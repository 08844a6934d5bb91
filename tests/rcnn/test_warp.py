"""Tests of warping: compared with a transcription of the authors' rcnn_im_crop.m."""

import numpy as np
import pytest
from cases import each_of

from keras_ilsvrc.rcnn import paper
from keras_ilsvrc.rcnn.warp import warp

IMAGE = np.random.default_rng(0).uniform(0, 255, (60, 80, 3))


def half_up(value):
    return int(np.floor(value + 0.5)) if value >= 0 else -int(np.floor(-value + 0.5))


def resized(window, shape):
    """MATLAB's imresize with 'bilinear' and without antialiasing: it repeats the last pixels."""
    for axis, size in enumerate(shape):
        length = window.shape[axis]
        places = (np.arange(size) + 0.5) * length / size - 0.5
        low = np.floor(places).astype(int)
        share = (places - low).reshape(-1, *[1] * (2 - axis))
        one, other = (np.take(window, np.clip(low + n, 0, length - 1), axis) for n in (0, 1))
        window = one * (1 - share) + other * share
    return window


def authors(image, box, size, padding):
    """rcnn_im_crop.m, line by line, with crop_mode 'warp'; box counts from 1, ends inclusive."""
    pad_w = pad_h = 0
    crop_width = crop_height = size
    if padding > 0:
        scale = size / (size - padding * 2)
        half_height, half_width = (box[3] - box[1] + 1) / 2, (box[2] - box[0] + 1) / 2
        centre = box[0] + half_width, box[1] + half_height
        box = [
            half_up(centre[0] - half_width * scale),
            half_up(centre[1] - half_height * scale),
            half_up(centre[0] + half_width * scale),
            half_up(centre[1] + half_height * scale),
        ]
        unclipped = box[3] - box[1] + 1, box[2] - box[0] + 1
        pad = max(0, 1 - box[1]), max(0, 1 - box[0])
        box = [max(1, box[0]), max(1, box[1]), min(image.shape[1], box[2]), min(len(image), box[3])]
        scales = size / unclipped[0], size / unclipped[1]
        crop_height = half_up((box[3] - box[1] + 1) * scales[0])
        crop_width = half_up((box[2] - box[0] + 1) * scales[1])
        pad_h, pad_w = half_up(pad[0] * scales[0]), half_up(pad[1] * scales[1])
        crop_height, crop_width = min(crop_height, size - pad_h), min(crop_width, size - pad_w)
    window = image[box[1] - 1 : box[3], box[0] - 1 : box[2]]
    found = np.zeros((size, size, 3))
    inside = np.zeros((size, size), bool)
    place = slice(pad_h, pad_h + crop_height), slice(pad_w, pad_w + crop_width)
    found[place] = resized(window, (crop_height, crop_width))
    inside[place] = True
    return found, inside


BOXES = np.array(
    [[20, 15, 49, 40], [1, 1, 30, 22], [60, 30, 80, 60], [1, 1, 80, 60], [5, 50, 9, 59]]
)


@each_of("context", [16, 0, 3])
def test_crops_are_the_authors_but_for_what_is_behind_the_ends_of_a_box(context):
    ours, inside = warp(IMAGE, BOXES - [1.0, 1, 0, 0], 96, context)
    for crop, mask, box in zip(ours.numpy(), inside, BOXES):
        expected, covered = authors(IMAGE, box, 96, context)
        assert np.array_equal(mask, covered), box
        differs = np.abs(crop - expected).max(axis=2) > 0.05
        rows, columns = np.nonzero(covered)
        # a sample less than half a pixel from the end of the box has a neighbour outside
        edge = int(np.ceil(96 / min(box[2] - box[0], box[3] - box[1]) / 2)) + 1
        middle = slice(rows.min() + edge, rows.max() + 1 - edge)
        assert not differs[middle, columns.min() + edge : columns.max() + 1 - edge].any(), box
        assert not crop[~covered].any()


def test_context_is_16_pixels_of_a_crop_of_227():
    """The box is in the middle 195 pixels: 16 remain at each side."""
    image = np.zeros((300, 300, 1))
    image[100:200, 100:200] = 1
    crop = warp(image, np.array([[100.0, 100, 200, 200]]), paper.CROP, paper.CONTEXT)[0][0, ..., 0]
    rows = np.flatnonzero(crop.numpy()[113] > 0.5)
    assert paper.CROP - 2 * paper.CONTEXT == 195
    assert rows.min() == pytest.approx(16, abs=1.2)
    assert rows.max() == pytest.approx(227 - 17, abs=1.2)


def test_a_box_of_one_pixel_and_an_image_of_one_pixel_become_crops():
    crop, inside = warp(IMAGE, np.array([[79.0, 59, 80, 60]]), 32, 4)
    assert np.isfinite(crop.numpy()).all()
    assert inside.any()
    one = warp(np.full((1, 1, 3), 7.0), np.array([[0.0, 0, 1, 1]]), 32, 0)[0]
    assert np.allclose(one, 7)
