"""Where views lie: against lists written by hand, and on tensors as on numbers."""

import pytest
import tensorflow as tf

from keras_ilsvrc.evaluation.views import centre, grid_crop, square_crop, ten_crop, whole

VIEWS = {"centre": centre, "ten": ten_crop, "grid": grid_crop, "square": square_crop}
# A photograph of 375x500 at the four scales of GoogLeNet. A line is a square: top and left of its
# four corners, its centre and itself; then its side.
CROPS_144 = {
    (256, 341): """
        0 0    0 32    32 0    32 32    16 16    0 0     256
        0 42   0 74    32 42   32 74    16 58    0 42    256
        0 85   0 117   32 85   32 117   16 101   0 85    256
    """,
    (288, 384): """
        0 0    0 64    64 0    64 64    32 32    0 0     288
        0 48   0 112   64 48   64 112   32 80    0 48    288
        0 96   0 160   64 96   64 160   32 128   0 96    288
    """,
    (320, 426): """
        0 0    0 96    96 0    96 96    48 48    0 0     320
        0 53   0 149   96 53   96 149   48 101   0 53    320
        0 106  0 202   96 106  96 202   48 154   0 106   320
    """,
    (352, 469): """
        0 0    0 128   128 0   128 128  64 64    0 0     352
        0 58   0 186   128 58  128 186  64 122   0 58    352
        0 117  0 245   128 117 128 245  64 181   0 117   352
    """,
}


def rectangles(text):
    """Of the lines of `CROPS_144`: top, left, height and width."""
    for line in text.strip().splitlines():
        *places, side = map(int, line.split())
        sizes = [224] * 5 + [side]
        for number, size in enumerate(sizes):
            yield *places[2 * number : 2 * number + 2], size, size


def test_the_144_crops_of_a_landscape_are_those_written_by_hand():
    found = [view for sides in CROPS_144 for view in square_crop(*sides, 224)]
    expected = [
        (*rectangle, flip)
        for text in CROPS_144.values()
        for flip in (False, True)
        for rectangle in rectangles(text)
    ]
    assert found == expected
    assert len(found) == 144


def test_the_144_crops_of_a_portrait_are_those_of_a_landscape_turned():
    for (height, width), text in CROPS_144.items():
        turned = {(left, top, h, w) for top, left, h, w in rectangles(text)}
        assert {view[:4] for view in square_crop(width, height, 224)} == turned


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
