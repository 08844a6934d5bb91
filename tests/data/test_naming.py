"""Tests that the file that made a step fail is found, and that iterators end."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_ilsvrc import InputError
from keras_ilsvrc.data import pipeline
from keras_ilsvrc.data.left_out import LeftOut
from keras_ilsvrc.data.order import indices_of_step
from keras_ilsvrc.data.pipeline import naming_the_file, training_batches
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.statistics import measure_statistics
from keras_ilsvrc.data.stores import Held
from keras_ilsvrc.evaluation.evaluate import evaluate

FILE = io.BytesIO()
Image.new("L", (8, 8), 7).save(FILE, "PNG")
NOT_OF_AN_IMAGE = [
    tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[9]"),
    tf.errors.UnknownError(None, None, "CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
    tf.errors.InternalError(None, None, "Dst tensor is not initialized."),
    tf.errors.UnavailableError(None, None, "Socket closed"),
]
OF_AN_IMAGE = tf.errors.InvalidArgumentError(None, None, "Unknown image file format")


class Counted(Held):
    """Images of which some are cut off; it keeps the rows that are read one by one."""

    def __init__(self, count, bad=()):
        whole = FILE.getvalue()
        super().__init__("toy", [whole[:-20] if row in bad else whole for row in range(count)])
        self.found = []

    def read(self, row):
        self.found.append(row)
        return super().read(row)


def toy(count, bad=()):
    return Split(np.zeros(count, "int32"), store=Counted(count, bad), channels=1)


@pytest.mark.parametrize("error", NOT_OF_AN_IMAGE, ids=lambda error: type(error).__name__)
def test_an_error_that_no_image_causes_decodes_none(error):
    split = toy(3, bad=[0])
    with pytest.raises(type(error)), naming_the_file(split, []):
        raise error
    assert split.store.found == []


def test_only_the_images_of_the_failed_step_are_decoded():
    split = toy(100, bad=[2])
    with (
        pytest.raises(tf.errors.InvalidArgumentError),
        naming_the_file(split, [], {}, lambda: range(10, 14)),
    ):
        raise OF_AN_IMAGE
    assert split.store.found == [10, 11, 12, 13]


def test_the_search_for_an_image_ends(monkeypatch):
    split = toy(1000, bad=[999])
    monkeypatch.setattr(pipeline, "PATIENCE", 0.05)
    with pytest.raises(tf.errors.InvalidArgumentError), naming_the_file(split, []):
        raise OF_AN_IMAGE
    assert 0 < len(split.store.found) < 999


def predictions(model, batches, check):
    """Stands for a model: of every image the same."""
    for _ in batches(tf.distribute.InputContext()):
        check()


@pytest.mark.parametrize("bad", [0, 21, 99])
def test_evaluation_and_statistics_name_the_bad_image_of_their_step(bad):
    split, crop = toy(100, bad=[bad]), [{"op": "centre_crop", "size": 4}]
    with pytest.raises(InputError, match=rf"^toy #{bad}: a damaged PNG \(\d+ bytes\)$"):
        evaluate(None, split, crop, {}, "single_view", 8, predictions)
    assert split.store.found == [*range(bad // 8 * 8, bad + 1)]
    split.store.found.clear()
    with pytest.raises(InputError, match=f"^toy #{bad}: a damaged PNG"):
        measure_statistics(split, [{"op": "standardise"}])
    assert split.store.found == [bad]


def test_evaluation_out_of_memory_is_one_line_with_advice():
    def exhausted(model, batches, check):
        raise NOT_OF_AN_IMAGE[0]

    with pytest.raises(InputError, match=r"^out of memory: OOM .*; set a smaller batch_size"):
        evaluate(None, toy(3), [], {}, "single_view", 8, exhausted)


def test_a_bad_image_that_stands_in_for_another_is_found_too():
    split = toy(12, bad=[2, 3, 4])
    left_out = LeftOut(split, 4, 0, limit=3)
    (step,) = (step for step in range(3) if 2 in indices_of_step(12, 4, 0, step))

    def take():
        own = left_out.stand_ins()
        next(iter(training_batches(split, [], {}, 4, 0, step, step + 1, None, own)))

    for _ in range(3):
        with pytest.raises(tf.errors.InvalidArgumentError):
            take()
        assert left_out.find(step, 1)
        if len(left_out.faults) == 3:
            break
    take()
