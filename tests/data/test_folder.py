"""Tests of `folder:` sources: real digits in files, and errors for wrong folders."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from keras_ilsvrc import InputError
from keras_ilsvrc.data.folder import folder
from keras_ilsvrc.data.pipeline import first_fault
from keras_ilsvrc.data.sources import open_source

DIGITS = load_digits()


def grey(digit, number):
    """The `number`-th real image of a digit, 8x8 uint8."""
    return np.round(DIGITS.images[DIGITS.target == digit][number] * 15.9375).astype("uint8")


def write_class(base, digit, count, suffix=".png"):
    """A class folder with real images of one digit."""
    directory = base / f"digit{digit}"
    directory.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(grey(digit, number)).save(directory / f"{number:03}{suffix}")
    return directory


def named(split):
    """The names of all images of a split."""
    return [split.name(index) for index in range(len(split))]


def message(call, *arguments):
    """The one line of the InputError that a call raises."""
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_with_named_splits_is_read_as_it_stands(tmp_path):
    counts = {"train": (3, 4), "validation": (2, 1), "test": (1, 2)}
    for name, (zeros, ones) in counts.items():
        write_class(tmp_path / name, 0, zeros)
        write_class(tmp_path / name, 1, ones)
    source = open_source(f"folder:{tmp_path}", channels=1)
    assert source.classes == ("digit0", "digit1")
    for name, (zeros, ones) in counts.items():
        split = source.split(name)
        assert split.labels.tolist() == [0] * zeros + [1] * ones
        for index in range(len(split)):
            path, digit = split.name(index), int(split.labels[index])
            assert path.startswith(str(tmp_path / name / f"digit{digit}"))
            number = index if digit == 0 else index - zeros
            np.testing.assert_array_equal(split.image(index)[..., 0], grey(digit, number))


def test_a_folder_of_one_level_is_split_by_share_and_always_alike(tmp_path):
    for digit in (0, 1, 2):
        write_class(tmp_path, digit, 20)
    first, second = folder(tmp_path, 1), folder(tmp_path, 1)
    sizes = {"train": 36, "validation": 12, "test": 12}
    paths = [path for name in sizes for path in named(first.split(name))]
    assert sorted(paths) == sorted(map(str, tmp_path.glob("*/*.png")))
    for name, size in sizes.items():
        assert np.bincount(first.split(name).labels).tolist() == [size // 3] * 3
        assert named(first.split(name)) == named(second.split(name))


def test_classes_are_in_order_of_their_names_and_hidden_files_are_none(tmp_path):
    for name in ("zebra", "Ape", "emu"):
        write_class(tmp_path, 0, 5).rename(tmp_path / name)
        (tmp_path / name / ".hidden").write_text("no image")
    (tmp_path / ".cache").mkdir()
    source = folder(tmp_path, 1)
    assert source.classes == ("Ape", "emu", "zebra")
    train = source.split("train")
    assert [path.split("/")[-2] for path in named(train)] == [
        source.classes[label] for label in train.labels
    ]


def test_a_class_may_be_absent_from_the_test_images(tmp_path):
    for digit in (0, 1):
        write_class(tmp_path / "train", digit, 2)
    write_class(tmp_path / "test", 1, 3)
    assert folder(tmp_path, 1).split("test").labels.tolist() == [1, 1, 1]


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    ("suffix", "channels"),
    [(".png", 1), (".png", 3), (".jpg", 1), (".jpg", 3), (".gif", 3), (".gif", 1)],
)
def test_grey_and_colour_files_decode_to_the_channels(tmp_path, mode, suffix, channels):
    levels = np.kron(grey(3, 0), np.ones((4, 4), "uint8"))  # 32x32: whole blocks of a JPEG
    made = levels if mode == "L" else np.stack([levels, levels.T, 255 - levels], -1)
    (tmp_path / "train" / "digit").mkdir(parents=True)
    path = tmp_path / "train" / "digit" / f"image{suffix}"
    Image.fromarray(made).save(path, subsampling=0)  # as JPEG: colours at every pixel
    image = folder(tmp_path, channels).split("train").image(0).numpy()
    with Image.open(path) as opened:
        expected = np.asarray(opened.convert("L" if channels == 1 else "RGB"))
    assert (image.dtype, image.shape) == ("uint8", (32, 32, channels))
    np.testing.assert_array_equal(image, expected.reshape(image.shape))


def no_folder(root):
    return root / "missing", "no such folder"


def a_file(root):
    (root / "images").write_text("a list")
    return root / "images", "is a file; expected a folder"


def no_classes(root):
    write_class(root, 0, 1).joinpath("000.png").rename(root / "000.png")
    (root / "digit0").rmdir()
    return root, "no images in class folders"


def no_train(root):
    write_class(root / "test", 0, 2)
    return root, "no folder train"


def empty_class(root):
    for digit in (0, 1):
        write_class(root, digit, 5)
    (root / "digit2").mkdir()
    return root / "digit2", "empty"


def text_named_image(root):
    write_class(root, 0, 5)
    path = root / "digit0" / "notes.PNG"
    path.write_text("these are zeros\n")
    return path, "not an image"


def empty_file(root):
    path = write_class(root, 0, 5) / "004.png"
    path.write_bytes(b"")
    return path, "0 bytes"


def empty_folder_among_images(root):
    path = write_class(root, 0, 5) / "more"
    path.mkdir()
    return path, "empty"


def page_among_images(root):
    path = write_class(root, 0, 5) / "004.jpg"
    path.write_text("<!doctype html><title>404</title>")
    return path, "looks like an HTML page: failed download?"


def too_large(root):
    path = write_class(root, 0, 5) / "large.png"
    content = b"IHDR" + struct.pack(">2I5B", 12_000, 9_000, 8, 2, 0, 0, 0)
    content = struct.pack(">I", 13) + content + struct.pack(">I", zlib.crc32(content))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content + b"\0\0\0\4IDATnone")
    return path, "12000x9000 is above the limit of 100 megapixels"


def link_out(root):
    outside = write_class(root.parent / f"{root.name}-outside", 0, 1) / "000.png"
    path = write_class(root, 0, 5) / "link.png"
    path.symlink_to(outside)
    return path, f"a link to {outside}, outside {root}"


def class_link_out(root):
    write_class(root, 0, 5)
    outside = write_class(root.parent / f"{root.name}-outside", 1, 5)
    (root / "digit1").symlink_to(outside)
    return root / "digit1", f"a link to {outside}, outside {root}"


def broken_link(root):
    path = write_class(root, 0, 5) / "link.png"
    path.symlink_to("gone.png")
    return path, "a broken link"


def pipe_among_images(root):
    path = write_class(root, 0, 5) / "pipe.png"
    os.mkfifo(path)
    return path, "a FIFO, not an image"


def class_only_in_test(root):
    write_class(root / "train", 0, 2)
    write_class(root / "test", 0, 2)
    write_class(root / "test", 7, 2)
    return root, "the class 'digit7' is in test, but not in train"


def too_few(root):
    write_class(root, 0, 9)
    write_class(root, 1, 1)
    return root, "class 'digit1' has 1 of the 3 images that splitting needs"


@pytest.mark.parametrize(
    "spoil",
    [
        no_folder,
        a_file,
        no_classes,
        no_train,
        empty_class,
        text_named_image,
        empty_file,
        empty_folder_among_images,
        page_among_images,
        too_large,
        link_out,
        class_link_out,
        broken_link,
        pipe_among_images,
        class_only_in_test,
        too_few,
    ],
)
def test_a_bad_folder_is_one_line_that_names_the_path(tmp_path, spoil):
    path, fragment = spoil(tmp_path)
    said = message(folder, path if spoil in (no_folder, a_file) else tmp_path)
    assert said.startswith(f"{path}: ")
    assert fragment.lower() in said.removeprefix(f"{path}: ").lower()


def test_the_first_bad_file_in_order_is_the_one_named(tmp_path):
    for digit in (0, 1):
        write_class(tmp_path / "train", digit, 50)
    for name in ("digit1/000.png", "digit0/049.png", "digit0/048.png"):
        (tmp_path / "train" / name).write_bytes(b"")
    assert message(folder, tmp_path).startswith(f"{tmp_path}/train/digit0/048.png: ")


def test_links_within_the_folder_are_followed(tmp_path):
    write_class(tmp_path / "train", 0, 3)
    (tmp_path / "train" / "digit0" / "link.png").symlink_to("000.png")
    (tmp_path / "train" / "alias").symlink_to(tmp_path / "train" / "digit0")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "train")
    for root in (tmp_path, tmp_path / "elsewhere"):
        source = folder(root, 1)
        assert source.classes == ("alias", "digit0")
        assert sum(map(len, source.splits.values())) == 8


def test_whoever_is_told_of_bad_files_gets_the_rest(tmp_path):
    write_class(tmp_path / "train", 0, 4)
    for name in ("001.png", "002.png"):
        (tmp_path / "train" / "digit0" / name).write_bytes(b"")
    (tmp_path / "train" / "digit1").mkdir()
    faults = []
    source = open_source(f"folder:{tmp_path}", 1, faults.append)
    assert [fault.name.rpartition("/")[2] for fault in faults] == ["digit1", "001.png", "002.png"]
    kept = [name for split in source.splits.values() for name in named(split)]
    assert sorted(os.path.basename(name) for name in kept) == ["000.png", "003.png"]


def test_a_mistyped_folder_names_its_neighbour(tmp_path):
    write_class(tmp_path / "flowers", 0, 2)
    assert "did you mean 'flowers'?" in message(open_source, f"folder:{tmp_path / 'flovers'}")


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_the_first_truncated_jpeg_is_named_with_its_size(tmp_path, kept):
    for digit in (0, 1):
        write_class(tmp_path / "train", digit, 6, ".jpg")
    split = folder(tmp_path, 1).split("train")
    assert first_fault(split, [], {}, range(len(split))) is None
    for name in ("digit1/002.jpg", "digit1/004.jpg"):
        path = tmp_path / "train" / name
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    path = tmp_path / "train" / "digit1" / "002.jpg"
    said = str(first_fault(split, [], {}, range(len(split))))
    assert said.startswith(f"{path}: ")
    assert f"({path.stat().st_size} bytes)" in said
    assert "\n" not in said
