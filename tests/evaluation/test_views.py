"""Tests of the positions of views: inside every image, and the same for tensors and numbers."""

import pytest
import tensorflow as tf

from keras_ilsvrc.evaluation.views import centre, grid_crop, square_crop, ten_crop, whole

VIEWS = {"centre": centre, "ten": ten_crop, "grid": grid_crop, "square": square_crop}


def test_the_crops_of_squares_of_a_portrait_are_those_of_a_landscape_turned():
    for height, width in ((256, 341), (288, 384), (320, 426), (352, 469)):
        turned = {(view.left, view.top, *view[2:]) for view in square_crop(height, width, 224)}
        assert set(square_crop(width, height, 224)) == turned


def test_the_middle_of_an_odd_rest_is_that_of_a_centre_crop():
    assert centre(257, 300, 224) == [(16, 38, 224, 224, False)]


def test_the_whole_image_and_its_mirror_image_are_two_views():
    assert whole(256, 341, 224) == [(0, 0, 256, 341, False), (0, 0, 256, 341, True)]


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("sides", [(224, 224), (256, 341), (500, 231), (225, 226)])
def test_views_lie_in_the_image_and_half_of_them_are_mirrored(name, sides):
    views = VIEWS[name](*sides, 224)
    for view in views:
        assert min(view.top, view.left) >= 0
        assert view.top + view.height <= sides[0]
        assert view.left + view.width <= sides[1]
        assert view.height == view.width >= 224
    if name != "centre":
        assert [view.flip for view in views] == [False] * (len(views) // 2) + [True] * (
            len(views) // 2
        )
        assert [view[:4] for view in views[: len(views) // 2]] == [
            view[:4] for view in views[len(views) // 2 :]
        ]


@pytest.mark.parametrize("name", VIEWS)
def test_views_of_an_image_whose_size_is_not_yet_known_are_those_of_numbers(name):
    @tf.function(input_signature=[tf.TensorSpec((2,), tf.int32)])
    def on_tensors(sides):
        return [tf.stack(view[:4]) for view in VIEWS[name](sides[0], sides[1], 224)]

    for sides in ((256, 341), (469, 352), (224, 224)):
        found = [tuple(int(x) for x in view) for view in on_tensors(sides)]
        assert found == [view[:4] for view in VIEWS[name](*sides, 224)]
