"""Tests of results about a data set that are kept between starts: headers, tars, statistics."""

import io
import logging
import os

import numpy as np
import pytest
from corpus import PHOTO, saved, with_turn
from PIL import Image
from test_imagenet import kit_as_tar, train_as_tar, validation_as_tar

from keras_ilsvrc import InputError
from keras_ilsvrc.data import imagenet, index, kept, statistics
from keras_ilsvrc.data.fingerprint import common_folder, fingerprint
from keras_ilsvrc.data.headers import BadImage, own_limit, read_header
from keras_ilsvrc.data.left_out import LeftOut
from keras_ilsvrc.data.markers import ordinary_jpeg
from keras_ilsvrc.data.sources import open_source
from keras_ilsvrc.data.statistics import measure_statistics
from keras_ilsvrc.data.texts import EACH, Texts
from keras_ilsvrc.utils import files

SOUND = [
    saved(PHOTO.convert(mode), "JPEG", **options)
    for mode in ("L", "RGB", "CMYK")
    for options in ({}, {"progressive": True}, {"comment": b"by me"}, {"dpi": (72, 72)})
]
ROWS = [
    {"op": "resize", "size": 6},
    {"op": "subtract_pixel_mean"},
    {"op": "flip"},
    {"op": "pca_noise", "form": "cuda-convnet", "components": "measured"},
]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Keeps everything, however few images there are, in a folder of the test."""
    monkeypatch.setattr(kept, "LEAST", 1)
    monkeypatch.setenv(files.CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


@pytest.fixture
def root(tmp_path):
    """A folder with an image that is turned, a text file and 40 ordinary images."""
    for number in range(40):
        path = tmp_path / "images" / f"class{number % 2}" / f"{number:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9 + number, 8), (number, 2 * number, 9)).save(path)
    (path.parent / "turned.jpg").write_bytes(saved(PHOTO, "JPEG", **with_turn(6)))
    (path.parent / "notes.txt").write_text("photographs of mine")
    return tmp_path / "images"


@pytest.fixture
def looked(monkeypatch):
    """The names of the files whose headers were read."""
    names, real = [], index._bits

    def look(path):
        names.append(os.path.basename(path))
        return real(path)

    monkeypatch.setattr(index, "_bits", look)
    return names


def opened(root):
    """Everything that a source says, and the names of the files whose headers were read."""
    source = open_source(f"folder:{root}")
    splits = [[x.name(n) for n in range(len(x))] for x in source.splits.values()]
    prints = [fingerprint(split) for split in source.splits.values()]
    return source.classes, source.notes, splits, prints


@pytest.mark.parametrize("content", SOUND)
def test_the_quick_reader_of_headers_agrees_with_pillow(content):
    header = ordinary_jpeg(content[: index.ENOUGH])
    assert header is not None
    assert header == read_header(io.BytesIO(content))


def test_whatever_the_quick_reader_accepts_pillow_reads_alike():
    generator = np.random.default_rng(0)
    accepted = 0
    with own_limit():
        for _ in range(3000):
            content = bytearray(SOUND[generator.integers(len(SOUND))])
            head = content.index(b"\xff\xda") + 14
            content[generator.integers(head)] = generator.integers(256)
            if generator.integers(3) == 0:
                del content[generator.integers(head) :][: generator.integers(9)]
            header = ordinary_jpeg(bytes(content[: generator.integers(head, index.ENOUGH)]))
            if header is not None:
                accepted += 1
                assert header == read_header(io.BytesIO(content))
    assert 1000 < accepted < 2900


def test_the_quick_reader_leaves_unusual_files_to_pillow():
    large = bytearray(SOUND[4])
    at = large.index(b"\xff\xc0") + 5
    large[at : at + 4] = b"\xff\xff\xff\xff"
    for content in (saved(PHOTO, "PNG"), saved(PHOTO, "JPEG", **with_turn(6)), bytes(large)):
        assert ordinary_jpeg(content[: index.ENOUGH]) is None
    with pytest.raises(BadImage, match="pixels exceed the limit"), own_limit():
        read_header(io.BytesIO(large))


def test_the_second_start_reads_no_header_and_finds_the_same(root, looked):
    first = opened(root)
    assert len(looked) == 42
    assert any("turned upright" in note for note in first[1])
    assert any("1 .txt" in note for note in first[1])
    looked.clear()
    assert opened(root) == first
    assert not looked


def test_new_changed_and_renamed_files_are_read_and_removed_ones_forgotten(
    root, looked, monkeypatch
):
    opened(root)
    looked.clear()
    (root / "class0" / "00.jpg").unlink()
    (root / "class0" / "02.jpg").rename(root / "class1" / "renamed.jpg")
    (root / "class0" / "04.jpg").write_bytes(saved(PHOTO, "JPEG"))
    (root / "class1" / "new.jpg").write_bytes(saved(PHOTO, "JPEG", **with_turn(3)))
    changed = opened(root)
    assert sorted(looked) == ["04.jpg", "new.jpg", "renamed.jpg"]
    monkeypatch.setattr(kept, "LEAST", 10_000)
    assert opened(root) == changed


def test_a_file_that_is_rewritten_within_its_size_is_read_again(root, looked):
    opened(root)
    looked.clear()
    path = root / "class1" / "11.jpg"
    path.write_bytes(b"\0" * path.stat().st_size)
    for _ in range(2):  # a bad file is not kept
        with pytest.raises(InputError, match="not an image"):
            open_source(f"folder:{root}")
    assert looked == ["11.jpg", "11.jpg"]


@pytest.mark.parametrize("spoil", [lambda x: x[:-9], lambda x: x[:99] + b"?" + x[100:], bytes])
def test_a_damaged_index_is_made_again_and_logged_in_one_line(root, looked, cache, caplog, spoil):
    first = opened(root)
    looked.clear()
    (path,) = (x for x in cache.iterdir() if x.suffix != ".lock")
    content = path.read_bytes()
    path.write_bytes(spoil(content) if spoil is not bytes else b"")
    with caplog.at_level(logging.INFO):
        assert opened(root) == first
    (line,) = (x.getMessage() for x in caplog.records)
    assert line.startswith(f"{path}: damaged")
    assert "\n" not in line
    assert len(looked) == 42
    assert path.read_bytes() == content


def test_an_index_of_another_version_is_not_used(root, looked, monkeypatch):
    opened(root)
    looked.clear()
    monkeypatch.setattr(kept, "version", lambda name: "99.0")
    opened(root)
    assert len(looked) == 42


def test_a_process_does_not_write_what_another_one_is_writing(root, cache):
    opened(root)
    (path,) = (x for x in cache.iterdir() if x.suffix != ".lock")
    before = path.read_bytes()
    (root / "class1" / "new.jpg").write_bytes(saved(PHOTO, "JPEG"))
    other = files.lock(cache / f"{path.name}.lock")
    opened(root)
    assert path.read_bytes() == before
    other.release()
    opened(root)
    assert path.read_bytes() != before


def test_without_a_cache_folder_a_line_is_logged(root, tmp_path, caplog, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(files.CACHE, str(tmp_path / "file"))
    with caplog.at_level(logging.INFO):
        opened(root)
    (line,) = {x.getMessage() for x in caplog.records if "cannot be written" in x.getMessage()}
    assert line.endswith("the next start is slower")


def test_the_members_of_a_tar_are_kept_until_it_changes(tmp_path, monkeypatch):
    for write in (train_as_tar, validation_as_tar, kit_as_tar):
        write(tmp_path)

    def train():
        split = open_source(f"imagenet:{tmp_path}").split("train")
        read = [split.store.read(row) for row in split.rows.tolist()]
        return [split.name(x) for x in range(len(split))], split.labels.tolist(), read

    first, real, calls = train(), imagenet._members_in, []
    monkeypatch.setattr(imagenet, "_members_in", lambda *x: calls.append(x) or real(*x))
    assert train() == first
    assert not calls
    path = tmp_path / imagenet.TRAIN
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert train() == first
    assert len(calls) == 1


def test_two_statistics_need_one_pass_which_is_kept_until_an_image_changes(root, monkeypatch):
    def measured():
        return measure_statistics(open_source(f"folder:{root}").split("train"), ROWS)

    passes, real = [], statistics._means
    monkeypatch.setattr(statistics, "_means", lambda *x: passes.append(x) or real(*x))
    first = measured()
    assert {*first} == {"pixel_mean", "pca_values", "pca_vectors"}
    assert len(passes) == 1
    again = measured()
    assert len(passes) == 1
    assert all(np.array_equal(again[name], value) for name, value in first.items())
    split = open_source(f"folder:{root}").split("train")
    os.utime(split.name(3), ns=(0, 0))
    measured()
    assert len(passes) == 2
    measure_statistics(open_source(f"folder:{root}").split("train"), ROWS[:2])
    assert len(passes) == 3


def test_images_that_cannot_be_decoded_are_kept(root, monkeypatch):
    (root / "class0" / "08.jpg").write_bytes(saved(PHOTO, "JPEG")[:-500])

    def scanned():
        split = open_source(f"folder:{root}").split("train+validation+test")
        left_out = LeftOut(split, 4, 0, 1)
        return len(left_out.scan()), left_out.get_state()

    first = scanned()
    assert first[0] == 40
    monkeypatch.setattr(LeftOut, "_examine", None)
    assert scanned() == first


@pytest.mark.parametrize("count", [0, 1, EACH - 1, EACH, EACH + 1, 3 * EACH])
def test_texts_are_a_list(count):
    expected = [f"a/{number}/ü\udcff" * (number % 3) for number in range(count)]
    texts = Texts(expected)
    for one in (texts, Texts.of_arrays(*texts.arrays())):
        assert list(one) == [one[row] for row in range(len(one))] == expected
        one.append("more")
        assert (len(one), one[count]) == (count + 1, "more")
    assert list(texts.take(np.arange(count)[::2])) == expected[::2]


def test_a_common_folder_is_cut_off_whatever_it_is_called():
    for folder in ("/data/photos", "photos", ".", "/data/a.b"):
        names = [f"{folder}/cat/1.jpg", f"{folder}/cats/2.jpg", f"{folder}/cat/3.jpg"]
        assert common_folder(iter(names)) == folder
    assert common_folder(iter(["./a.jpg", "/data/b.jpg"])) == ""
    assert common_folder(iter(["/data/a.jpg"])) == "/data"
    assert common_folder(iter([])) == ""
