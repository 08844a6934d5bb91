"""Tests of resizing: compared with Pillow, OpenCV's rule and TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_sample_images

from keras_ilsvrc.data.ops import OPS, like, resampled

PHOTO = load_sample_images().images[0][:160, :240]
SHARP = 255 * np.eye(3, dtype="uint8")[..., None]  # bicubic reaches beyond 0 and 255
AREA = {"size": 5, "area": [0.08, 1.0], "aspect": [0.75, 1.3333]}


def applied(name, image, seed=(0, 0), **arguments):
    return OPS[name](tf.constant(image), tf.constant(seed), **arguments).numpy()


@pytest.mark.parametrize("size", [(61, 91), (160, 240), (300, 200)])
def test_resizing_is_that_of_pillow_to_a_grey_level(size):
    image = Image.fromarray(PHOTO).crop((0, 0, *size[::-1]))
    expected = np.asarray(image.resize((112, 112), Image.Resampling.BILINEAR)).astype(int)
    found = applied("resize", np.asarray(image), size=112).astype(int)
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 0.2  # Pillow rounds in between


def by_hand(image, height, width):
    """Bilinear between the two nearest pixels on each axis, as OpenCV's INTER_LINEAR."""

    def axis(values, size):
        at = (np.arange(size) + 0.5) * len(values) / size - 0.5
        low = np.clip(np.floor(at).astype(int), 0, len(values) - 1)
        high = np.minimum(low + 1, len(values) - 1)
        share = np.clip(at - low, 0, 1)[:, None, None]
        return values[low] * (1 - share) + values[high] * share

    return axis(axis(image.astype(float), height).swapaxes(0, 1), width).swapaxes(0, 1)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("resize", {"size": 80}),
        ("resize_shorter", {"size": 80}),
        ("scale_jitter", {"least": 80, "most": 80}),
    ],
)
def test_without_antialiasing_resizing_is_that_of_opencv(name, arguments):
    found = applied(name, PHOTO, antialias=False, **arguments)
    expected = by_hand(PHOTO, *found.shape[:2])
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() <= 0.51
    smooth = applied(name, PHOTO, **arguments)
    assert np.abs(found.astype(int) - smooth).max() > 20


@pytest.mark.parametrize("name", ["resize_shorter", "scale_jitter"])
def test_the_picture_keeps_its_shape(name):
    arguments = {"size": 80} if name == "resize_shorter" else {"least": 80, "most": 80}
    found = applied(name, PHOTO, **arguments)
    expected = Image.fromarray(PHOTO).resize((120, 80), Image.Resampling.BILINEAR)
    assert np.abs(found.astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize(("image", "size"), [(PHOTO[:, :160], 100), (SHARP, 5)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_area_crops_are_windows_resized_without_antialiasing(image, size, interpolation):
    whole = {"size": size, "area": [1.0, 1.0], "aspect": [1.0, 1.0]}
    found = applied("area_crop", image, interpolation=interpolation, **whole)
    expected = tf.image.resize(image, (size, size), interpolation)
    np.testing.assert_array_equal(found, np.clip(np.floor(expected + 0.5), 0, 255))


def test_random_interpolation_is_each_of_four_for_about_a_quarter():
    whole = {"size": 60, "area": [1.0, 1.0], "aspect": [1.0, 1.0], "interpolation": "random"}
    square = PHOTO[:, :160]
    methods = ("bilinear", "bicubic", "area", "nearest")
    made = [tf.image.resize(square, (60, 60), method) for method in methods]
    made = [np.clip(np.floor(image.numpy() + 0.5), 0, 255) for image in made]
    counts, seeds = [0] * 4, tf.data.Dataset.range(120, output_type="int32")
    crop = seeds.map(lambda seed: OPS["area_crop"](square, tf.stack([seed, 0]), **whole))
    for found in crop.as_numpy_iterator():
        (which,) = (n for n, image in enumerate(made) if np.array_equal(found, image))
        counts[which] += 1
    assert min(counts) > 14  # 30 expected, deviation 4.7


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize(("size", "scale"), [((40, 50), (0.7, 0.31)), ((90, 80), (1.9, 2.3))])
@pytest.mark.parametrize("channels", [1, 3])
def test_resampling_axis_by_axis_is_that_of_the_op_on_the_whole_image(kind, size, scale, channels):
    image = PHOTO[:31, :45, :channels].astype(kind)
    shift = tf.constant([1.25, -3.5])
    whole = tf.raw_ops.ScaleAndTranslate(
        images=image[None],
        size=size,
        scale=scale,
        translation=shift,
        kernel_type="triangle",
        antialias=True,
    )[0]
    found = resampled(tf.constant(image), size, tf.constant(scale), shift)
    assert found.shape == (*size, channels)
    np.testing.assert_array_equal(found, like(tf.constant(image), whole))


@pytest.mark.parametrize("kind", ["uint8", "float32", "int32"])
@pytest.mark.parametrize("antialias", [True, False])
def test_an_image_of_the_size_is_not_resized(kind, antialias):
    image = PHOTO[:40, :50].astype(kind)
    found = applied("resize_shorter", image, size=40, antialias=antialias)
    assert found.dtype == ("uint8" if kind == "uint8" else "float32")
    np.testing.assert_array_equal(found, image)
    graph = tf.function(
        lambda x: OPS["resize"](x, (0, 0), 40, antialias), [tf.TensorSpec((None, None, 3), kind)]
    )
    np.testing.assert_array_equal(graph(image[:, :40]), image[:, :40])
    assert graph(image).shape == graph.get_concrete_function().output_shapes == (40, 40, 3)
