"""Every image that is read has the pixels that Pillow gives."""

import io

import numpy as np
import pytest
import tensorflow as tf
from corpus import READ
from PIL import Image, ImageOps

from keras_ilsvrc.data.decode import decode_bytes, examine


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
    expected = of_pillow(READ[name], channels)
    found = decoders[channels](tf.constant(READ[name])).numpy()
    np.testing.assert_array_equal(found, expected)
    if name == "png turned behind":  # a header does not show what comes after the pixels
        return
    header = examine(READ[name], channels)
    assert (header.height, header.width) == expected.shape[:2]
