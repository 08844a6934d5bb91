"""Tests of prepared data: the files that are written, how they are read, and errors."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from typer.testing import CliRunner

from keras_ilsvrc import InputError
from keras_ilsvrc.cli import app
from keras_ilsvrc.data import preparing
from keras_ilsvrc.data.apply import NO_SEED, image_at
from keras_ilsvrc.data.check import check
from keras_ilsvrc.data.fingerprint import fingerprint
from keras_ilsvrc.data.ops import resize_shorter
from keras_ilsvrc.data.pipeline import training_batches
from keras_ilsvrc.data.preparing import Form, prepare
from keras_ilsvrc.data.sources import open_source
from keras_ilsvrc.data.split import examined
from keras_ilsvrc.utils import files

SIZES = {"train": 7, "val": 2}  # images per class
RAW = Form(32, None)


def photo(height, width, seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), "uint8")
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of two classes in two splits. One image is a PNG, one is smaller than the size."""
    root = tmp_path_factory.mktemp("photos")
    for split, count in SIZES.items():
        for number, name in enumerate(("cats", "dogs")):
            place = root / split / name
            place.mkdir(parents=True)
            for one in range(count):
                image = photo(40 + one, 60 - number, 10 * one + number)
                image.save(place / f"{one}.jpg", quality=90)
    photo(50, 50, 8).save(root / "train/cats/square.png")
    photo(20, 30, 9).save(root / "train/dogs/small.jpg", quality=90)
    return root


@pytest.fixture(scope="module")
def raw(photos, tmp_path_factory):
    """The photos as raw pixels, in files of three images."""
    root = tmp_path_factory.mktemp("raw") / "photos32"
    prepare(str(photos), root, RAW, shard=3)
    return root


def resized(split, index, size=32):
    image = split.image(index)
    if min(image.shape[:2]) <= size:
        return image.numpy()
    return resize_shorter(image, NO_SEED, size).numpy()


def said(function, *arguments, **keywords):
    with pytest.raises(InputError) as caught:
        function(*arguments, **keywords)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_raw_pixels_classes_and_splits_are_those_of_the_source(photos, raw):
    old, new = open_source(str(photos)), open_source(f"prepared:{raw}")
    assert new.classes == old.classes == ("cats", "dogs")
    assert list(new.splits) == list(old.splits)
    assert new.splits["test"] is new.splits["validation"]
    assert not list(raw.glob("test-*"))
    for name in ("train", "validation"):
        one, other = old.splits[name], new.splits[name]
        np.testing.assert_array_equal(other.labels, one.labels)
        for index in range(len(one)):
            np.testing.assert_array_equal(other.image(index), resized(one, index))
            assert one.name(index).endswith(other.name(index).partition("!")[2])
    assert new.splits["train"].name(0) == f"{raw}/train!cats/0.jpg"


def test_jpegs_have_the_quality_and_a_jpeg_that_keeps_its_size_is_copied(photos, tmp_path):
    prepare(str(photos), tmp_path / "made", Form(32, 80))
    old, new = open_source(str(photos)).splits, open_source(f"prepared:{tmp_path}/made").splits
    copied = 0
    for index in range(len(old["train"])):
        pixels = resized(old["train"], index)
        content = new["train"].encoded(index).numpy()
        if old["train"].name(index).endswith("small.jpg"):
            copied += content == old["train"].encoded(index).numpy()
        else:
            assert content == tf.io.encode_jpeg(pixels, quality=80).numpy()
    assert copied == 1


@pytest.mark.parametrize("form", [Form(32), Form(32, None)], ids=["jpeg", "raw"])
def test_a_recipes_resize_does_nothing_on_prepared_images(photos, tmp_path, form):
    prepare(str(photos), tmp_path / "made", form)
    split = open_source(f"prepared:{tmp_path}/made").split("train[:5]")
    crop = {"op": "random_crop", "size": 24}
    for index in range(len(split)):
        with_op = image_at(split, index, [{"op": "resize_shorter", "size": 32}, crop], (1, 2), {})
        # The crop is the second op, so its seed is another one if it is the first.
        whole = tf.cast(split.image(index), tf.float32).numpy()
        top, left = place_of(whole, np.asarray(with_op))
        np.testing.assert_array_equal(whole[top : top + 24, left : left + 24], with_op)


def place_of(whole, window):
    height, width = window.shape[:2]
    for top in range(whole.shape[0] - height + 1):
        for left in range(whole.shape[1] - width + 1):
            if np.array_equal(whole[top : top + height, left : left + width], window):
                return top, left
    raise AssertionError("the window is not a part of the image")


def test_batches_start_at_any_step_and_are_those_of_the_files(photos, raw):
    rows = [
        {"op": "resize_shorter", "size": 32},
        {"op": "subtract_channel_mean"},
        {"op": "random_crop", "size": 24},
    ]
    mean = {"channel_mean": np.array([1.0, 2.0, 3.0], "float32")}
    old, new = (open_source(x).split("train+validation") for x in (str(photos), f"prepared:{raw}"))
    want = list(training_batches(old, rows, mean, 4, seed=1, last_step=6))
    made = list(training_batches(new, rows, mean, 4, seed=1, last_step=6))
    late = list(training_batches(new, rows, mean, 4, seed=1, first_step=4, last_step=6))
    for one, other in zip([*want, *want[4:]], [*made, *late], strict=True):
        # Of the files, only the crop is decoded. This may round a few values in another way.
        assert np.mean(one[0] != other[0]) < 1e-3
        np.testing.assert_array_equal(one[1], other[1])
    for one, other in zip(made[4:], late, strict=True):
        np.testing.assert_array_equal(one[0], other[0])


def test_the_fingerprint_stays_when_the_folder_is_moved(raw, tmp_path):
    shutil.copytree(raw, tmp_path / "moved")
    one, other = (open_source(f"prepared:{x}").splits["train"] for x in (raw, tmp_path / "moved"))
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize("form", [Form(8, None, channels=1), Form(6, 100, channels=1)])
def test_digits(tmp_path, form):
    made = prepare("digits", tmp_path / "digits", form)
    assert made.images == {"train": 1077, "validation": 360, "test": 360}
    old, new = (
        open_source("digits", 1).splits["test"],
        open_source(f"prepared:{tmp_path}/digits", 1),
    )
    assert new.splits["test"].image(5).shape == (form.size, form.size, 1)
    if form.size == 8:
        np.testing.assert_array_equal(new.splits["test"].image(5), old.image(5))


def test_data_check_reads_prepared_images(raw):
    found = check(f"prepared:{raw}")
    assert found.images == {"train": 16, "validation": 4}
    assert found.formats == {"PPM": 20}
    assert found.heights[2] == found.widths[0] == 32 or found.widths[0] == 30


class Stop(BaseException):
    """Ends a preparation, as a kill would."""


def test_a_stopped_preparation_continues_to_the_same_files(photos, raw, tmp_path, monkeypatch):
    written, root = [], tmp_path / "made"
    write = preparing._written

    def stopping(path, *rest):
        written.append(path.name)
        for number in write(path, *rest):
            if len(written) == 3:
                (root / f"{files.PART}{path.name}.left").write_bytes(b"left by a kill")
                raise Stop
            yield number

    monkeypatch.setattr(preparing, "_written", stopping)
    with pytest.raises(Stop):
        prepare(str(photos), root, RAW, shard=3)
    assert said(open_source, f"prepared:{root}").endswith(
        "run the same `data prepare` command again"
    )
    prepare(str(photos), root, RAW, shard=3)
    assert written.count("train-00000.array_record") == 1
    for path in raw.glob("*[0-9s].*"):
        assert path.read_bytes() == (root / path.name).read_bytes() or path.suffix == ".json"
    assert not said_shards(root) ^ said_shards(raw)


def said_shards(root):
    shards = json.loads((root / "manifest.json").read_bytes())["shards"]
    return {(name, own["sha256"]) for name, own in shards.items()}


def test_other_settings_are_refused(photos, raw, tmp_path):
    def again(form=RAW, source=str(photos)):
        return said(prepare, source, raw, form, shard=3)

    assert again(Form(31, None)).startswith(
        f"{raw}: prepared from other images or with other settings: size is 32, now it is 31; "
    )
    assert "quality is None, now it is 95" in again(Form(32))
    assert "antialias is True, now it is False" in again(Form(32, None, antialias=False))
    shutil.copytree(photos, tmp_path / "more")
    shutil.copy(photos / "val/cats/0.jpg", tmp_path / "more/val/cats/9.jpg")
    assert "splits differ" in again(source=str(tmp_path / "more"))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/mine.txt").touch()
    assert said(prepare, str(photos), tmp_path / "notes", Form(32)).endswith(
        "exists, and is not a folder of prepared data; choose another folder"
    )
    assert os.listdir(tmp_path / "notes") == ["mine.txt"]


def test_damage_is_found(photos, raw, tmp_path):
    root = shutil.copytree(raw, tmp_path / "made")
    path = root / "train-00001.array_record"
    content = bytearray(path.read_bytes())
    content[len(content) // 20] ^= 1
    path.write_bytes(content)
    split = open_source(f"prepared:{root}").splits["train"]
    faults = [examined(split, index) for index in range(len(split))]
    assert "hash mismatch" in str([fault for fault in faults if "Fault" in type(fault).__name__])
    rows = [{"op": "resize_shorter", "size": 32}, {"op": "centre_crop", "size": 20}]
    with pytest.raises(tf.errors.OpError):
        list(training_batches(split, rows, {}, 8, 0, last_step=2))
    assert "its SHA-256 has changed; delete it" in said(prepare, str(photos), root, RAW, shard=3)
    path.write_bytes(content[:-1])
    assert said(open_source, f"prepared:{root}").startswith(
        f"{path}: has {len(content) - 1:,} byte"
    )
    path.unlink()
    assert said(open_source, f"prepared:{root}").startswith(f"{path}: is missing")
    prepare(str(photos), root, RAW, shard=3)
    assert path.read_bytes() == (raw / path.name).read_bytes()


def test_folders_that_cannot_be_opened(raw, tmp_path):
    assert "contains no settings.json" in said(open_source, f"prepared:{tmp_path}")
    root = shutil.copytree(raw, tmp_path / "made")
    assert said(open_source, f"prepared:{root}", 1).endswith("again with --channels 1")
    table = files.unsealed((root / "settings.json").read_bytes())
    (root / "settings.json").write_bytes(files.sealed({**table, "format": 7}))
    assert "of format 7, but this version reads format 1" in said(open_source, f"prepared:{root}")
    (root / "settings.json").write_text("{}")
    assert "settings.json: damaged: " in said(open_source, f"prepared:{root}")


def test_sizes_and_disks_that_do_not_fit(photos, tmp_path, monkeypatch):
    root = tmp_path / "made"
    assert "none of 20 images has a shorter side above 50; choose" in said(
        prepare, str(photos), root, Form(64)
    )
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(preparing.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    assert "GB are needed, but 0.0 GB are free" in said(prepare, str(photos), root, Form(32))
    assert not root.exists()
    assert said(Form, 0).startswith("size is 0; expected 1 to")
    assert said(Form, 32, 101) == "quality is 101; expected 1 to 100"


def test_a_damaged_image_is_named(photos, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    bad = tmp_path / "photos/train/dogs/3.jpg"
    bad.write_bytes(bad.read_bytes()[:400])
    assert said(prepare, str(tmp_path / "photos"), tmp_path / "made", Form(32)).startswith(
        f"{bad}: "
    )


def test_the_command(photos, tmp_path):
    words = ["data", "prepare", str(photos), "--size", "32", "--out", str(tmp_path / "a b")]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "train: 16 images\n" in result.stdout
    assert result.stdout.endswith(f'use it in a recipe: dataset = "prepared:{tmp_path}/a b"\n')
    assert len(open_source(f"prepared:{tmp_path}/a b").splits["train"]) == 16
