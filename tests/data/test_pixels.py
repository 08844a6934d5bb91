"""Tests that every image that is read has the same pixels as in Pillow."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from corpus import PHOTO, READ, png, saved, with_turn
from PIL import Image, ImageOps
from tensorflow.python.ops import script_ops

from keras_ilsvrc.data.apply import image_at
from keras_ilsvrc.data.decode import decode_bytes, examine
from keras_ilsvrc.data.headers import BadImage, NotAnImage, read_header
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Held


def of_pillow(content, channels):
    """The pixels that `docs/data.md` promises, by Pillow alone."""
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) // 256).astype("uint8"))
        if image.has_transparency_data:
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = Image.alpha_composite(white, image.convert("RGBA"))
        image = image.convert("L" if channels == 1 else "RGB")
    return np.asarray(image).reshape(image.height, image.width, channels)


@pytest.fixture(scope="module")
def decoders():
    """The decoder as it runs in a pipeline, by the number of channels."""
    spec = tf.TensorSpec((), tf.string)
    return {
        channels: tf.function(lambda x, y=channels: decode_bytes(x, y), [spec])
        for channels in (1, 3)
    }


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", READ)
def test_pixels_are_those_of_pillow_to_the_last_bit(decoders, name, channels):
    # EXIF data after the pixels are not used, since a header does not show them.
    content = png(8, 2) if name == "png turned behind" else READ[name]
    expected = of_pillow(content, channels)
    found = decoders[channels](tf.constant(READ[name])).numpy()
    np.testing.assert_array_equal(found, expected)
    header = examine(READ[name], channels)
    assert (header.height, header.width) == expected.shape[:2]


def test_all_pipelines_share_one_decoder_whatever_happens_between_them():
    """Each trace would leave Python functions behind, which `clear_session` would take away."""
    contents = [saved(PHOTO, "BMP"), saved(PHOTO, "JPEG", **with_turn(3))]
    split = Split(np.zeros(2, "int32"), store=Held("x", contents))
    expected = [of_pillow(content, 3) for content in contents]

    def decoded():
        return list(tf.data.Dataset.range(2).map(split.image).as_numpy_iterator())

    decoded()
    functions = len(script_ops._py_funcs._funcs)
    for _ in range(2):
        for one, other in zip(decoded(), expected, strict=True):
            np.testing.assert_array_equal(one, other)
        assert len(script_ops._py_funcs._funcs) <= functions
        keras.backend.clear_session()


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_window_of_a_turned_jpeg_is_cut_from_the_turned_image(turn):
    content = saved(PHOTO, "JPEG", **with_turn(turn))
    split = Split(np.zeros(1, "int32"), store=Held("x", [content]))
    rows = [{"op": "centre_crop", "size": 21}]
    expected = of_pillow(content, 3)
    top, left = (size // 2 - 10 for size in expected.shape[:2])
    window = expected[top : top + 21, left : left + 21]
    np.testing.assert_array_equal(image_at(split, 0, rows, (0, 0), {}), window)


RAW = io.BytesIO()
PHOTO.save(RAW, "TIFF", tiffinfo={254: 1})
OTHERS = {
    "heic": (
        b"\0\0\0\x18ftypheic\0\0\0\0mif1",
        "a HEIC image; convert it to JPEG, for example with",
    ),
    "heif": (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "a HEIC image; convert it to JPEG"),
    "avif": (b"\0\0\0\x1cftypavif\0\0\0\0", "an AVIF image; convert it to JPEG"),
    "mp4": (b"\0\0\0\x20ftypisom\0\0\2\0", "a video"),
    "mov": (b"\0\0\0\x14ftypqt  \0\0\0\0", "a video"),
    "avi": (b"RIFF\x10\0\0\0AVI LIST", "a video"),
    "mkv": (b"\x1aE\xdf\xa3\x01\0", "a video"),
    "pdf": (b"%PDF-1.7\n", "a PDF document"),
    "svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
    "psd": (b"8BPS\0\1", "a Photoshop file (PSD)"),
    "cr2": (b"II*\0\x10\0\0\0CR\2\0", "a RAW file of a camera; convert it to JPEG"),
    "raf": (b"FUJIFILMCCD-RAW 0201", "a RAW file of a camera"),
    "nef": (RAW.getvalue(), "a RAW file of a camera"),
    "jxl": (b"\xff\x0a\0\0", "a JPEG XL image"),
    "zip": (b"PK\3\4\0\0", "an archive; unpack it"),
    "tif": (saved(np.ones((9, 9), "float32"), "TIFF"), "a TIFF with pixels of type F; expected"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_read_is_named_for_what_it_is(name):
    content, expected = OTHERS[name]
    with pytest.raises(BadImage) as caught:
        read_header(io.BytesIO(content))
    assert str(caught.value).startswith(expected)
    assert not isinstance(caught.value, NotAnImage)
