"""Tests of the pixels of views: compared with Pillow and NumPy."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from keras_ilsvrc import InputError
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.evaluation.cut import ViewsOf, own_side, parted
from keras_ilsvrc.evaluation.views import centre, grid_crop, square_crop, ten_crop, whole

RESIZE = {"op": "resize_shorter", "size": 24}
CROP = {"op": "centre_crop", "size": 16}
CENTRE = {"op": "normalise", "mean": [100.0, 110.0, 120.0], "std": [2.0, 4.0, 8.0]}
FRAME = {"op": "centre_crop", "size": 24}
MEAN = {"op": "subtract_pixel_mean"}


def split_of(height, width, count=2):
    pixels = np.random.default_rng(0).integers(0, 256, (count, height, width, 3)).astype("uint8")
    return Split(np.arange(count, dtype="int32"), pixels)


def views(split, rows, function, side=None, statistics=None, size=16):
    return ViewsOf(split, rows, statistics or {}, function, side, size).image(0).numpy()


def normalised(pixels):
    return (np.asarray(pixels, "float32") - CENTRE["mean"]) / CENTRE["std"]


@pytest.mark.parametrize("function", [centre, ten_crop, grid_crop])
def test_crops_are_those_of_pillow(function):
    split = split_of(24, 31)
    picture = Image.fromarray(split.pixels[0])
    found = views(split, [CROP, CENTRE], function)
    assert found.dtype == "float32"
    for view, pixels in zip(function(24, 31, 16), found, strict=True):
        cut = picture.crop((view.left, view.top, view.left + 16, view.top + 16))
        cut = ImageOps.mirror(cut) if view.flip else cut
        np.testing.assert_allclose(pixels, normalised(cut), atol=1e-5)


def test_a_square_is_resized_to_the_other_views():
    split = split_of(24, 31)
    found = views(split, [CROP, CENTRE], square_crop)
    for number, left in ((5, 0), (11, 3), (17, 7)):
        square = Image.fromarray(split.pixels[0]).crop((left, 0, left + 24, 24))
        expected = normalised(square.resize((16, 16), Image.Resampling.BILINEAR))
        np.testing.assert_allclose(found[number], expected, atol=0.51)  # a grey level over 2
        np.testing.assert_allclose(found[number + 18], expected[:, ::-1], atol=0.51)


def test_the_whole_image_is_resized_and_has_no_crops():
    split = split_of(48, 62)
    found = views(split, [RESIZE, FRAME, CENTRE, CROP], whole)
    assert found.shape == (2, 24, 31, 3)
    small = Image.fromarray(split.pixels[0]).resize((31, 24), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(found[0], normalised(small), atol=0.51)
    np.testing.assert_array_equal(found[1], found[0][:, ::-1])


def test_another_side_replaces_the_size_of_the_recipe():
    found = views(split_of(48, 60), [RESIZE, CROP, CENTRE], whole, 36)
    assert found.shape == (2, 36, 45, 3)
    square = views(split_of(48, 60), [{"op": "resize", "size": 24}, CROP], whole, 36)
    assert square.shape == (2, 36, 36, 3)
    assert views(split_of(48, 60), [CENTRE], whole, 36).shape == (2, 36, 45, 3)


def test_a_mean_image_is_subtracted_before_ten_crops_where_the_recipe_does():
    """The rows of AlexNet: a square of the resized image, minus a mean of its size, then crops."""
    split = split_of(24, 31)
    mean = np.random.default_rng(1).uniform(0, 255, (24, 24, 3)).astype("float32")
    found = views(split, [RESIZE, FRAME, MEAN, CROP], ten_crop, statistics={"pixel_mean": mean})
    centred = split.pixels[0][:, 3:27].astype("float32") - mean
    for view, pixels in zip(ten_crop(24, 24, 16), found, strict=True):
        cut = centred[view.top : view.top + 16, view.left : view.left + 16]
        np.testing.assert_allclose(pixels, cut[:, ::-1] if view.flip else cut, atol=1e-4)


@pytest.mark.parametrize(("function", "side"), [(whole, None), (square_crop, 28)])
def test_of_a_mean_image_of_another_size_the_means_of_its_channels_are_left(function, side):
    split = split_of(28, 35)
    mean = np.random.default_rng(1).uniform(0, 255, (24, 24, 3)).astype("float32")
    rows = [{"op": "resize_shorter", "size": 28}, FRAME, MEAN, CROP]
    found = views(split, rows, function, side, {"pixel_mean": mean})
    expected = views(split, [rows[0], CROP], function, side) - mean.mean(axis=(0, 1))
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("function", [ten_crop, grid_crop, square_crop])
def test_views_of_a_constant_image_are_all_the_same(function):
    split = Split(np.zeros(1, "int32"), np.full((1, 40, 31, 3), 77, "uint8"))
    found = views(split, [RESIZE, CROP, CENTRE], function)
    expected = np.broadcast_to(normalised([77, 77, 77]), found.shape)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "side", "entire", "front", "behind"),
    [
        ([RESIZE, CROP, CENTRE], None, False, [RESIZE], [CENTRE]),
        ([RESIZE, FRAME, MEAN, CROP], None, False, [RESIZE, FRAME, MEAN], []),
        ([RESIZE, FRAME, MEAN, CROP], None, True, [RESIZE], [MEAN]),
        ([RESIZE, FRAME, MEAN, CROP], 30, False, [{**RESIZE, "size": 30}], [MEAN]),
        ([RESIZE, CENTRE], None, False, [RESIZE], [CENTRE]),
        ([CENTRE], None, False, [], [CENTRE]),
        ([CENTRE], 30, False, [{**RESIZE, "size": 30}], [CENTRE]),
        ([CENTRE], None, True, [], [CENTRE]),
    ],
)
def test_ops_are_parted_where_the_last_crop_stands(rows, side, entire, front, behind):
    assert [list(part) for part in parted(rows, side, entire)] == [front, behind]


def test_the_side_is_that_of_the_resizing_or_of_images_in_memory():
    split = split_of(28, 35)
    assert own_side(split, [RESIZE, CROP]) == 24
    assert own_side(split, [CENTRE]) == 28
    assert own_side(Split(np.zeros(1, "int32")), [CENTRE]) is None


@pytest.mark.parametrize("function", [centre, ten_crop, grid_crop, square_crop, whole])
def test_an_image_smaller_than_the_net_takes_is_refused(function):
    with pytest.raises(InputError, match="images are 15x31, but the net takes 16x16; resize them"):
        views(split_of(15, 31), [CENTRE], function)
