"""Tests of colour ops and arithmetic ops: compared with NumPy and other packages."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_sample_images

from keras_ilsvrc import InputError
from keras_ilsvrc.data.colour import IMAGENET_VALUES, IMAGENET_VECTORS
from keras_ilsvrc.data.ops import OPS

PHOTO = load_sample_images().images[0][100:132, 200:240]
GREY = PHOTO[..., :1]


def applied(name, image, seed=(0, 0), **arguments):
    return OPS[name](tf.constant(image), tf.constant(seed), **arguments).numpy()


def noises(form, count=600, **components):
    """What pca_noise adds to mid-grey pixels, an image a row, before any division."""
    level = np.full((2, 3, 3), 100, "uint8")
    found = tf.vectorized_map(
        lambda n: OPS["pca_noise"](level, tf.stack([3, n]), form, **components), tf.range(count)
    ).numpy()
    assert np.ptp(found, axis=(1, 2)).max() == 0  # one colour for the whole image
    return found[:, 0, 0] * (1.1 if form == "cuda-convnet" else 1.0) - 100


def test_the_printed_components_are_of_length_one_and_at_right_angles():
    # fb.resnet.torch prints four digits
    np.testing.assert_allclose(IMAGENET_VECTORS.T @ IMAGENET_VECTORS, np.eye(3), atol=3e-4)


def test_the_torch_form_moves_along_components_by_a_tenth_of_the_printed_values():
    along = noises("fb.resnet.torch", components="imagenet") @ IMAGENET_VECTORS / 255
    deviations = along.std(axis=0)
    np.testing.assert_allclose(deviations, 0.1 * IMAGENET_VALUES, rtol=0.1)
    assert (np.abs(along.mean(axis=0)) < 0.2 * deviations).all()


def test_the_original_form_moves_by_a_tenth_of_the_deviations():
    # 118.9, 35.0 and 17.1 on the scale 0-255
    along = noises("cuda-convnet", components="imagenet") @ IMAGENET_VECTORS
    np.testing.assert_allclose(along.std(axis=0), [11.89, 3.50, 1.71], rtol=0.1)


def test_the_original_form_divides_image_and_noise():
    found = applied("pca_noise", PHOTO, form="cuda-convnet", components="imagenet")
    noise = found * 1.1 - PHOTO
    np.testing.assert_allclose(noise, np.broadcast_to(noise[0, 0], noise.shape), atol=1e-3)


@pytest.mark.parametrize("form", ["cuda-convnet", "fb.resnet.torch"])
def test_measured_components_equal_to_the_printed_do_the_same(form):
    measured = {
        "components": "measured",
        "pca_values": 255**2 * IMAGENET_VALUES,
        "pca_vectors": IMAGENET_VECTORS,
    }
    found = applied("pca_noise", PHOTO, (4, 5), form=form, **measured)
    expected = applied("pca_noise", PHOTO, (4, 5), form=form, components="imagenet")
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def blended(image, step, alpha):
    """One step of fb.resnet.torch, datasets/transforms.lua, in NumPy."""
    grey = (image * [0.299, 0.587, 0.114]).sum(axis=-1, keepdims=True)
    other = {"brightness": 0, "contrast": grey.mean(), "saturation": grey}[step]
    return alpha * image + (1 - alpha) * other


def test_jitter_is_the_three_blends_in_any_order():
    strengths = {"brightness": 0.4, "contrast": 0.9, "saturation": 1.5}
    found = applied("colour_jitter", PHOTO, (1, 2), **strengths)
    draws = tf.random.stateless_uniform((3,), (1, 2), -1).numpy()
    alphas = {name: 1 + strengths[name] * draw for name, draw in zip(strengths, draws, strict=True)}
    for order in itertools.permutations(strengths):
        image = PHOTO.astype(float)
        for step in order:
            image = blended(image, step, alphas[step])
        np.testing.assert_allclose(found, image, rtol=1e-4, atol=1e-2)


def test_jitter_of_no_strength_changes_nothing():
    found = applied("colour_jitter", PHOTO, brightness=0.0, contrast=0.0, saturation=0.0)
    np.testing.assert_allclose(found, PHOTO, atol=1e-3)


def test_brightness_is_uniform_within_its_strength():
    level = np.full((1, 1, 3), 100, "uint8")
    keys = {"brightness": 0.4, "contrast": 0.0, "saturation": 0.0}
    found = tf.vectorized_map(
        lambda n: OPS["colour_jitter"](level, tf.stack([0, n]), **keys), tf.range(300)
    ).numpy()[:, 0, 0, 0]
    assert 60 <= min(found) < 63
    assert 137 < max(found) <= 140
    assert abs(np.mean(found) - 100) < 4


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("pca_noise", {"form": "cuda-convnet", "components": "imagenet"}),
        ("colour_jitter", {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4}),
        ("preprocess", {"mode": "caffe"}),
        ("preprocess", {"mode": "torch"}),
        ("normalise", {"mean": [1.0, 2.0, 3.0], "std": [1.0]}),
        ("normalise", {"mean": [0.0], "std": [1.0, 1.0]}),
    ],
)
def test_what_needs_colours_refuses_grey_images_in_one_line(name, keys):
    with pytest.raises(InputError) as caught:
        applied(name, GREY, **keys)
    assert str(caught.value).startswith(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_preprocess_is_that_of_keras_applications(mode):
    expected = keras.applications.imagenet_utils.preprocess_input(
        PHOTO.astype("float32"), data_format="channels_last", mode=mode
    )
    np.testing.assert_allclose(applied("preprocess", PHOTO, mode=mode), expected, atol=1e-4)


def test_normalise_subtracts_and_divides_by_channel():
    mean, std = [10.0, 20.0, 30.0], [2.0, 4.0, 8.0]
    expected = (PHOTO - np.float32(mean)) / np.float32(std)
    found = applied("normalise", PHOTO, mean=mean, std=std)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    grey = applied("normalise", PHOTO, mean=[128.0], std=[64.0])
    np.testing.assert_allclose(grey, (PHOTO - 128.0) / 64, rtol=1e-6)


def test_standardise_with_the_statistics_of_an_image_leaves_none():
    mean, std = PHOTO.mean(axis=(0, 1)), PHOTO.std(axis=(0, 1))
    found = applied(
        "standardise", PHOTO, channel_mean=np.float32(mean), channel_std=np.float32(std)
    )
    np.testing.assert_allclose(found.mean(axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=(0, 1)), 1, rtol=1e-5)


def test_a_channel_mean_is_subtracted_from_every_pixel():
    mean = np.float32([100, 50, 25])
    found = applied("subtract_channel_mean", PHOTO, channel_mean=mean)
    np.testing.assert_array_equal(found, PHOTO - mean)


def test_images_of_another_size_lose_the_mean_colour_of_the_mean_image():
    mean = PHOTO.astype("float32") / 3
    found = applied("subtract_pixel_mean", PHOTO, pixel_mean=mean)
    np.testing.assert_array_equal(found, PHOTO - mean)
    part = applied("subtract_pixel_mean", PHOTO[:-1], pixel_mean=mean)
    np.testing.assert_allclose(part, PHOTO[:-1] - mean.mean(axis=(0, 1)), rtol=1e-5)


def test_global_contrast_leaves_no_mean_and_one_length():
    found = applied("global_contrast", PHOTO, scale=55.0)
    assert abs(found.mean()) < 1e-5
    assert np.sqrt((found**2).sum()) == pytest.approx(55, rel=1e-5)
    centred = PHOTO - PHOTO.mean()
    np.testing.assert_allclose(found / found.max(), centred / centred.max(), atol=1e-5)


def test_an_image_without_contrast_is_not_stretched():
    found = applied("global_contrast", np.full((4, 4, 3), 9, "uint8"), scale=55.0)
    np.testing.assert_array_equal(found, 0)


@pytest.mark.parametrize(
    ("image", "epsilon", "fragments"),
    [
        (PHOTO[:8, :8], 0.2, ["epsilon is 0.2", "0.1"]),
        (PHOTO[:9, :8], 0.1, ["192 values", "9x8x3"]),
    ],
)
def test_zca_of_what_was_not_measured_is_refused(image, epsilon, fragments):
    held = {
        "zca_mean": np.zeros(192, "float32"),
        "zca_matrix": np.eye(192, dtype="float32"),
        "zca_epsilon": np.float32(0.1),
    }
    assert applied("zca", PHOTO[:8, :8], epsilon=0.1, **held).shape == (8, 8, 3)
    with pytest.raises(InputError) as caught:
        applied("zca", image, epsilon=epsilon, **held)
    for fragment in fragments:
        assert fragment in str(caught.value)
