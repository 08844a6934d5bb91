"""What is done to one image, alone and inside a pipeline."""

import inspect

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from keras_ilsvrc import InputError
from keras_ilsvrc.data.ops import OPS, RANDOM, STATISTICS
from keras_ilsvrc.data.pipeline import apply_ops
from keras_ilsvrc.tables import OP_KEYS

DIGITS = np.round(load_digits().images * 15.9375).astype("float32")[..., None]
THREE = np.concatenate([DIGITS[0], DIGITS[1], DIGITS[2]], axis=-1)  # 8x8x3 of real pixels
# Every pixel another value, so that a window says where it was cut.
NUMBERED = np.arange(7 * 9, dtype="float32").reshape(7, 9, 1)
MEAN, STD = [10.0, 20.0, 30.0], [2.0, 4.0, 8.0]

ARGUMENTS = {
    "resize": {"size": 5},
    "pad": {"size": 2},
    "random_crop": {"size": 6},
    "centre_crop": {"size": 5},
    "flip": {},
    "normalise": {"mean": MEAN, "std": STD},
    "standardise": {"channel_mean": np.float32(MEAN), "channel_std": np.float32(STD)},
    "subtract_pixel_mean": {"pixel_mean": DIGITS[:50].mean(axis=0)},
}


def applied(name, image, seed=(0, 0), **arguments):
    return OPS[name](tf.constant(image), tf.constant(seed), **arguments).numpy()


def mapped(name, images, seeds, **arguments):
    """The same inside a pipeline, where sizes are unknown until it runs."""
    signature = (
        tf.TensorSpec((None, None, images[0].shape[-1]), tf.float32),
        tf.TensorSpec((2,), tf.int32),
    )
    pairs = tf.data.Dataset.from_generator(
        lambda: zip(images, seeds, strict=True), output_signature=signature
    )
    return list(pairs.map(lambda x, seed: OPS[name](x, seed, **arguments)).as_numpy_iterator())


def test_every_op_is_tried_here():
    assert set(ARGUMENTS) == set(OPS)


@pytest.mark.parametrize("name", OPS)
def test_a_recipe_gives_an_op_what_the_training_images_do_not(name):
    image, seed, *rest = inspect.signature(OPS[name]).parameters
    assert (image, seed) == ("image", "seed")
    assert set(rest) == set(OP_KEYS[name]) | set(STATISTICS.get(name, ()))
    assert not set(OP_KEYS[name]) & set(STATISTICS.get(name, ()))


def test_recipes_know_every_op_and_no_other():
    assert list(OP_KEYS) == list(OPS)
    assert set(STATISTICS) | RANDOM <= set(OPS)


@pytest.mark.parametrize("name", OPS)
def test_an_op_does_the_same_alone_and_in_a_pipeline(name):
    images = [THREE, THREE[::-1].copy(), 255 - THREE]
    seeds = [(1, 2), (3, 4), (5, 6)]
    piped = mapped(name, images, seeds, **ARGUMENTS[name])
    for image, seed, found in zip(images, seeds, piped, strict=True):
        np.testing.assert_array_equal(found, applied(name, image, seed, **ARGUMENTS[name]))


@pytest.mark.parametrize("name", OPS)
def test_an_op_depends_on_the_seed_if_and_only_if_it_is_random(name):
    made = [applied(name, THREE, (0, seed), **ARGUMENTS[name]) for seed in range(30)]
    again = [applied(name, THREE, (0, seed), **ARGUMENTS[name]) for seed in range(30)]
    np.testing.assert_array_equal(made, again)
    several = len({image.tobytes() for image in made}) > 1
    assert several == (name in RANDOM)


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


@pytest.mark.parametrize(
    ("size", "top", "left"), [(7, 0, 1), (5, 1, 2), (4, 1, 2), (3, 2, 3), (1, 3, 4)]
)
def test_the_centre_window_is_in_the_middle(size, top, left):
    window = applied("centre_crop", NUMBERED, size=size)
    np.testing.assert_array_equal(window, NUMBERED[top : top + size, left : left + size])


@pytest.mark.parametrize("size", [1, 4])
def test_pad_adds_zeros_on_all_four_sides(size):
    padded = applied("pad", DIGITS[0] + 1, size=size)
    expected = np.pad(DIGITS[0] + 1, [(size, size), (size, size), (0, 0)])
    np.testing.assert_array_equal(padded, expected)


def test_flip_mirrors_about_half_of_200_images():
    flipped = 0
    for seed in range(200):
        found = applied("flip", NUMBERED, (seed, 1))
        mirrored = np.array_equal(found, NUMBERED[:, ::-1])
        assert mirrored or np.array_equal(found, NUMBERED)
        flipped += mirrored
    assert 75 <= flipped <= 125  # 3.5 standard deviations


def test_normalise_subtracts_and_divides_by_channel():
    expected = (THREE - np.float32(MEAN)) / np.float32(STD)
    np.testing.assert_allclose(applied("normalise", THREE, mean=MEAN, std=STD), expected, rtol=1e-6)


def test_standardise_with_the_statistics_of_an_image_leaves_none():
    mean, std = THREE.mean(axis=(0, 1)), THREE.std(axis=(0, 1))
    found = applied("standardise", THREE, channel_mean=mean, channel_std=std)
    np.testing.assert_allclose(found.mean(axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=(0, 1)), 1, rtol=1e-5)


def test_subtract_pixel_mean_leaves_a_mean_image_of_zero():
    mean = DIGITS.mean(axis=0)
    left = [applied("subtract_pixel_mean", image, pixel_mean=mean) for image in DIGITS[:200]]
    np.testing.assert_allclose(left, DIGITS[:200] - mean, rtol=1e-6)


@pytest.mark.parametrize("size", [4, 2])
def test_resize_to_a_fraction_keeps_the_mean(size):
    level = np.full((8, 8, 1), 77, "float32")
    np.testing.assert_allclose(applied("resize", level, size=size), 77, rtol=1e-6)
    small = applied("resize", DIGITS[0], size=size)
    assert small.shape == (size, size, 1)
    assert abs(small.mean() - DIGITS[0].mean()) < 0.15 * DIGITS[0].mean()


@pytest.mark.parametrize("name", ["random_crop", "centre_crop"])
@pytest.mark.parametrize("size", [8, 9, 10])
def test_a_crop_larger_than_the_image_is_refused(name, size):
    with pytest.raises(InputError) as caught:
        applied(name, NUMBERED, size=size)
    assert str(caught.value) == f"a crop of {size}x{size} does not fit into images of 7x9"


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
