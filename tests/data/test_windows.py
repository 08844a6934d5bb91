"""Tests of crops: their positions, and that a cropped JPEG has the pixels of the whole image."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_sample_images

from keras_ilsvrc import InputError
from keras_ilsvrc.data import apply, windows
from keras_ilsvrc.data.apply import apply_ops, image_at
from keras_ilsvrc.data.jpeg import window_ops
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Held

PHOTOS = [photo[::2, ::2] for photo in load_sample_images().images]  # 214x320
INCEPTION = {"op": "area_crop", "size": 96, "area": [0.08, 1.0], "aspect": [0.75, 4 / 3]}
FLIP = {"op": "flip"}
WINDOWS = {
    "area": [INCEPTION | {"interpolation": "bilinear"}, FLIP],
    "bicubic": [INCEPTION | {"interpolation": "bicubic"}],
    "random": [INCEPTION | {"interpolation": "random"}, FLIP],
    "alexnet": [
        {"op": "resize_shorter", "size": 128},
        {"op": "random_crop", "size": 112},
        FLIP,
    ],
    "two crops": [
        {"op": "resize_shorter", "size": 128},
        {"op": "centre_crop", "size": 128},
        {"op": "corner_crop", "size": 112},
    ],
    "enlarged": [{"op": "resize_shorter", "size": 300}, {"op": "corner_crop", "size": 90}],
    "jitter": [
        {"op": "scale_jitter", "least": 128, "most": 256},
        {"op": "random_crop", "size": 112},
        FLIP,
    ],
    "no scale": [{"op": "random_crop", "size": 101}, FLIP],
}


def encoded(photo, form="JPEG", **options):
    file = io.BytesIO()
    Image.fromarray(photo).save(file, form, **options)
    return file.getvalue()


def held(*contents, channels=3):
    return Split(np.zeros(len(contents), "int32"), store=Held("x", contents), channels=channels)


def whole_and_window(split, rows, seed):
    """The image decoded whole and put through the ops, and from its window."""
    count = window_ops(rows)
    assert count > 0
    return (
        apply_ops(split.image(0), rows, tf.constant(seed), {}).numpy().astype(int),
        image_at(split, 0, rows, tf.constant(seed), {}).numpy().astype(int),
    )


@pytest.mark.parametrize("rows", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize(
    ("channels", "options"),
    [
        (3, {"subsampling": 2}),
        (3, {"subsampling": 1, "progressive": True}),
        (3, {"subsampling": 0}),
        (1, {}),
    ],
)
def test_a_window_of_a_jpeg_is_that_of_the_whole_image(rows, channels, options):
    different = []
    for seed in range(6):
        split = held(encoded(PHOTOS[seed % 2], quality=90, **options), channels=channels)
        whole, window = whole_and_window(split, rows, (3, seed))
        assert whole.shape == window.shape
        assert np.abs(whole - window).max() <= 1
        different.append((whole != window).mean())
    assert np.mean(different) < 1e-3


def test_images_are_decoded_in_windows_in_a_pipeline_as_well():
    split = held(*(encoded(photo) for photo in PHOTOS))

    def both(index):
        seed = tf.stack([7, tf.cast(index, tf.int32)])
        index = index % 2
        whole = apply_ops(split.image(index), WINDOWS["jitter"], seed, {})
        return whole, image_at(split, index, WINDOWS["jitter"], seed, {})

    for whole, window in tf.data.Dataset.range(10).map(both).as_numpy_iterator():
        assert window.shape == (112, 112, 3)
        assert np.abs(whole.astype(int) - window).max() <= 1


def test_a_jpeg_is_never_decoded_whole_where_its_window_is_known(monkeypatch):
    monkeypatch.setattr(apply, "decode_bytes", None)
    split = held(encoded(PHOTOS[0]))
    assert image_at(split, 0, WINDOWS["area"], (0, 0), {}).shape == (96, 96, 3)


@pytest.mark.parametrize("form", ["PNG", "BMP", "WEBP"])
def test_what_is_no_jpeg_is_decoded_whole(form):
    split = held(encoded(PHOTOS[0], form))
    whole, window = whole_and_window(split, WINDOWS["alexnet"], (0, 5))
    np.testing.assert_array_equal(whole, window)


def test_cmyk_files_have_windows_too():
    cmyk = np.asarray(Image.fromarray(PHOTOS[1]).convert("CMYK"))
    file = io.BytesIO()
    Image.fromarray(cmyk, "CMYK").save(file, "JPEG")
    whole, window = whole_and_window(held(file.getvalue()), WINDOWS["area"], (0, 1))
    assert np.abs(whole - window).max() <= 1


@pytest.mark.parametrize(
    ("names", "count"),
    [
        ([], 0),
        (["flip"], 0),
        (["resize_shorter"], 0),
        (["resize_shorter", "flip", "random_crop"], 0),
        (["resize", "random_crop"], 0),
        (["subtract_pixel_mean", "random_crop"], 0),
        (["area_crop", "centre_crop"], 1),
        (["random_crop", "flip"], 1),
        (["scale_jitter", "random_crop", "flip"], 2),
        (["resize_shorter", "centre_crop", "random_crop", "flip"], 3),
    ],
)
def test_windows_are_of_the_first_ops(names, count):
    assert window_ops([{"op": name} for name in names]) == count


def test_a_window_that_does_not_fit_is_an_error_when_the_image_is_read():
    split = held(encoded(PHOTOS[0]))
    rows = [{"op": "centre_crop", "size": 300}]
    images = tf.data.Dataset.range(1).map(lambda index: image_at(split, index, rows, (0, 0), {}))
    with pytest.raises(tf.errors.InvalidArgumentError, match="300x300 does not fit"):
        list(images)


@pytest.mark.parametrize(
    ("height", "width", "size", "expected"),
    [
        (375, 500, 256, (256, 341)),  # as torchvision: 341.33
        (500, 375, 256, (341, 256)),
        (100, 100, 7, (7, 7)),
        (333, 334, 224, (224, 224)),
    ],
)
def test_the_longer_side_is_rounded_down(height, width, size, expected):
    assert windows.shorter(height, width, None, size) == expected
    found = windows.shorter(tf.constant(height), tf.constant(width), None, size)
    assert tuple(int(side) for side in found) == expected


def test_scales_are_uniform_between_least_and_most():
    sides = [int(windows.shorter_between(50, 80, (4, n), 20, 24)[0]) for n in range(500)]
    counts = np.bincount(sides, minlength=25)[20:]
    assert len(counts) == 5
    assert counts.min() > 70  # 100 expected


def test_224_in_256_reaches_all_offsets_of_the_paper():
    draws = tf.vectorized_map(
        lambda n: tf.stack(windows.anywhere(256, 256, tf.stack([1, n]), 224)), tf.range(20_000)
    ).numpy()
    assert len({tuple(place) for place in draws}) == 33 * 33
    assert draws.min() == 0
    assert draws.max() == 32


def test_corner_windows_are_five():
    places = {
        tuple(int(x) for x in windows.corner_or_middle(256, 300, (1, n), 224)) for n in range(80)
    }
    assert places == {(0, 0), (0, 76), (32, 0), (32, 76), (16, 38)}


def shares(height, width, count=3000, area=(0.08, 1.0), aspect=(0.75, 4 / 3)):
    def draw(n):
        return tf.stack(windows.share(height, width, tf.stack([9, n]), area, aspect))

    return tf.vectorized_map(draw, tf.range(count)).numpy().T


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 375), (40, 400), (9, 7)])
def test_shares_lie_inside(height, width):
    top, left, tall, wide = shares(height, width, 500)
    assert min(top.min(), left.min()) >= 0
    assert min(tall.min(), wide.min()) >= 1
    assert (top + tall).max() <= height
    assert (left + wide).max() <= width


def test_shares_are_uniform_in_area_and_in_aspect_with_exchange():
    # In a large square nearly every share fits up to 3/4 of it.
    top, left, tall, wide = shares(4000, 4000, area=(0.1, 0.5))
    area = tall * wide / 4000**2
    assert abs(area.mean() - 0.3) < 0.01
    assert abs(area.std() - 0.4 / 12**0.5) < 0.01
    aspect = wide / tall
    # Uniform in [3/4, 4/3], or one over such a number: the mean of both is known.
    inverse = np.log(16 / 9) / (4 / 3 - 3 / 4)
    assert abs(aspect.mean() - ((3 / 4 + 4 / 3) / 2 + inverse) / 2) < 0.015
    assert (tall == wide).mean() < 0.02
    assert abs((top / (4000 - tall)).mean() - 0.5) < 0.03
    assert abs((left / (4000 - wide)).mean() - 0.5) < 0.03


def test_where_no_share_fits_it_is_the_square_in_the_middle():
    top, left, tall, wide = shares(100, 1000, 200, area=(0.9, 1.0))
    for found, expected in ((top, 0), (left, 450), (tall, 100), (wide, 100)):
        assert set(found) == {expected}


@pytest.mark.parametrize(
    ("draw", "fragments"),
    [
        (lambda: windows.shorter_between(9, 9, (0, 0), 8, 7), ["scale_jitter", "8, 7"]),
        (lambda: windows.share(9, 9, (0, 0), [0.5, 0.1], [1, 1]), ["area_crop: area", "0.5, 0.1"]),
        (lambda: windows.share(9, 9, (0, 0), [0.1, 1], [2, 1]), ["area_crop: aspect", "2, 1"]),
        (lambda: windows.share(9, 9, (0, 0), [0.1, 1.5], [1, 1]), ["area_crop", "1.5"]),
    ],
)
def test_ranges_that_cannot_be_are_refused(draw, fragments):
    with pytest.raises(InputError) as caught:
        draw()
    assert "\n" not in str(caught.value)
    for fragment in fragments:
        assert fragment in str(caught.value)
