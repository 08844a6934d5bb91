"""Where images come from: the digits, folders, and what is wrong with a folder."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from keras_ilsvrc import InputError
from keras_ilsvrc.data.sources import digits, first_unreadable, folder, open_source

DIGITS = load_digits()
# Published with scikit-learn: 1,797 images; a fifth each for validation and test.
SIZES = {"train": 1077, "validation": 360, "test": 360}


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


@pytest.mark.parametrize("expression", ["", "train[:100", "train[::2]", "train-test"])
def test_what_is_no_split_expression_is_refused(expression):
    assert "has no split" in message(digits().split, expression)


@pytest.mark.parametrize("expression", ["train[:0]", "train[5:5]", "test[360:]"])
def test_a_split_without_images_is_refused(expression):
    said = message(digits().split, expression)
    assert expression in said
    assert "no image" in said


@pytest.mark.parametrize("name", ["digit", "folder:", "folder", "tfds", ""])
def test_an_unknown_data_set_lists_what_there_is(name):
    said = message(open_source, name)
    assert repr(name) in said
    assert "digits" in said
    assert "folder:PATH" in said


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
        for index, path in enumerate(split.paths):
            digit = int(split.labels[index])
            assert path.startswith(str(tmp_path / name / f"digit{digit}"))
            number = index if digit == 0 else index - zeros
            np.testing.assert_array_equal(split.image(index)[..., 0], grey(digit, number))


def test_a_folder_of_one_level_is_split_by_share_and_always_alike(tmp_path):
    for digit in (0, 1, 2):
        write_class(tmp_path, digit, 20)
    first, second = folder(tmp_path, 1), folder(tmp_path, 1)
    sizes = {"train": 36, "validation": 12, "test": 12}
    paths = [path for name in sizes for path in first.split(name).paths]
    assert sorted(paths) == sorted(map(str, tmp_path.glob("*/*.png")))
    for name, size in sizes.items():
        assert np.bincount(first.split(name).labels).tolist() == [size // 3] * 3
        np.testing.assert_array_equal(first.split(name).paths, second.split(name).paths)


def test_classes_are_in_order_of_their_names_and_hidden_files_are_none(tmp_path):
    for name in ("zebra", "Ape", "emu"):
        write_class(tmp_path, 0, 5).rename(tmp_path / name)
        (tmp_path / name / ".hidden").write_text("no image")
    (tmp_path / ".cache").mkdir()
    source = folder(tmp_path, 1)
    assert source.classes == ("Ape", "emu", "zebra")
    train = source.split("train")
    assert [path.split("/")[-2] for path in train.paths] == [
        source.classes[label] for label in train.labels
    ]


def test_a_class_may_be_absent_from_the_test_images(tmp_path):
    for digit in (0, 1):
        write_class(tmp_path / "train", digit, 2)
    write_class(tmp_path / "test", 1, 3)
    assert folder(tmp_path, 1).split("test").labels.tolist() == [1, 1, 1]


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    ("suffix", "channels", "tolerance"),
    # Two JPEG decoders round differently, and greys of colours are rounded.
    [(".png", 1, 1), (".png", 3, 0), (".jpg", 1, 20), (".jpg", 3, 20), (".gif", 3, 0)],
)
def test_grey_and_colour_files_decode_to_the_channels(tmp_path, mode, suffix, channels, tolerance):
    levels = np.kron(grey(3, 0), np.ones((4, 4), "uint8"))  # 32x32: whole blocks of a JPEG
    made = levels if mode == "L" else np.stack([levels, levels.T, 255 - levels], -1)
    (tmp_path / "train" / "digit").mkdir(parents=True)
    path = tmp_path / "train" / "digit" / f"image{suffix}"
    Image.fromarray(made).save(path, subsampling=0)  # as JPEG: colours at every pixel
    image = folder(tmp_path, channels).split("train").image(0).numpy()
    with Image.open(path) as opened:
        expected = np.asarray(opened.convert("L" if channels == 1 else "RGB"))
    assert (image.dtype, image.shape) == ("uint8", (32, 32, channels))
    difference = np.abs(image.astype(int) - expected.reshape(image.shape))
    assert difference.max() <= tolerance
    assert difference.mean() < 1.5


def no_folder(root):
    return root / "missing", "no such folder"


def a_file(root):
    (root / "images").write_text("a list")
    return root / "images", "no such folder"


def no_classes(root):
    write_class(root, 0, 1).joinpath("000.png").rename(root / "000.png")
    (root / "digit0").rmdir()
    return root, "no class folders"


def no_train(root):
    write_class(root / "test", 0, 2)
    return root, "no folder train"


def empty_class(root):
    for digit in (0, 1):
        write_class(root, digit, 5)
    (root / "digit2").mkdir()
    return root / "digit2", "empty"


def text_among_images(root):
    write_class(root, 0, 5)
    path = root / "digit0" / "notes.txt"
    path.write_text("these are zeros\n")
    return path, "not an image"


def empty_file(root):
    path = write_class(root, 0, 5) / "004.png"
    path.write_bytes(b"")
    return path, "0 bytes"


def folder_among_images(root):
    path = write_class(root, 0, 5) / "more"
    path.mkdir()
    return path, "directory"


def class_only_in_test(root):
    write_class(root / "train", 0, 2)
    write_class(root / "test", 0, 2)
    return write_class(root / "test", 7, 2), "train"


def too_few(root):
    write_class(root, 0, 9)
    write_class(root, 1, 1)
    return root, "10 images, 1 in the smallest class, are too few"


@pytest.mark.parametrize(
    "spoil",
    [
        no_folder,
        a_file,
        no_classes,
        no_train,
        empty_class,
        text_among_images,
        empty_file,
        folder_among_images,
        class_only_in_test,
        too_few,
    ],
)
def test_a_bad_folder_is_one_line_that_names_the_path(tmp_path, spoil):
    path, fragment = spoil(tmp_path)
    said = message(folder, path if spoil in (no_folder, a_file) else tmp_path)
    assert said.startswith(f"{path}: ")
    assert fragment.lower() in said.removeprefix(f"{path}: ").lower()


def test_a_mistyped_folder_names_its_neighbour(tmp_path):
    write_class(tmp_path / "flowers", 0, 2)
    assert "did you mean 'flowers'?" in message(open_source, f"folder:{tmp_path / 'flovers'}")


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_the_first_truncated_jpeg_is_named_with_its_size(tmp_path, kept):
    for digit in (0, 1):
        write_class(tmp_path / "train", digit, 6, ".jpg")
    split = folder(tmp_path, 1).split("train")
    assert first_unreadable(split) is None
    for name in ("digit1/002.jpg", "digit1/004.jpg"):
        path = tmp_path / "train" / name
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    path = tmp_path / "train" / "digit1" / "002.jpg"
    said = first_unreadable(split)
    assert said.startswith(f"{path}: ")
    assert f"({path.stat().st_size} bytes)" in said
    assert "\n" not in said


def test_digits_in_memory_are_all_readable():
    assert first_unreadable(digits().split("train")) is None
