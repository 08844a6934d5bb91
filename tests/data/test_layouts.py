"""Tests of typical image folders: where classes and splits are, and which files are ignored."""

import shutil

import numpy as np
import pytest
from corpus import frames, saved, with_turn
from PIL import Image

from keras_ilsvrc import InputError
from keras_ilsvrc.data.folder import folder
from keras_ilsvrc.data.source import Shares
from keras_ilsvrc.data.sources import open_source, source_name


def fill(base, count, first=0, suffix=".jpg"):
    """Make a folder of small images."""
    base.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        Image.new("RGB", (6, 4), (number, 7, 9)).save(base / f"{number:03}{suffix}")


def names(source):
    """The names of the images of each split, below the root."""
    root = source.name.partition(":")[2]
    return {
        split: [images.name(index).removeprefix(f"{root}/") for index in range(len(images))]
        for split, images in source.splits.items()
    }


def refusal(root, **options):
    with pytest.raises(InputError) as caught:
        folder(root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_folder_is_split_class_by_class_and_always_alike(tmp_path):
    for kind, count in (("cat", 10), ("dog", 3), ("emu", 25)):
        fill(tmp_path / "a" / kind, count)
    shutil.copytree(tmp_path / "a", tmp_path / "moved")
    one, moved = (names(folder(tmp_path / name)) for name in ("a", "moved"))
    assert one == moved
    counts = {
        split: [sum(name.startswith(kind) for name in own) for kind in ("cat", "dog", "emu")]
        for split, own in one.items()
    }
    assert counts == {"train": [6, 1, 15], "validation": [2, 1, 5], "test": [2, 1, 5]}
    whole = sorted(name for own in one.values() for name in own)
    assert len(whole) == len(set(whole)) == 38
    assert names(folder(tmp_path / "a", shares=Shares(seed=1))) != one


def test_an_image_more_moves_few_others_to_another_split(tmp_path):
    fill(tmp_path / "cat", 40)
    fill(tmp_path / "dog", 40)
    before = names(folder(tmp_path))
    fill(tmp_path / "cat", 1, first=40)
    after = names(folder(tmp_path))
    moved = sum(len(set(before[split]) - set(after[split])) for split in before)
    assert moved <= 2


@pytest.mark.parametrize(
    ("shares", "sizes"),
    [(Shares(0, 0.5), (10, 0, 10)), (Shares(0.1, 0), (18, 2, 0)), (Shares(0.9, 0.05), (2, 16, 2))],
)
def test_shares_set_the_sizes_of_the_splits(tmp_path, shares, sizes):
    for kind in ("cat", "dog"):
        fill(tmp_path / kind, 10)
    splits = folder(tmp_path, shares=shares).splits
    assert tuple(len(splits[name]) for name in ("train", "validation", "test")) == sizes


@pytest.mark.parametrize("validation", ["val", "Valid", "VALIDATION"])
def test_tests_use_the_validation_images_if_there_are_no_others(tmp_path, validation):
    for kind in ("cat", "dog"):
        fill(tmp_path / "Train" / kind, 4)
        fill(tmp_path / validation / kind, 2)
    fill(tmp_path / "more", 2)
    source = folder(tmp_path)
    assert {name: len(split) for name, split in source.splits.items()} == {
        "train": 8, "validation": 4, "test": 4
    }  # fmt: skip
    assert source.splits["test"] is source.splits["validation"]
    assert source.notes == (
        f"folder:{tmp_path}: ignored folders that are not splits: more",
        f"folder:{tmp_path}: no split test; tests use the validation images",
    )


def test_validation_images_are_split_off_only_where_there_are_none(tmp_path):
    for kind in ("cat", "dog"):
        fill(tmp_path / "train" / kind, 10)
        fill(tmp_path / "test" / kind, 2)
    source = folder(tmp_path)
    assert {name: len(split) for name, split in source.splits.items()} == {
        "train": 16, "validation": 4, "test": 4
    }  # fmt: skip
    assert source.notes == (f"folder:{tmp_path}: 20% validation split off from train",)
    whole = folder(tmp_path, shares=Shares(validation=0))
    assert (len(whole.splits["train"]), whole.notes) == (20, ())


def test_a_train_folder_alone_is_split(tmp_path):
    for kind in ("cat", "dog"):
        fill(tmp_path / "train" / kind, 10)
    source = folder(tmp_path)
    assert [len(source.splits[name]) for name in ("train", "validation", "test")] == [12, 4, 4]
    assert source.notes == (f"folder:{tmp_path}: 20% validation and 20% test split off from train",)


def test_two_folders_of_one_split_are_refused(tmp_path):
    for split in ("train", "val", "validation"):
        fill(tmp_path / split / "cat", 2)
    assert "both mean the split validation; remove one" in refusal(tmp_path)


def test_trains_may_be_a_class(tmp_path):
    for kind in ("train", "car", "bus"):
        fill(tmp_path / kind, 5)
    assert folder(tmp_path).classes == ("bus", "car", "train")


def test_every_folder_with_images_is_a_class(tmp_path):
    for split in ("train", "test"):
        fill(tmp_path / split / "animals" / "cats", 5)
        fill(tmp_path / split / "animals" / "dogs", 5)
        fill(tmp_path / split / "cars", 5)
    source = folder(tmp_path, shares=Shares(validation=0))
    assert source.classes == ("animals/cats", "animals/dogs", "cars")
    assert np.bincount(source.split("test").labels).tolist() == [5, 5, 5]


def test_a_folder_linked_into_itself_is_named(tmp_path):
    fill(tmp_path / "cat", 3)
    (tmp_path / "cat" / "again").symlink_to(tmp_path)
    said = refusal(tmp_path)
    assert said == f"{tmp_path}/cat/again: a link to a folder that contains it"


def test_hidden_and_foreign_files_are_passed_over_and_counted(tmp_path):
    for kind in ("cat", "dog"):
        fill(tmp_path / kind, 3)
    for name in ("Thumbs.db", "desktop.ini", "notes.txt", "000.json", "000.xmp", "README"):
        (tmp_path / "cat" / name).write_text("<x>no image</x>")
    (tmp_path / "cat" / ".DS_Store").write_bytes(b"\0")
    fill(tmp_path / "__MACOSX" / "cat", 2)
    fill(tmp_path / "dog" / "@eaDir", 2)
    (tmp_path / "list.csv").write_text("file,label\n")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "000.xml").write_text("<annotation/>")
    source = folder(tmp_path)
    assert source.classes == ("cat", "dog")
    assert sum(map(len, source.splits.values())) == 6
    note, split = source.notes
    assert split == f"folder:{tmp_path}: split by class with seed 0: 20% validation and 20% test"
    assert note.startswith(f"folder:{tmp_path}: ignored files that are not images of a class: ")
    counts = dict(part.split(" ", 1)[::-1] for part in note.rpartition(": ")[2].split(", "))
    assert counts["hidden"] == "3"


def test_endings_in_any_case_and_none_are_judged_by_content(tmp_path):
    for kind in ("cat", "dog"):
        fill(tmp_path / kind, 3, suffix=".JpG")
    fill(tmp_path / "cat", 1)
    (tmp_path / "cat" / "000.jpg").rename(tmp_path / "cat" / "photo")
    assert sum(map(len, folder(tmp_path).splits.values())) == 7
    (tmp_path / "dog" / "broken.JPG").write_text("no image")
    assert "broken.JPG: begins with b'no image'; not an image" in refusal(tmp_path)


def test_names_with_spaces_quotes_umlauts_and_newlines_are_read(tmp_path):
    for kind in ("größe 'a'", 'zwei\nZeilen "b"'):
        fill(tmp_path / kind, 3)
        (tmp_path / kind / "000.jpg").rename(tmp_path / kind / f"{kind}\n.jpg")
    source = folder(tmp_path)
    assert source.classes == ("größe 'a'", 'zwei\\nZeilen "b"')
    for split in source.splits.values():
        for index in range(len(split)):
            assert split.image(index).shape == (4, 6, 3)


def test_turned_images_and_those_with_several_frames_are_told_once(tmp_path):
    for kind in ("cat", "dog"):
        fill(tmp_path / kind, 3)
    turned = saved(Image.new("RGB", (8, 5)), "JPEG", **with_turn(6))
    (tmp_path / "cat" / "turned.jpg").write_bytes(turned)
    (tmp_path / "dog" / "moving.gif").write_bytes(frames("GIF"))
    source = folder(tmp_path)
    assert [note.partition(": ")[2] for note in source.notes] == [
        "images turned upright, as their EXIF data asks: 1",
        "files of which only the first frame or page is used: 1",
        "split by class with seed 0: 20% validation and 20% test",
    ]


def empty(root):
    return "no images in class folders; expected one folder of images per class"


def images_without_folders(root):
    fill(root, 5)
    return "no images in class folders, but 5 files outside; expected one folder of images per"


def three_images(root):
    fill(root, 3)
    return "no images in class folders"


def one_image_per_class(root):
    for kind in "abcde":
        fill(root / kind, 1)
    return "class 'a' has 1, 'b' has 1, 'c' has 1 (and 2 more classes) of the 3 images that"


def two_images_in_a_class(root):
    fill(root / "cat", 2)
    fill(root / "dog", 9)
    return "class 'cat' has 2 of the 3 images that splitting needs per class; add images, or make"


def only_in_test(root):
    fill(root / "train" / "cat", 3)
    fill(root / "test" / "dog", 3)
    return f"the class 'dog' is in test, but not in train: {root}/test/dog/000.jpg; add images"


@pytest.mark.parametrize(
    "make",
    [
        empty, images_without_folders, three_images, one_image_per_class, two_images_in_a_class,
        only_in_test,
    ],
)  # fmt: skip
def test_too_little_is_refused_in_one_line(tmp_path, make):
    expected = make(tmp_path)
    said = refusal(tmp_path)
    assert said.startswith(f"{tmp_path}: ")
    assert expected in said


def test_one_class_and_classes_absent_from_a_split_are_noted(tmp_path):
    fill(tmp_path / "one" / "cat", 5)
    assert "only one class, 'cat'; training needs at least two" in folder(tmp_path / "one").notes[1]
    fill(tmp_path / "two" / "train" / "cat", 5)
    fill(tmp_path / "two" / "train" / "dog", 5)
    fill(tmp_path / "two" / "test" / "cat", 5)
    notes = folder(tmp_path / "two").notes
    assert f"folder:{tmp_path / 'two'}: test has no images of class 'dog'" in notes


def test_a_typed_path_names_its_source(tmp_path):
    fill(tmp_path / "photos" / "cat", 3)
    (tmp_path / "list.CSV").write_text("file,label\n")
    assert source_name(f"{tmp_path}/photos/") == f"folder:{tmp_path}/photos"
    assert source_name(f"{tmp_path}/list.CSV") == f"csv:{tmp_path}/list.CSV"
    assert source_name("no/such") == "folder:no/such"
    for name in ("digits", "folder:x", "tfds:a/b", "nothing", "imagnet:/data"):
        assert source_name(name) == name
    assert open_source(f"{tmp_path}/photos/").name == f"folder:{tmp_path}/photos"
