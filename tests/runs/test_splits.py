"""Tests of runs on a folder that lacks some or all splits."""

import shutil

import pytest
import tensorflow as tf
from small import draw_photos, on_photos

from keras_ilsvrc import InputError
from keras_ilsvrc.recipe.load import load
from keras_ilsvrc.runs.experiment import set_up

SPLIT = "data.split={validation=0.25, test=0.5, seed=3}"


@pytest.fixture
def flat(tmp_path):
    """A folder of two class folders with 12 images each."""
    shutil.move(draw_photos(tmp_path / "drawn") / "train", tmp_path / "flat")
    return tmp_path / "flat"


def sizes(recipe):
    """The numbers of training, validation and test images."""
    made = set_up(recipe, tf.distribute.get_strategy())
    splits = (made.train, made.validation, made.test)
    return [None if split is None else len(split) for split in splits]


def test_a_recipe_sets_the_shares_of_the_splits(flat):
    assert sizes(on_photos(flat)) == [16, 4, 4]
    assert sizes(on_photos(flat, SPLIT)) == [6, 6, 12]


def test_no_images_are_split_off_for_a_split_that_is_not_used(tmp_path):
    photos = draw_photos(tmp_path / "photos")
    shutil.rmtree(photos / "validation")
    path = tmp_path / "own.toml"
    lines = on_photos(photos).toml().splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith("validation")))
    assert sizes(load(path)) == [24, None, 6]
    assert sizes(on_photos(photos)) == [20, 4, 6]


def test_shares_that_leave_no_training_images_are_refused(flat):
    with pytest.raises(InputError, match=r"data.split.*leave images for training"):
        on_photos(flat, "data.split={validation=0.5, test=0.5, seed=3}")
    with pytest.raises(InputError, match=r"data\.split\.seed"):
        on_photos(flat, "data.split={validation=0.5, test=0.25}")


def test_one_class_is_refused(flat):
    shutil.rmtree(flat / "dark")
    with pytest.raises(InputError, match="only one class, 'light'; training needs two or more"):
        sizes(on_photos(flat, "build.classes=1"))
