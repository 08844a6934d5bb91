"""Tests that all ways to read a split give the same image, and that graphs contain no images."""

import io
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_ilsvrc.data.pipeline import first_fault
from keras_ilsvrc.data.split import Split, decode_bytes, joined
from keras_ilsvrc.data.stores import Files, Held, Members, Numbered, Records

COUNT = 40


def coloured(number):
    """An image of its own for each number, 5x7 uint8."""
    return np.random.default_rng(number).integers(0, 256, (5, 7, 3), "uint8")


def encoded(array, format="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, format, **options)
    return file.getvalue()


CONTENTS = [encoded(coloured(number)) for number in range(COUNT)]


def in_files(directory):
    paths = [directory / f"{number}.png" for number in range(COUNT)]
    for path, content in zip(paths, CONTENTS, strict=True):
        path.write_bytes(content)
    return Files(np.array(list(map(str, paths)), object))


def in_one_file(directory):
    lengths = np.array([len(content) for content in CONTENTS])
    places = np.stack([np.cumsum(lengths) - lengths, lengths], 1)
    (directory / "all").write_bytes(b"".join(CONTENTS))
    names = np.array([f"{number}.png" for number in range(COUNT)], object)
    return Members(str(directory / "all"), names, places)


STORES = {
    "files": in_files,
    "held": lambda _: Held("made", CONTENTS),
    "records": lambda _: Records("made", [{"image": x} for x in CONTENTS], "image"),
    "members": in_one_file,
}


def split_of(kind, directory):
    return Split(np.arange(COUNT, dtype="int32"), None, STORES[kind](directory))


def through_a_pipeline(split):
    def example(index):
        return split.image(index), split.label(index)

    examples = tf.data.Dataset.range(len(split)).map(example, num_parallel_calls=8)
    return list(examples.as_numpy_iterator())


@pytest.mark.parametrize("kind", STORES)
def test_every_store_gives_every_image_eagerly_and_to_parallel_pipelines(kind, tmp_path):
    split = split_of(kind, tmp_path)
    for index, (image, label) in enumerate(through_a_pipeline(split)):
        assert label == index
        np.testing.assert_array_equal(image, coloured(index))
        np.testing.assert_array_equal(split.image(index), coloured(index))
        assert split.store.read(index) == CONTENTS[index]


@pytest.mark.parametrize("first", STORES)
@pytest.mark.parametrize("second", ["held", "members"])
def test_parts_of_different_stores_read_like_one(first, second, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    parts = split_of(first, tmp_path / "a"), split_of(second, tmp_path / "b")
    whole = joined([parts[0][30:], parts[1][:7], parts[0][5:8]])[1:]
    expected = [*range(31, 40), *range(7), 5, 6, 7]
    assert whole.labels.tolist() == expected
    for (image, label), number in zip(through_a_pipeline(whole), expected, strict=True):
        assert label == number
        np.testing.assert_array_equal(image, coloured(number))
    assert [whole.name(x) for x in (0, 9, 16)] == [
        parts[0].name(31), parts[1].name(0), parts[0].name(5)
    ]  # fmt: skip
    assert [whole.store.read(int(row)) for row in whole.rows] == [CONTENTS[x] for x in expected]


def test_parts_of_one_store_share_it(tmp_path):
    split = split_of("files", tmp_path)
    whole = joined([split[10:], split[:10]])
    assert whole.store is split.store
    assert [whole.name(x) for x in (0, 30)] == [split.name(10), split.name(0)]


def test_a_slice_copies_no_pixels():
    pixels = np.zeros((10, 2, 2, 1), "uint8")
    part = Split(np.zeros(10, "int32"), pixels)[3:8]
    assert np.shares_memory(part.pixels, pixels)
    assert np.shares_memory(joined([part]).pixels, pixels)


@pytest.mark.parametrize("kind", [*STORES, "pixels"])
def test_graphs_hold_no_copy_of_what_is_read(kind, tmp_path):
    count = 20_000
    labels, rows = np.zeros(count, "int32"), np.arange(count) % COUNT
    if kind == "pixels":
        split = Split(labels, np.zeros((count, 2, 2, 1), "uint8"))
    else:
        split = Split(labels, None, STORES[kind](tmp_path), rows=rows)
    traced = tf.function(lambda index: (split.image(index), split.label(index)))
    graph = traced.get_concrete_function(tf.TensorSpec((), tf.int64)).graph
    assert len(graph.as_graph_def().SerializeToString()) < 30_000


def test_images_are_named_by_what_they_are_and_their_place_in_it(tmp_path):
    numbered = Split(
        np.zeros(20, "int32"), np.zeros((20, 1, 1, 1), "uint8"), Numbered("mnist train")
    )
    assert numbered[10:].name(2) == "mnist train #12"
    assert Split(np.zeros(3, "int32"), np.zeros((3, 1, 1, 1), "uint8")).name(1) == "image #1"
    assert split_of("files", tmp_path)[5:].name(0) == str(tmp_path / "5.png")
    assert split_of("members", tmp_path)[5:].name(0) == f"{tmp_path / 'all'}!5.png"
    assert split_of("records", tmp_path)[5:].name(0) == "made #5"


@pytest.mark.parametrize("kind", ["members", "records"])
def test_bytes_that_end_in_zeros_stay_whole(kind, tmp_path):
    content = CONTENTS[0] + b"\0\0\0"
    (tmp_path / "one").write_bytes(content)
    store = {
        "members": lambda: Members(str(tmp_path / "one"), ["one"], np.array([[0, len(content)]])),
        "records": lambda: Records("made", [{"image": content}], "image"),
    }[kind]()
    (found,) = tf.data.Dataset.range(1).map(store.encoded).as_numpy_iterator()
    assert found == content


def animated():
    frames = [Image.fromarray(coloured(number)) for number in range(3)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "channels"),
    [
        (encoded(coloured(0), "JPEG"), 3),
        (encoded(coloured(0), "JPEG"), 1),
        (encoded(coloured(0)[..., 0], "JPEG"), 3),
        (encoded(coloured(0)[..., 0]), 1),
        (encoded(coloured(0)[..., 0].astype("uint16") * 257), 3),
        (encoded(np.dstack([coloured(0), coloured(1)[..., :1]])), 3),
        (encoded(coloured(0), "BMP"), 3),
        (encoded(coloured(0), "WEBP", lossless=True), 3),
        (animated(), 3),
    ],
)
def test_every_format_decodes_to_height_width_channels(content, channels):
    image = decode_bytes(content, channels)
    assert (image.dtype, image.shape) == (tf.uint8, (5, 7, channels))
    traced = tf.function(decode_bytes).get_concrete_function(tf.TensorSpec((), tf.string), channels)
    assert traced.output_shapes == (None, None, channels)


def test_the_first_unreadable_image_is_named_in_any_store():
    contents = [*CONTENTS[:3], CONTENTS[3][:-30], b"", CONTENTS[5]]
    split = Split(np.zeros(6, "int32"), None, Held("made", contents))
    assert first_fault(split, [], {}, range(3)) is None
    said = str(first_fault(split, [], {}, range(6)))
    assert re.fullmatch(rf"made #3: a damaged PNG \({len(contents[3])} bytes\)", said)
    assert str(first_fault(split, [], {}, range(4, 6))).startswith("made #4: an empty file")


def test_a_file_that_is_gone_is_named_as_unreadable(tmp_path):
    split = split_of("files", tmp_path)
    (tmp_path / "7.png").unlink()
    assert (
        str(first_fault(split, [], {}, range(len(split))))
        == f"{tmp_path / '7.png'}: cannot be read: No such file or directory"
    )
