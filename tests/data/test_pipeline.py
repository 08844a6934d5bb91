"""Tests of the stream of training images: which image is at each position, and its augmentation."""

import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits

from keras_ilsvrc import InputError
from keras_ilsvrc.data.folder import folder
from keras_ilsvrc.data.order import place
from keras_ilsvrc.data.pipeline import (
    evaluation_batches,
    names_of_step,
    naming_the_file,
    training_batches,
)
from keras_ilsvrc.data.source import Shares
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.statistics import measure_statistics

DIGITS = np.round(load_digits().images * 15.9375).astype("uint8")[..., None]
AUGMENTED = [{"op": "pad", "size": 2}, {"op": "random_crop", "size": 8}, {"op": "flip"}]


def numbered(count):
    """Real images whose label is their place in the split."""
    return Split(np.arange(count, dtype="int32"), DIGITS[:count], channels=1)


def stream(count, examples, batch_size=4, seed=0, rows=(), first_step=0):
    """The first examples of a stream: images, and which they are."""
    steps = -(-examples // batch_size)
    batches = training_batches(
        numbered(count), rows, {}, batch_size, seed, first_step, first_step + steps
    )
    images, places = zip(*batches.as_numpy_iterator(), strict=True)
    return np.concatenate(images)[:examples], np.concatenate(places)[:examples]


@pytest.mark.parametrize(("count", "batch_size"), [(13, 4), (29, 8), (17, 32), (3, 2), (1, 5)])
def test_every_epoch_holds_every_image_once(count, batch_size):
    images, places = stream(count, 3 * count, batch_size)
    for epoch in range(3):
        part = slice(epoch * count, (epoch + 1) * count)
        assert sorted(places[part]) == list(range(count))
        np.testing.assert_array_equal(images[part], DIGITS[places[part]])


def test_batches_are_full_across_the_borders_of_epochs():
    batches = training_batches(numbered(13), [], {}, 4, 0, 0, 10)
    shapes = [(images.shape, places.shape) for images, places in batches]
    assert shapes == [((4, 8, 8, 1), (4,))] * 10


@pytest.mark.parametrize("batch_size", [1, 3, 5, 26])
def test_order_and_augmentation_depend_on_the_position_not_on_the_batch(batch_size):
    images, places = stream(13, 26, 4, seed=3, rows=AUGMENTED)
    other_images, other_places = stream(13, 26, batch_size, seed=3, rows=AUGMENTED)
    np.testing.assert_array_equal(places, other_places)
    np.testing.assert_array_equal(images, other_images)


def test_order_and_augmentation_repeat_with_the_seed():
    first, second = (stream(40, 80, seed=5, rows=AUGMENTED) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("seed", [1, 2, 2**31 - 1])
def test_another_seed_gives_another_order_and_augmentation(seed):
    images, places = stream(40, 40, rows=AUGMENTED)
    other_images, other_places = stream(40, 40, seed=seed, rows=AUGMENTED)
    assert (places == other_places).mean() < 0.2
    by_place, other_by_place = images[places.argsort()], other_images[other_places.argsort()]
    assert (by_place == other_by_place).all(axis=(1, 2, 3)).mean() < 0.2


def test_another_epoch_gives_another_order_and_augmentation():
    images, places = stream(40, 120, rows=AUGMENTED)
    orders = [places[40 * epoch : 40 * epoch + 40] for epoch in range(3)]
    by_place = [
        images[40 * epoch : 40 * epoch + 40][order.argsort()] for epoch, order in enumerate(orders)
    ]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert (orders[one] == orders[other]).mean() < 0.2
        assert (by_place[one] == by_place[other]).all(axis=(1, 2, 3)).mean() < 0.2


def test_the_images_of_one_epoch_are_augmented_one_by_one():
    copies = Split(np.arange(60, dtype="int32"), np.repeat(DIGITS[:1], 60, axis=0), channels=1)
    images, _ = next(iter(training_batches(copies, AUGMENTED, {}, 60, 0)))
    # 25 windows, mirrored or not: 60 draws are expected to hold 35 of the 50
    assert len({image.numpy().tobytes() for image in images}) > 25


def test_every_image_comes_first_in_some_epoch():
    _, places = stream(10, 600, 10)
    counts = np.bincount(places[::10], minlength=10)  # 60 epochs: 6 expected
    assert counts.min() >= 1
    assert counts.max() <= 15


@pytest.mark.parametrize("step", range(1, 8))
def test_a_stream_started_at_a_step_is_the_remainder_of_the_whole(step):
    whole_images, whole_places = stream(13, 32, rows=AUGMENTED)  # two epochs and a half
    images, places = stream(13, 32 - 4 * step, rows=AUGMENTED, first_step=step)
    np.testing.assert_array_equal(places, whole_places[4 * step :])
    np.testing.assert_array_equal(images, whole_images[4 * step :])


def test_a_stream_without_a_last_step_goes_on():
    batches = training_batches(numbered(3), [], {}, 2, 0).take(30)
    places = np.concatenate([places for _, places in batches.as_numpy_iterator()])
    assert np.bincount(places).tolist() == [20, 20, 20]


@pytest.mark.parametrize(("count", "batch_size"), [(13, 4), (12, 4), (3, 8), (1, 1)])
def test_evaluation_holds_all_images_in_order_and_fills_up_with_the_last(count, batch_size):
    batches = list(evaluation_batches(numbered(count), [], {}, batch_size).as_numpy_iterator())
    assert {batch.shape[0] for batch in batches} == {batch_size}
    assert len(batches) == -(-count // batch_size)
    images = np.concatenate(batches)
    np.testing.assert_array_equal(images[:count], DIGITS[:count])
    for filled in images[count:]:
        np.testing.assert_array_equal(filled, DIGITS[count - 1])


def test_images_of_files_come_as_those_of_memory(tmp_path):
    (tmp_path / "train" / "digit").mkdir(parents=True)
    for index in range(7):
        Image.fromarray(DIGITS[index, ..., 0]).save(tmp_path / f"train/digit/{index}.png")
    split = folder(tmp_path, channels=1, shares=Shares(0, 0)).split("train")
    found = next(iter(training_batches(split, AUGMENTED, {}, 7, 0)))[0]
    np.testing.assert_array_equal(found, stream(7, 7, 7, rows=AUGMENTED)[0])


@pytest.mark.parametrize(
    "start",
    [
        lambda split, rows: training_batches(split, rows, {}, 2, 0),
        lambda split, rows: evaluation_batches(split, rows, {}, 2),
        lambda split, rows: measure_statistics(split, [*rows, {"op": "standardise"}]),
    ],
    ids=["training", "evaluation", "statistics"],
)
def test_a_crop_that_does_not_fit_is_an_input_error_of_every_pipeline(start):
    with pytest.raises(InputError) as caught:
        start(numbered(5), [{"op": "centre_crop", "size": 9}])
    assert str(caught.value) == "a crop of 9x9 does not fit into images of 8x8"


@pytest.mark.parametrize("rows", [AUGMENTED, [{"op": "resize_shorter", "size": 5}]])
def test_whole_numbers_leave_the_pipeline_as_uint8(rows):
    images, _ = next(iter(training_batches(numbered(5), rows, {}, 5, 0)))
    assert images.dtype == tf.uint8
    rows = [*rows, {"op": "normalise", "mean": [1.0], "std": [2.0]}]
    normalised, _ = next(iter(training_batches(numbered(5), rows, {}, 5, 0)))
    np.testing.assert_array_equal(normalised, (images.numpy() - 1.0) / 2)


def test_the_next_image_stands_in_for_one_that_is_left_out():
    split, ours = numbered(6), np.array([0, 1, 3, 3, 4, 0])
    whole = training_batches(split, [], {}, 6, 0, 0, 1)
    without = training_batches(split, [], {}, 6, 0, 0, 1, stand_ins=ours)
    ((_, places),), ((images, found),) = whole.as_numpy_iterator(), without.as_numpy_iterator()
    np.testing.assert_array_equal(found, ours[places])
    np.testing.assert_array_equal(images, DIGITS[found])


class Counted(Split):
    """ImageNet's training images in number, which tells which of them are decoded."""

    decoded: list[int]

    def image(self, index):
        def note(index):
            self.decoded.append(int(index))
            return np.zeros((1, 1, 1), "uint8")

        return tf.ensure_shape(tf.numpy_function(note, [index], tf.uint8), (1, 1, 1))


IMAGENET = 1_281_167


@pytest.mark.parametrize("step", [1, 5004, 5005, 450_000])
def test_a_stream_of_imagenet_starts_at_any_step_and_decodes_nothing_before_it(step):
    split = Counted(np.zeros(IMAGENET, "int32"), np.zeros((1, 1, 1, 1), "uint8"), channels=1)
    object.__setattr__(split, "decoded", [])
    started = time.perf_counter()
    batches = training_batches(split, [], {}, 256, 0, step, step + 2)
    assert split.decoded == []
    assert sum(1 for _ in batches) == 2
    assert time.perf_counter() - started < 5
    positions = range(step * 256, (step + 2) * 256)
    expected = [int(place(tf.constant(x, tf.int64), IMAGENET, 0)[1]) for x in positions]
    assert sorted(split.decoded) == sorted(expected)


def test_the_positions_of_a_long_epoch_are_a_permutation():
    count = 100_003
    positions = tf.range(3 * count, 4 * count, dtype=tf.int64)
    keys, indices = tf.vectorized_map(lambda x: place(x, count, 7), positions)
    assert len(np.unique(keys, axis=0)) == 1
    np.testing.assert_array_equal(np.sort(indices), np.arange(count))


def test_a_step_is_named_by_its_first_images():
    (_, places), *_ = training_batches(numbered(9), [], {}, 4, 3, 2, 3).as_numpy_iterator()
    first = ", ".join(f"image #{place}" for place in places[:3])
    assert names_of_step(numbered(9), 4, 3, 2) == f"{first}, ..."


def test_a_file_that_is_too_small_for_a_crop_is_named(tmp_path):
    (tmp_path / "train" / "digit").mkdir(parents=True)
    for index, size in enumerate((40, 40, 12, 40)):
        pixels = np.resize(DIGITS[index], (size, size))
        Image.fromarray(pixels).save(tmp_path / f"train/digit/{index}.jpg")
    split = folder(tmp_path, channels=1, shares=Shares(0, 0)).split("train")
    rows = [{"op": "random_crop", "size": 20}]
    with pytest.raises(InputError) as caught, naming_the_file(split, rows):
        next(iter(training_batches(split, rows, {}, 8, 0)))
    path = tmp_path / "train/digit/2.jpg"
    assert str(caught.value) == f"{path}: a crop of 20x20 does not fit into images of 12x12"
