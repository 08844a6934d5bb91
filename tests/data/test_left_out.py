"""Tests that images that cannot be decoded are left out of training, one by one."""

import io

import numpy as np
import pytest
from PIL import Image

from keras_ilsvrc import InputError
from keras_ilsvrc.data.headers import Fault
from keras_ilsvrc.data.left_out import LeftOut
from keras_ilsvrc.data.order import indices_of_step
from keras_ilsvrc.data.pipeline import training_batches
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Held

IMAGES, BATCH, SEED = 12, 4, 3
BAD = (2, 3, 11)


def png(value):
    file = io.BytesIO()
    Image.new("L", (3, 3), value).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def split():
    """Every image shows its number; three are cut off."""
    contents = [png(number) for number in range(IMAGES)]
    contents = [x[:30] if number in BAD else x for number, x in enumerate(contents)]
    return Split(np.arange(IMAGES, dtype="int32"), store=Held("toy", contents), channels=1)


def found_in_epoch(split, limit=3):
    left_out = LeftOut(split, BATCH, SEED, limit)
    return left_out, [left_out.find(step, 1) for step in range(IMAGES // BATCH)]


def test_finds_the_bad_images_of_a_step_and_no_others(split):
    left_out, lines = found_in_epoch(split)
    for step, line in enumerate(lines):
        assert bool(line) == bool({*BAD} & {*indices_of_step(IMAGES, BATCH, SEED, step)})
    assert set(left_out.faults) == {*BAD}
    assert all("toy #" in fault and "(30 bytes)" in fault for fault in left_out.listed())
    assert [left_out.find(step, 1) for step in range(3)] == [None] * 3  # none is new


def test_the_next_good_image_stands_in_and_others_keep_their_places(split):
    left_out, _ = found_in_epoch(split)
    expected = [0, 1, 4, 4, 4, 5, 6, 7, 8, 9, 10, 0]
    assert left_out.stand_ins().tolist() == expected
    batches = training_batches(split, [], {}, BATCH, SEED, 0, 3, None, left_out.stand_ins())
    order = [index for step in range(3) for index in indices_of_step(IMAGES, BATCH, SEED, step)]
    for images, labels in batches.as_numpy_iterator():
        taken = [expected[order.pop(0)] for _ in range(BATCH)]
        assert labels.tolist() == taken
        assert images[:, 0, 0, 0].tolist() == taken


def test_without_faults_no_image_stands_in(split):
    assert LeftOut(split[4:8], BATCH, SEED, 1).stand_ins() is None


def test_a_scan_finds_all_and_returns_the_rest(split):
    left_out = LeftOut(split, BATCH, SEED, 3)
    assert left_out.scan().labels.tolist() == [x for x in range(IMAGES) if x not in BAD]
    assert len(left_out.listed()) == 3


def test_more_than_the_limit_is_refused(split):
    with pytest.raises(InputError, match=r"toy #\d+.*number 3, above the limit of 2"):
        LeftOut(split, BATCH, SEED, 2).scan()
    faults = [Fault("a.jpg", 0, "an empty file")] * 2
    with pytest.raises(InputError, match=r"a.jpg: an empty file \(0 bytes\): bad file number 2"):
        LeftOut(split, BATCH, SEED, 1, faults)


def test_what_is_known_is_told_to_another(split):
    left_out, _ = found_in_epoch(split)
    other = LeftOut(split, BATCH, SEED, 3)
    other.set_state(left_out.get_state())
    assert other.listed() == left_out.listed()
    np.testing.assert_array_equal(other.stand_ins(), left_out.stand_ins())
