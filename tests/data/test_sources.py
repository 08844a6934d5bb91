"""Tests of `digits`, of the syntax of splits, and of the table of sources."""

from collections import Counter

import numpy as np
import pytest
from sklearn.datasets import load_digits

from keras_ilsvrc import InputError
from keras_ilsvrc.data.digits import digits
from keras_ilsvrc.data.pipeline import first_fault
from keras_ilsvrc.data.sources import open_source

DIGITS = load_digits()
# Published with scikit-learn: 1,797 images; a fifth each for validation and test.
SIZES = {"train": 1077, "validation": 360, "test": 360}


def message(call, *arguments):
    """The one line of the InputError that a call raises."""
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_digits_have_the_published_sizes():
    assert {name: len(split) for name, split in digits().splits.items()} == SIZES


def test_splits_of_digits_are_disjoint_and_hold_every_image():
    held = Counter(
        (image.tobytes(), int(label))
        for split in digits().splits.values()
        for image, label in zip(split.pixels, split.labels, strict=True)
    )
    images = np.round(DIGITS.images * 15.9375).astype("uint8")
    assert held == Counter(
        (image.tobytes(), int(label)) for image, label in zip(images, DIGITS.target, strict=True)
    )
    assert set(held.values()) == {1}


@pytest.mark.parametrize("name", SIZES)
def test_every_class_of_digits_has_its_share_of_a_split(name):
    counts = np.bincount(digits().splits[name].labels, minlength=10)
    share = np.bincount(DIGITS.target) * SIZES[name] / len(DIGITS.target)
    assert np.abs(counts - share).max() < 1


def test_digits_are_the_same_on_every_call():
    first, second = digits(), digits()
    for name in SIZES:
        np.testing.assert_array_equal(first.splits[name].pixels, second.splits[name].pixels)
        np.testing.assert_array_equal(first.splits[name].labels, second.splits[name].labels)


def test_digits_span_all_of_0_to_255():
    pixels = digits().split("train").pixels
    assert (pixels.dtype, pixels.shape[1:]) == ("uint8", (8, 8, 1))
    assert (pixels.min(), pixels.max()) == (0, 255)


@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        ("train", [("train", slice(None))]),
        ("train+validation", [("train", slice(None)), ("validation", slice(None))]),
        (" test + train ", [("test", slice(None)), ("train", slice(None))]),
        ("train[:100]", [("train", slice(100))]),
        ("train[100:]", [("train", slice(100, None))]),
        ("train[::5]", [("train", slice(None, None, 5))]),
        ("train[1::10]+test[:40:20]", [("train", slice(1, None, 10)), ("test", slice(0, 40, 20))]),
        ("train[-7:]", [("train", slice(-7, None))]),
        ("train[3:5]+test[:2]", [("train", slice(3, 5)), ("test", slice(2))]),
    ],
)
def test_split_expressions_read_as_sums_and_slices(expression, parts):
    source = digits()
    found = source.split(expression)
    wanted = [source.splits[name] for name, _ in parts]
    for values in ("pixels", "labels"):
        expected = np.concatenate(
            [getattr(split, values)[part] for split, (_, part) in zip(wanted, parts, strict=True)]
        )
        np.testing.assert_array_equal(getattr(found, values), expected)


@pytest.mark.parametrize("expression", ["trian", "trian[:100]", "test+trian"])
def test_an_unknown_split_names_the_nearest(expression):
    said = message(digits().split, expression)
    assert "'trian" in said
    assert "did you mean 'train'?" in said


@pytest.mark.parametrize("expression", ["", "train[:100", "train[:::2]", "train[5]", "train-test"])
def test_what_is_no_split_expression_is_refused(expression):
    assert "has no split" in message(digits().split, expression)


@pytest.mark.parametrize("step", [0, -1, -10])
def test_a_step_that_is_not_above_zero_is_refused(step):
    said = message(digits().split, f"test+train[5::{step}]")
    assert f"'train[5::{step}]' has the step {step}; expected a whole number above 0" in said


def test_images_of_a_split_with_a_step_keep_their_labels_and_names():
    train = digits().splits["train"]
    some = digits().split("train[1::10]")
    for index in (0, 3, len(some) - 1):
        np.testing.assert_array_equal(some.image(index), train.image(1 + 10 * index))
        assert int(some.label(index)) == int(train.label(1 + 10 * index))
        assert some.name(index) == train.name(1 + 10 * index)


@pytest.mark.parametrize("expression", ["train[:0]", "train[5:5]", "test[360:]"])
def test_a_split_without_images_is_refused(expression):
    said = message(digits().split, expression)
    assert expression in said
    assert "no image" in said


@pytest.mark.parametrize(
    "name", ["digit", "folder:", "folder", "digits:", "digits:8", "tfds", "cifar10", ":", ""]
)
def test_an_unknown_data_set_lists_what_there_is(name):
    said = message(open_source, name)
    assert said.startswith(f"no data set is called {name!r}")
    kinds = "digits, folder:PATH, csv:FILE, idx:PATH, imagenet:PATH, tfds:NAME, prepared:PATH"
    assert said.endswith(f"known: {kinds}")


def test_a_misspelt_kind_of_data_set_names_the_nearest():
    assert "did you mean 'imagenet'?" in message(open_source, "imagnet:/data")


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_other_numbers_of_channels_are_refused(channels):
    assert f"channels is {channels}; expected 1 or 3" in message(open_source, "digits", channels)


def test_digits_in_memory_are_all_readable():
    assert first_fault(digits().split("train"), [], {}, range(10)) is None
