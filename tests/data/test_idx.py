"""Tests of `idx:` sources: MNIST files, written byte by byte as the format specifies."""

import gzip
import struct

import numpy as np
import pytest
from damage import not_one_line

from keras_ilsvrc import InputError
from keras_ilsvrc.data.sources import open_source

IMAGES, LABELS = 2051, 2049  # magic numbers
SIZES = {"train": 12, "t10k": 7}


def made(prefix):
    """Pixels and labels: the same on every call."""
    generator = np.random.default_rng(SIZES[prefix])
    pixels = generator.integers(0, 256, (SIZES[prefix], 4, 3), "uint8")
    return pixels, generator.integers(0, 10, SIZES[prefix], "uint8")


def idx_bytes(values, magic):
    return struct.pack(f">{1 + values.ndim}I", magic, *values.shape) + values.tobytes()


def write(root, compressed=False):
    """The four files of a set; the paths by their name without an ending."""
    root.mkdir(exist_ok=True)
    paths = {}
    for prefix in SIZES:
        pixels, labels = made(prefix)
        for name, content in (
            (f"{prefix}-images-idx3-ubyte", idx_bytes(pixels, IMAGES)),
            (f"{prefix}-labels-idx1-ubyte", idx_bytes(labels, LABELS)),
        ):
            paths[name] = root / (f"{name}.gz" if compressed else name)
            paths[name].write_bytes(gzip.compress(content) if compressed else content)
    return paths


def refusal(root):
    with pytest.raises(InputError) as caught:
        open_source(f"idx:{root}")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("compressed", [False, True])
def test_plain_and_compressed_files_are_read_as_they_were_written(tmp_path, compressed):
    write(tmp_path / "mnist", compressed)
    source = open_source(f"idx:{tmp_path / 'mnist'}")
    assert source.classes == tuple("0123456789")
    assert list(source.splits) == ["train", "test"]
    for name, prefix in (("train", "train"), ("test", "t10k")):
        pixels, labels = made(prefix)
        split = source.split(name)
        np.testing.assert_array_equal(split.pixels[..., 0], pixels)
        assert (split.labels.dtype, split.labels.tolist()) == ("int32", labels.tolist())
        np.testing.assert_array_equal(split.image(3), pixels[3][..., None])
    assert source.split("train[2:]+test").name(0) == "mnist train #2"
    assert source.split("train+test").name(14) == "mnist test #2"


def test_the_classes_of_fashion_mnist_are_known_by_the_folder(tmp_path):
    write(tmp_path / "Fashion-MNIST")
    source = open_source(f"idx:{tmp_path / 'Fashion-MNIST'}")
    assert (len(source.classes), source.classes[0], source.classes[9]) == (
        10, "T-shirt/top", "Ankle boot"
    )  # fmt: skip


def test_a_missing_file_is_named_in_both_its_forms(tmp_path):
    write(tmp_path)["t10k-labels-idx1-ubyte"].unlink()
    said = refusal(tmp_path)
    assert "t10k-labels-idx1-ubyte" in said
    assert "t10k-labels-idx1-ubyte.gz" in said


BAD = {
    "magic": (lambda content: struct.pack(">I", 2050) + content[4:], ["2050", "2051"]),
    "short": (lambda content: content[:-5], ["139 bytes", "144"]),
    "long": (lambda content: content + b"\0", ["more", "144"]),
    "header": (lambda content: content[:9], ["cannot be read"]),
    "empty": (lambda content: b"", ["magic number 0", "2051"]),
    "huge": (
        lambda content: struct.pack(">4I", IMAGES, 2**31, 4, 3) + content[16:],
        ["25,769,803,776", "at most 4,294,967,296"],
    ),
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_named_with_what_was_found_and_expected(tmp_path, kind, compressed):
    path = write(tmp_path, compressed)["train-images-idx3-ubyte"]
    spoil, fragments = BAD[kind]
    content = spoil(idx_bytes(made("train")[0], IMAGES))
    path.write_bytes(gzip.compress(content) if compressed else content)
    said = refusal(tmp_path)
    assert said.startswith(f"{path}: ")
    for fragment in fragments:
        assert fragment in said


def test_a_truncated_or_altered_gzip_file_is_named(tmp_path):
    path = write(tmp_path, compressed=True)["train-images-idx3-ubyte"]
    whole = path.read_bytes()
    for content in (whole[:-20], b"\0" + whole[1:], whole[:-6] + b"\1\1" + whole[-4:]):
        path.write_bytes(content)
        assert refusal(tmp_path).startswith(f"{path}: cannot be read")


def test_no_more_of_a_gzip_bomb_is_read_than_its_header_declares(tmp_path, monkeypatch):
    path = write(tmp_path, compressed=True)["train-images-idx3-ubyte"]
    content = idx_bytes(made("train")[0], IMAGES)
    path.write_bytes(gzip.compress(content + bytes(50 << 20)))
    asked = []
    read = gzip.GzipFile.read

    def counting(file, size=-1):
        asked.append(size)
        return read(file, size)

    monkeypatch.setattr(gzip.GzipFile, "read", counting)
    assert "bytes of values, but it contains more;" in refusal(tmp_path)
    assert min(asked) > 0
    assert sum(asked) == len(content) + 1


def test_as_many_labels_as_images_are_expected(tmp_path):
    path = write(tmp_path)["train-labels-idx1-ubyte"]
    path.write_bytes(idx_bytes(made("train")[1][:-1], LABELS))
    said = refusal(tmp_path)
    assert said.startswith(f"{path}: 11 labels; expected 12")


def test_a_label_beyond_the_ten_classes_is_named(tmp_path):
    path = write(tmp_path)["t10k-labels-idx1-ubyte"]
    labels = made("t10k")[1]
    labels[3] = 10
    path.write_bytes(idx_bytes(labels, LABELS))
    assert refusal(tmp_path) == f"{path}: label 10 of image 3; expected 0 to 9"


def test_test_images_of_another_size_are_refused(tmp_path):
    path = write(tmp_path)["t10k-images-idx3-ubyte"]
    path.write_bytes(idx_bytes(np.zeros((7, 3, 4), "uint8"), IMAGES))
    said = refusal(tmp_path)
    assert said.startswith(f"{path}: images have shape (3, 4); expected (4, 3)")


@pytest.mark.parametrize("compressed", [False, True])
def test_whatever_is_damaged_is_one_line(tmp_path, compressed):
    paths = list(write(tmp_path, compressed).values())
    assert not not_one_line(paths, lambda: open_source(f"idx:{tmp_path}"), 200, str(tmp_path))
