"""Tests of the ops on a single image: alone, in a pipeline, and properties of all ops."""

import inspect
import re

import numpy as np
import pytest
import tensorflow as tf
from op_cases import ARGUMENTS, DIGITS, THREE
from sklearn.datasets import load_sample_images

from keras_ilsvrc import InputError
from keras_ilsvrc.data.apply import apply_ops
from keras_ilsvrc.data.ops import ARITHMETIC, GEOMETRY, OPS, RANDOM, STATISTICS
from keras_ilsvrc.recipe.ops import OP_KEYS

PHOTO = load_sample_images().images[0][:160, :240]
# Every pixel another value, so that a window says where it was cut.
NUMBERED = np.arange(7 * 9, dtype="uint8").reshape(7, 9, 1)
SHARP = 255 * np.eye(3, dtype="uint8")[..., None]  # bicubic reaches beyond 0 and 255


def applied(name, image, seed=(0, 0), **arguments):
    return OPS[name](tf.constant(image), tf.constant(seed), **arguments).numpy()


def mapped(name, images, seeds, **arguments):
    """The same inside a pipeline, where places and seeds are unknown until it runs."""
    pairs = tf.data.Dataset.from_tensor_slices((images, seeds))
    return list(pairs.map(lambda x, seed: OPS[name](x, seed, **arguments)).as_numpy_iterator())


def mapped_unknown(name, images, seeds, **arguments):
    """The same where even the sizes of images are unknown."""
    pairs = tf.data.Dataset.from_tensor_slices((images, seeds))

    @tf.autograph.experimental.do_not_convert
    def op(image, seed):
        size = (None, None, image.shape[-1])
        unknown = tf.raw_ops.PlaceholderWithDefault(input=image, shape=size)
        return OPS[name](unknown, seed, **arguments)

    return list(pairs.map(op).as_numpy_iterator())


def test_every_op_is_tried_here():
    assert set(ARGUMENTS) == set(OPS)


@pytest.mark.parametrize("name", OPS)
def test_a_recipe_gives_an_op_what_the_training_images_do_not(name):
    image, seed, *rest = inspect.signature(OPS[name]).parameters
    assert (image, seed) == ("image", "seed")
    assert set(rest) == set(OP_KEYS[name]) | set(STATISTICS.get(name, ()))
    assert not set(OP_KEYS[name]) & set(STATISTICS.get(name, ()))


def test_recipes_know_every_op_and_no_other():
    assert set(OP_KEYS) == set(OPS)
    assert set(STATISTICS) | RANDOM | GEOMETRY | ARITHMETIC <= set(OPS)
    assert not (GEOMETRY | RANDOM) & ARITHMETIC


@pytest.mark.parametrize("way", [mapped, mapped_unknown])
@pytest.mark.parametrize("name", OPS)
def test_an_op_does_the_same_alone_and_in_a_pipeline(name, way):
    if name == "zca" and way is mapped_unknown:
        with pytest.raises(InputError, match=r"images of \?x\?x3"):
            way(name, [THREE], [(1, 2)], **ARGUMENTS[name])
        return
    images = np.stack([THREE, THREE[::-1], 255 - THREE])
    seeds = [(1, 2), (3, 4), (5, 6)]
    piped = way(name, images, seeds, **ARGUMENTS[name])
    for image, seed, found in zip(images, seeds, piped, strict=True):
        alone = applied(name, image, seed, **ARGUMENTS[name])
        assert alone.dtype == found.dtype
        np.testing.assert_allclose(found, alone, rtol=1e-5, atol=1e-4)
        if name in GEOMETRY:
            np.testing.assert_array_equal(found, alone)


@pytest.mark.parametrize("name", OPS)
def test_an_op_depends_on_the_seed_if_and_only_if_it_is_random(name):
    made = [applied(name, THREE, (0, seed), **ARGUMENTS[name]) for seed in range(12)]
    again = [applied(name, THREE, (0, seed), **ARGUMENTS[name]) for seed in range(12)]
    for image, same in zip(made, again, strict=True):
        np.testing.assert_array_equal(image, same)
    several = len({image.tobytes() for image in made}) > 1
    assert several == (name in RANDOM)


@pytest.mark.parametrize("name", OPS)
def test_geometry_keeps_uint8_and_arithmetic_makes_float32(name):
    made = applied(name, THREE, **ARGUMENTS[name])
    assert made.dtype == ("uint8" if name in GEOMETRY else "float32")
    assert applied(name, THREE.astype("float32"), **ARGUMENTS[name]).dtype == "float32"


@pytest.mark.parametrize("name", sorted(ARITHMETIC))
def test_arithmetic_does_to_a_batch_what_it_does_to_each_image(name):
    images = np.stack([THREE, THREE[::-1], 255 - THREE])
    batch = applied(name, images, **ARGUMENTS[name])
    alone = [applied(name, image, **ARGUMENTS[name]) for image in images]
    np.testing.assert_allclose(batch, alone, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_random_windows_lie_inside_and_reach_every_place(size):
    corners = set()
    for seed in range(400):
        window = applied("random_crop", NUMBERED, (7, seed), size=size)
        top, left = divmod(int(window[0, 0, 0]), 9)
        np.testing.assert_array_equal(window, NUMBERED[top : top + size, left : left + size])
        corners.add((top, left))
    places = {(top, left) for top in range(7 - size + 1) for left in range(9 - size + 1)}
    assert corners == places


@pytest.mark.parametrize("seed", range(5))
def test_random_windows_are_those_of_tensorflow(seed):
    found = applied("random_crop", PHOTO, (7, seed), size=90)
    expected = tf.image.stateless_random_crop(PHOTO, (90, 90, 3), (7, seed))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("size", "top", "left"), [(7, 0, 1), (5, 1, 2), (4, 1, 2), (3, 2, 3), (1, 3, 4)]
)
def test_the_centre_window_is_in_the_middle(size, top, left):
    window = applied("centre_crop", NUMBERED, size=size)
    np.testing.assert_array_equal(window, NUMBERED[top : top + size, left : left + size])


@pytest.mark.parametrize("size", [1, 4])
def test_pad_adds_zeros_on_all_four_sides(size):
    padded = applied("pad", DIGITS[0], size=size)
    np.testing.assert_array_equal(padded, np.pad(DIGITS[0], [(size, size), (size, size), (0, 0)]))


def test_flip_mirrors_about_half_of_200_images():
    flipped = 0
    for seed in range(200):
        found = applied("flip", NUMBERED, (seed, 1))
        mirrored = np.array_equal(found, NUMBERED[:, ::-1])
        assert mirrored or np.array_equal(found, NUMBERED)
        flipped += mirrored
    assert 75 <= flipped <= 125  # 3.5 standard deviations


@pytest.mark.parametrize("name", ["random_crop", "centre_crop", "corner_crop"])
@pytest.mark.parametrize("size", [8, 9, 10])
def test_a_crop_larger_than_the_image_is_refused(name, size):
    message = f"a crop of {size}x{size} does not fit into images of 7x9"
    with pytest.raises(InputError) as caught:
        applied(name, NUMBERED, size=size)
    assert str(caught.value) == message
    with pytest.raises(tf.errors.InvalidArgumentError, match="does not fit"):
        mapped_unknown(name, [NUMBERED], [(0, 0)], size=size)


def test_ops_in_a_row_draw_from_seeds_of_their_own():
    rows = [{"op": "random_crop", "size": 5}, {"op": "random_crop", "size": 3}]
    tops = set()
    for seed in range(80):
        first = apply_ops(tf.constant(NUMBERED), rows[:1], tf.constant([seed, 0]), {})
        both = apply_ops(tf.constant(NUMBERED), rows, tf.constant([seed, 0]), {})
        top, top_of_both = (int(window[0, 0, 0]) // 9 for window in (first, both))
        tops.add((top, top_of_both - top))
    # Both have three places from top to bottom; one seed for both would make them the same.
    assert tops == {(first, second) for first in range(3) for second in range(3)}


def test_statistics_that_training_has_not_measured_are_named():
    with pytest.raises(InputError) as caught:
        apply_ops(tf.constant(THREE), [{"op": "standardise"}], (0, 0), {"channel_mean": 1.0})
    assert str(caught.value).startswith("standardise needs the channel_std of the training images")


def test_the_first_line_about_an_op_is_a_sentence_for_the_table_of_ops():
    for name, op in OPS.items():
        line, *rest = inspect.getdoc(op).splitlines()
        assert re.fullmatch(r"[A-Z][^|]+\.", line), name
        assert rest[:1] in ([], [""]), name


@pytest.mark.parametrize(("std", "factor"), [([0.1], 10), ([10.0], 0.1)])
def test_normalise_scales_the_values_of_another_op(std, factor):
    image = applied("standardise", THREE, **ARGUMENTS["standardise"])
    scaled = applied("normalise", image, mean=[0.0], std=std)
    np.testing.assert_allclose(scaled, factor * image, rtol=1e-6)
