"""Tests that a run refuses other images, classes, seeds and recipes, and names what differs."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image
from small import on_photos, run

from keras_ilsvrc import InputError
from keras_ilsvrc.cli.visualize.options import viewed
from keras_ilsvrc.data.fingerprint import fingerprint
from keras_ilsvrc.data.sources import open_source
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.runs import train
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.runs.evaluate import errors_of, restore
from keras_ilsvrc.runs.experiment import set_up
from keras_ilsvrc.runs.finished import read
from keras_ilsvrc.runs.inspection import of_run
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.training.stopping import Stopped
from keras_ilsvrc.training.strategy import mirrored

pytestmark = pytest.mark.tensorflow


def repaint(path):
    """Write other pixels under the same name and size, as far as a JPEG can be padded."""
    size = path.stat().st_size
    Image.new("RGB", (32, 32)).save(path)
    with open(path, "ab") as file:
        file.write(bytes(size - path.stat().st_size))
    os.utime(path, (1, 1))


def more(photos):
    for path in list(photos.glob("train/*/*.jpg")):
        for number in range(3):
            shutil.copy(path, path.with_name(f"{path.stem}-{number}.jpg"))


def fewer(photos):
    for path in list(photos.glob("train/*/*.jpg"))[::2]:
        path.unlink()


def renamed_file(photos):
    (photos / "train/dark/3.jpg").rename(photos / "train/dark/three.jpg")


def renamed_class(photos):
    for part in photos.iterdir():
        (part / "dark").rename(part / "zdark")


def relabelled(photos):
    for name in ("0.jpg", "1.jpg"):
        one, other = photos / "train/dark" / name, photos / "train/light" / name
        one.rename(photos / "away")
        other.rename(one)
        (photos / "away").rename(other)


def larger_file(photos):
    Image.new("RGB", (99, 99)).save(photos / "train/dark/3.jpg")


CHANGES = {
    more: "train had 24 images and now has 96",
    fewer: "train had 24 images and now has 12",
    renamed_file: "train has images with other names, sizes or labels",
    renamed_class: "class 0 was 'dark' and is now 'light'",
    relabelled: "train has images with other names, sizes or labels",
    larger_file: "train has images with other names, sizes or labels",
}


def test_a_run_is_not_resumed_on_other_images(runs, tmp_path):
    photos, out = runs / "photos", runs / "stopped"
    recipe = RunFiles(out).recipe()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for change, message in CHANGES.items():
        shutil.copytree(photos, tmp_path / "kept")
        change(photos)
        with pytest.raises(InputError, match=f"images are not those of this run: .*{message}"):
            run(recipe, out)
        after = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        assert after == before
        shutil.rmtree(photos)
        (tmp_path / "kept").rename(photos)


def test_changed_pixels_under_the_same_names_warn(runs, capfd, monkeypatch):
    """The run goes on."""

    def fit(*arguments):
        raise Stopped("while it trains")

    out = runs / "stopped"
    repaint(runs / "photos/train/dark/3.jpg")
    monkeypatch.setattr(train, "fit", fit)
    with pytest.raises(Stopped, match="while it trains"):
        run(RunFiles(out).recipe(), out)
    assert "files of train were rewritten since this run started" in capfd.readouterr().err


def test_only_a_data_set_that_is_gone_can_be_done_without(runs, capfd):
    (runs / "photos/test/dark/1.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"1.jpg: an empty file"):
        restore(runs / "finished", optional=True)
    (runs / "photos").rename(runs / "moved")
    assert not len(restore(runs / "finished", optional=True).test)
    assert "continuing without images" in capfd.readouterr().err


def test_only_an_image_of_a_data_set_that_is_gone_is_missed(runs, capfd):
    """By visualize, which names its own option; image files need no data set."""
    (runs / "photos").rename(runs / "moved")
    image = runs / "moved/test/dark/1.jpg"
    assert viewed(runs / "finished", None, None, None, [image]).image(image).any()
    assert not capfd.readouterr().err
    assert viewed(runs / "finished", None, None, None, [image, 0]).split is None
    assert capfd.readouterr().err.endswith("if the images were moved, pass --source SOURCE\n")


def test_a_finished_run_is_tested_on_its_own_images_only(runs):
    """By evaluate, report and visualize; what changes in training images is no matter."""
    photos, out = runs / "photos", runs / "finished"
    fewer(photos)
    restore(out)
    (photos / "test/dark/2.jpg").unlink()
    for use in (restore, read, of_run):
        with pytest.raises(
            InputError, match="test had 6 images and now has 5; restore them, or train"
        ):
            use(out)
    renamed_class(photos)
    with pytest.raises(InputError, match="class 0 was 'dark' and is now 'light'"):
        restore(out)


def test_an_ensemble_is_of_runs_with_the_same_test_images(photos, tmp_path):
    first = untrained(photos)
    other = shutil.copytree(photos, tmp_path / "other")
    assert errors_of([first, untrained(other)])["images"] == 6  # a copy is the same data set
    repaint(other / "test/dark/1.jpg")
    with pytest.raises(InputError, match="same names and sizes contain other images"):
        errors_of([first, untrained(other)])
    Image.new("RGB", (99, 99)).save(other / "test/dark/1.jpg")
    with pytest.raises(InputError, match="test has images with other names, sizes or labels"):
        errors_of([first, untrained(other)])


def untrained(photos):
    return set_up(on_photos(photos), mirrored(1))


def test_checkpoints_of_another_seed_are_refused(runs):
    out = runs / "other"
    recipe = on_photos(runs / "photos", "seed=1")
    with RunDirectory(out, recipe) as directory:
        directory.begin(set_up(recipe, mirrored(1)).identity())
        directory.keep_statistics({})
        directory.write("history.csv", b"")
        shutil.copytree(runs / "stopped" / "checkpoints", out / "checkpoints")
    before = sorted(out.rglob("*"))
    with pytest.raises(InputError, match=r"step-.*: belongs to a run with another recipe and"):
        run(recipe, out)
    assert sorted(out.rglob("*")) == before


def test_a_moved_run_and_a_moved_data_set_are_the_same(photos, tmp_path):
    """Names count from the folder that all images share."""
    moved = shutil.copytree(photos, tmp_path / "moved" / "deeper")
    splits = [open_source(f"folder:{path}").split("train") for path in (photos, moved)]
    assert fingerprint(splits[0]) == fingerprint(splits[1])


def test_pixels_in_memory_are_told_apart():
    pixels = np.zeros((4, 2, 2, 1), "uint8")
    labels = np.arange(4, dtype="int32")
    one, other = fingerprint(Split(labels, pixels)), fingerprint(Split(labels, pixels + 1))
    assert one.digest == other.digest
    assert one.stamp != other.stamp
    assert fingerprint(Split(labels[::-1], pixels)).digest != one.digest
    assert fingerprint(Split(labels, pixels)[:0]).number == 0


def test_a_run_keeps_what_it_belongs_to(small_run):
    kept = RunFiles(small_run).identity
    assert kept.classes == [str(number) for number in range(10)]
    assert {name: images.number for name, images in kept.splits.items()} == {
        "train": 1437,
        "test": 360,
    }
    assert kept.eval_ops == [{"op": "subtract_pixel_mean"}]
    assert set(kept.files) == {
        "statistics.npz",
        "history.csv",
        "final.weights.h5",
        "epochs/epoch-0001.weights.h5",
        "epochs/epoch-0003.weights.h5",
        "result.json",
    }
